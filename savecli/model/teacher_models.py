"""Teachers that watch and listen: PE-AV, the default for new work, and ImageBind, the published one.

Both encode one clip at a time: padding a waveform to its neighbours' length reaches into a clip's last vectors through
the convolutions, whatever the masks say.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.nn import functional

from savecli.core.errors import SaveError, WeightsError
from savecli.model.hub import Hub
from savecli.model.importing import read_state
from savecli.model.teachers import Taught, TeacherClip, stack

# "Pushing the Frontier of Audiovisual Perception" (arXiv 2512.19687); Apache-2.0.
PE_AV = "facebook/pe-av-large"
PE_AV_RATE_HZ = 48_000
# The longest clips it was trained on.
PE_AV_LONGEST_S = 30

# ImageBind's own `data.py`: rate, three windows of two seconds, rows and bins of each, their mean and deviation.
IMAGEBIND_RATE_HZ = 16_000
_WINDOWS, _WINDOW_S, _ROWS, _BINS = 3, 2, 204, 128
_SOUND_MEAN, _SOUND_STD = -4.268, 9.138
_SIDE = 224
_PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
_PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)


class PeAvTeacher:
    """PE-AV: a perception encoder of pictures and sound by contrast, through transformers' `PeAudioVideoModel`.

    The model's sight and sound alone are used, not its vector of both: each is to be compared with the other.
    Its text tower is let go.

    Args:
        model: a `PeAudioVideoModel`.
        pixels: its `PeVideoVideoProcessor`: size, normalisation, and the number of frames where that is fixed.
    """

    rate_hz: int | None = PE_AV_RATE_HZ

    def __init__(self, model: Any, pixels: Callable[..., Any], *, device: str | torch.device = "cpu") -> None:
        self._device = torch.device(device)
        audio, video = model.audio_model, model.video_model
        parts = (audio.audio_encoder, audio.audio_head, video.video_encoder, video.video_head)
        self._listen, self._audio_head, self._watch, self._video_head = (
            part.requires_grad_(False).eval().to(self._device) for part in parts
        )
        self._pixels = pixels
        self._hop = int(audio.audio_encoder.config.dac_config.hop_length)

    def encode(self, clips: Sequence[TeacherClip]) -> Taught:
        """`(B, T)` vectors, T = 1024 in the published models. Of longer clips, the first 30 seconds count.

        Raises:
            ValueError: a clip has no frames, a waveform without samples, or other shapes than `TeacherClip` says.
        """
        return stack([self._encode_one(_checked(clip)) for clip in clips])

    @torch.inference_mode()
    def _encode_one(self, clip: TeacherClip) -> tuple[torch.Tensor, torch.Tensor | None]:
        frames, waveform = _first_seconds(clip)
        # One row, so nothing is padded and no mask is needed.
        pixels = self._pixels(videos=[frames], return_tensors="pt")["pixel_values_videos"].to(self._device)
        video = self._video_head(self._watch(pixels).pooler_output)[0].float().cpu().clone()
        if waveform is None:
            return video, None
        sound = _whole_hops(waveform, self._hop).to(self._device)
        audio = self._audio_head(self._listen(sound[None, None]).pooler_output)[0].float().cpu().clone()
        return video, audio


def load_pe_av(source: str | Path = PE_AV, *, hub: Hub, device: str | torch.device = "cpu") -> PeAvTeacher:
    """A PE-AV from the hub, from its cache when the hub cannot be used, or from a folder. Nothing is unpickled.

    Args:
        source: a repository of the hub, or a folder in transformers' form with `model.safetensors`, `config.json` and
            `video_preprocessor_config.json` or `processor_config.json`.

    Raises:
        SaveError: transformers is not installed, or too old.
        WeightsError: the weights cannot be had, or lack a tensor, which would leave the teacher guessing.
    """
    transformers = _pe_av_library()
    from safetensors import SafetensorError

    folder = Path(source).is_dir()
    here_only = folder or bool(hub.obstacle)
    options = {"cache_dir": hub.cache_dir, "local_files_only": here_only}
    try:
        model, info = _untied_ropes(transformers.PeAudioVideoModel).from_pretrained(
            source, use_safetensors=True, output_loading_info=True, **options
        )
        pixels = transformers.PeVideoVideoProcessor.from_pretrained(source, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        why = hub.obstacle if here_only and not folder else (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"cannot load the teacher {source}",
            why=why,
            fix=f"fetch it where there is a connection: `hf download {PE_AV} --local-dir FOLDER`, and name the folder",
        ) from error
    lacking = sorted([*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])])
    if lacking:
        raise WeightsError(
            f"the teacher {source} is not whole",
            why=f"{len(lacking)} of its tensors are missing or of another size, the first is `{lacking[0]}`",
            fix="fetch it again",
        )
    return PeAvTeacher(model, pixels, device=device)


class ImageBindTeacher:
    """ImageBind (arXiv 2305.05665), the published SAVE's teacher, through its own package.

    Its code and weights are CC-BY-NC-SA 4.0: not for commercial use.

    Args:
        weights: `imagebind_huge.pth`.

    Raises:
        SaveError: the package is not installed.
        WeightsError: the weights are missing, damaged or others.
    """

    rate_hz: int | None = IMAGEBIND_RATE_HZ

    def __init__(self, weights: Path, *, device: str | torch.device = "cpu") -> None:
        self._device = torch.device(device)
        fix = "pip install git+https://github.com/facebookresearch/ImageBind; or use PE-AV, or vectors from files"
        self._data = _require("imagebind.data", "ImageBind", fix)
        self._model: Any = _require("imagebind.models.imagebind_model", "ImageBind", fix).imagebind_huge(
            pretrained=False
        )
        try:
            self._model.load_state_dict(read_state(weights))
        except RuntimeError as error:
            why = "its tensors are not those of ImageBind's huge model"
            raise WeightsError(f"cannot use {weights}", why=why, fix="name `imagebind_huge.pth`") from error
        self._model.requires_grad_(False).eval().to(self._device)

    def encode(self, clips: Sequence[TeacherClip]) -> Taught:
        """`(B, 1024)` vectors: of sight the mean over the frames given (the authors: 32), of sound over three windows.

        Raises:
            ValueError: as `PeAvTeacher.encode`.
        """
        return stack([self._encode_one(_checked(clip)) for clip in clips])

    @torch.inference_mode()
    def _encode_one(self, clip: TeacherClip) -> tuple[torch.Tensor, torch.Tensor | None]:
        assert clip.frames is not None
        seen = self._model({"vision": _imagebind_pixels(clip.frames).to(self._device)})["vision"]
        video = seen.float().mean(dim=0).cpu().clone()
        if clip.waveform is None:
            return video, None
        windows = [
            self._data.waveform2melspec(window[None].clone(), IMAGEBIND_RATE_HZ, _BINS, _ROWS)
            for window in _imagebind_windows(clip.waveform.float())
        ]
        sound = (torch.stack(windows) - _SOUND_MEAN) / _SOUND_STD
        heard = self._model({"audio": sound[None].to(self._device)})["audio"]
        return video, heard[0].float().cpu().clone()


def _imagebind_pixels(frames: torch.Tensor) -> torch.Tensor:
    """`(F, 3, 224, 224)`: the short side scaled, the centre cut out, normalised as CLIP's pictures."""
    height, width = frames.shape[-2:]
    scale = _SIDE / min(height, width)
    size = (max(_SIDE, int(height * scale)), max(_SIDE, int(width * scale)))
    scaled = functional.interpolate(frames.float() / 255, size, mode="bicubic", antialias=True).clamp(0, 1)
    top, left = (round((side - _SIDE) / 2) for side in size)
    cut = scaled[..., top : top + _SIDE, left : left + _SIDE]
    return (cut - torch.tensor(_PIXEL_MEAN)[:, None, None]) / torch.tensor(_PIXEL_STD)[:, None, None]


