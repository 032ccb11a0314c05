"""1080p media with motion and grain, so that bit rates and decoding times are those of real recordings."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tests.make_media import usual_priority

WIDTH, HEIGHT, RATE_HZ = 1920, 1080, 30
BIT_RATE = 6_000_000  # what cameras and video platforms spend on 1080p30
AUDIO_RATE_HZ = 48000

Plane = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """How one benchmark file is encoded."""

    name: str
    suffix: str
    codec: str
    gop: int
    options: dict[str, str] = field(default_factory=dict)


SAMPLES = (
    Sample("H.264, GOP 250", ".mp4", "libx264", 250, {"preset": "veryfast", "bf": "3"}),
    Sample("H.264, GOP 60", ".mp4", "libx264", 60, {"preset": "veryfast", "bf": "3"}),
    Sample("HEVC, GOP 250", ".mp4", "libx265", 250, {"preset": "superfast", "x265-params": "log-level=none:bframes=3"}),
    Sample("VP9, GOP 128", ".webm", "libvpx-vp9", 128, {"deadline": "realtime", "cpu-used": "7", "row-mt": "1"}),
    Sample("AV1, GOP 250", ".mp4", "libsvtav1", 250, {"preset": "11"}),
)


def benchmark_media(folder: Path | None = None, *, duration_s: float = 24.0) -> dict[str, Path]:
    """Paths by the samples' names; made at the first call and kept in the folder, or in the temporary one."""
    folder = folder or Path(tempfile.gettempdir()) / "save-benchmark-media"
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[str, Path] = {}
    for sample in SAMPLES:
        stem = "".join(letter for letter in sample.name.lower().replace(" ", "-") if letter.isalnum() or letter == "-")
        path = folder / f"{stem}-{duration_s:g}s{sample.suffix}"
        if not path.exists():
            unfinished = path.with_name(f"unfinished-{path.name}")
            write_sample(unfinished, sample, duration_s=duration_s)
            unfinished.replace(path)
        paths[sample.name] = path
    return paths


@usual_priority()
def write_sample(path: Path, sample: Sample, *, duration_s: float) -> None:
    """Encode moving picture and sound of the given length."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(sample.codec, rate=RATE_HZ, options=sample.options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.bit_rate = BIT_RATE
        video.codec_context.gop_size = sample.gop
        sound = container.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=AUDIO_RATE_HZ)
        scene = _Scene()
        samples_per_frame = AUDIO_RATE_HZ // RATE_HZ
        fifo = av.AudioFifo()
        for index in range(round(duration_s * RATE_HZ)):
            frame = av.VideoFrame.from_ndarray(scene.picture(index), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, RATE_HZ)
            container.mux(video.encode(frame))
            fifo.write(_sound(index, samples_per_frame))
            for piece in fifo.read_many(sound.codec_context.frame_size or 960):
                container.mux(sound.encode(piece))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))


class _Scene:
    """A hand-held camera over a textured plane that many things cross, each at its own speed; grain on every frame."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(7)
        self._luma = _texture(self._rng, HEIGHT + 300, WIDTH + 400, low=30, high=220)
        self._chroma = [_texture(self._rng, HEIGHT // 2 + 150, WIDTH // 2 + 200, low=90, high=166) for _ in range(2)]
        self._grain = self._rng.normal(0, 2.0, (HEIGHT + 64, WIDTH + 64)).astype(np.int16)
        row, column = np.mgrid[-100:100, -100:100]
        self._disc = row**2 + column**2 < 100**2
        self._paths = self._rng.uniform((0, 0, -14, -8), (WIDTH, HEIGHT, 14, 8), (24, 4))

    def picture(self, index: int) -> Plane:
        """Planes of frame `index`, stacked as PyAV wants them for yuv420p: `(H * 3 / 2, W)`."""
        shake_x, shake_y = self._rng.normal(0, 1.5, 2)
        x = int(200 + 180 * np.sin(index / 40) + shake_x) // 2 * 2
        y = int(150 + 130 * np.cos(index / 55) + shake_y) // 2 * 2
        luma = self._luma[y : y + HEIGHT, x : x + WIDTH].copy()
        for number, (start_x, start_y, speed_x, speed_y) in enumerate(self._paths):
            left = int(start_x + speed_x * index) % (WIDTH - 200)
            top = int(start_y + speed_y * index) % (HEIGHT - 200)
            # Each thing carries its own piece of the texture, slipping a little in every frame.
            piece = self._luma[40 * number : 40 * number + 200, 2 * index % 300 : 2 * index % 300 + 200]
            luma[top : top + 200, left : left + 200][self._disc] = piece[self._disc]
        grain_y, grain_x = self._rng.integers(0, 64, 2)
        grain = self._grain[grain_y : grain_y + HEIGHT, grain_x : grain_x + WIDTH]
        luma = np.clip(luma.astype(np.int16) + grain, 16, 235).astype(np.uint8)
        half = (slice(y // 2, y // 2 + HEIGHT // 2), slice(x // 2, x // 2 + WIDTH // 2))
        return np.concatenate([luma, *(plane[half].reshape(HEIGHT // 4, WIDTH) for plane in self._chroma)])


def _texture(rng: np.random.Generator, height: int, width: int, *, low: int, high: int) -> Plane:
    """Noise of many sizes, as grass, walls and faces have detail at every scale."""
    total = np.zeros((height, width), np.float32)
    for cell in (160, 40, 10, 3):
        coarse = rng.random((height // cell + 2, width // cell + 2), dtype=np.float32)
        total += np.kron(coarse, np.full((cell, cell), np.sqrt(cell), np.float32))[:height, :width]
    total -= total.min()
    return (low + (high - low) * total / total.max()).astype(np.uint8)


def _sound(index: int, num_samples: int) -> av.AudioFrame:
    time_s = (index * num_samples + np.arange(num_samples)) / AUDIO_RATE_HZ
    wave = 0.3 * np.sin(2 * np.pi * (220 + 40 * np.sin(time_s)) * time_s) + 0.02 * np.sin(5000 * time_s**2)
    frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]).astype(np.float32), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE_HZ, index * num_samples, Fraction(1, AUDIO_RATE_HZ)
    return frame
