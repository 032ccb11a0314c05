"""Make `savecli/datasets/world_voice.npz`: every word of the drawn world, spoken once by flite.

Needs the speech synthesiser flite. Example: `python benchmarks/record_voice.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np

from savecli.datasets.world_voice import VOICE_FILE, VOICE_RATE_HZ, mu_law
from savecli.datasets.world_words import VOCABULARY

_FASTER = "0.7"  # times flite's own pace: clips are short
_QUIET = 0.02  # below this share of full scale, the ends of a word are silence


def main() -> None:
    """Speak all words and write the file."""
    if shutil.which("flite") is None:
        raise SystemExit("error: no program `flite` in PATH\n  fix: `apt-get install flite`, then run again")
    words = {word: mu_law(recorded(word)) for word in VOCABULARY}
    np.savez_compressed(VOICE_FILE, **words)
    print(f"{len(words)} words, {VOICE_FILE.stat().st_size / 1000:.0f} kB", file=sys.stderr)


def recorded(word: str) -> np.ndarray:
    """`(N,)` float64 in [-1, 1] at 8 kHz, without silence at the ends."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "word.wav"
        voice = ["-voice", "slt", "--setf", f"duration_stretch={_FASTER}"]
        subprocess.run(["flite", *voice, "-t", word, "-o", str(file)], check=True)
        with wave.open(str(file)) as recording:
            rate_hz = recording.getframerate()
            samples = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2") / 32_768
    loud = np.flatnonzero(np.abs(samples) > _QUIET * np.abs(samples).max())
    samples = samples[loud[0] : loud[-1] + 1]
    count = round(len(samples) * VOICE_RATE_HZ / rate_hz)
    spectrum = np.fft.rfft(samples)[: count // 2 + 1]
    sound = np.fft.irfft(spectrum, count)
    return sound / np.abs(sound).max()


if __name__ == "__main__":
    main()