def _imagebind_windows(waveform: torch.Tensor) -> list[torch.Tensor]:
    """Windows of two seconds, evenly spread from the waveform's start to its end; of a shorter one, all of it."""
    length = _WINDOW_S * IMAGEBIND_RATE_HZ
    step = max(len(waveform) - length, 0) / (_WINDOWS - 1)
    return [waveform[int(i * step) : int(i * step) + length] for i in range(_WINDOWS)]


def _checked(clip: TeacherClip) -> TeacherClip:
    frames, waveform = clip.frames, clip.waveform
    if frames is None or frames.ndim != 4 or frames.shape[1] != 3 or not len(frames) or frames.dtype != torch.uint8:
        seen = "none" if frames is None else f"{tuple(frames.shape)} {frames.dtype}"
        raise ValueError(f"frames of clip {clip.clip_id}: {seen}; allowed: (F, 3, H, W) uint8, F at least 1")
    if waveform is None:
        return clip
    if waveform.ndim != 1 or not len(waveform) or not waveform.is_floating_point():
        seen = f"{tuple(waveform.shape)} {waveform.dtype}"
        raise ValueError(f"waveform of clip {clip.clip_id}: {seen}; allowed: (samples,) float, or None without sound")
    if not bool(waveform.isfinite().all()):
        raise ValueError(f"waveform of clip {clip.clip_id} holds NaN or infinite numbers")
    return clip


def _first_seconds(clip: TeacherClip) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Frames and waveform of as much of the clip as PE-AV takes; both end together."""
    assert clip.frames is not None
    limit = PE_AV_LONGEST_S * PE_AV_RATE_HZ
    if clip.waveform is None or len(clip.waveform) <= limit:
        return clip.frames, clip.waveform
    kept = max(1, round(len(clip.frames) * limit / len(clip.waveform)))
    return clip.frames[:kept], clip.waveform[:limit]


def _whole_hops(waveform: torch.Tensor, hop: int) -> torch.Tensor:
    """The waveform, its end mirrored up to a multiple of `hop` samples, as transformers' `PeAudioFeatureExtractor`."""
    import numpy as np

    rest = -len(waveform) % hop
    if not rest:
        return waveform.float()
    return torch.from_numpy(np.pad(waveform.float().cpu().numpy(), (0, rest), "reflect"))


def _pe_av_library() -> ModuleType:
    fix = 'pip install "transformers>=5.1"'
    library = _require("transformers", "transformers", fix)
    if not hasattr(library, "PeAudioVideoModel"):
        raise SaveError("the teacher PE-AV needs a newer transformers", why=f"{library.__version__} lacks it", fix=fix)
    return library


def _untied_ropes(model_class: Any) -> Any:
    """The model class, which leaves all buffers of rotary positions in the vision tower alone when it ties weights.

    It names only `rope.pos_embed`; newer timm (seen: 1.0.31) has `rope.bands` beside it, which is no
    parameter, and transformers (seen: 5.23) then fails to load any PE-AV.
    """

    def widened(pattern: str) -> str:
        return pattern.replace(r"\.rope\.pos_embed", r"\.rope\.")

    tied = {widened(name): widened(source) for name, source in model_class._tied_weights_keys.items()}
    return type(
        model_class.__name__, (model_class,), {"_tied_weights_keys": tied, "__module__": model_class.__module__}
    )


def _require(module: str, package: str, fix: str) -> ModuleType:
    """An optional package, imported by name as it is not among those that come with `savecli`."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SaveError(f"this teacher needs {package}", why=str(error), fix=fix) from error
