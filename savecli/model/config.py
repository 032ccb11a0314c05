"""What a model of the SAVE family is made of. Only `build_model` reads these; modules take plain arguments.

Importing this loads no torch. The defaults are SAVE's structure with right masks; what the published systems do
otherwise is in `ParityConfig`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from savecli.core.errors import UsageError
from savecli.model.clip_config import ClipConfig, PixelFormat

AlignmentKind = Literal["pearson", "kl", "mse", "huber", "contrastive"]
Temporal = Literal["none", "positions", "transformer", "lstm"]
Scoring = Literal["pooled", "joint"]
SoundFit = Literal["stretched", "windows"]


@dataclass(frozen=True, kw_only=True)
class AstConfig:
    """The audio spectrogram transformer over filter banks of `num_rows` times `num_mel_bins`."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    num_rows: int = 1024
    num_mel_bins: int = 128
    patch: int = 16
    stride: int = 10


@dataclass(frozen=True, kw_only=True)
class WhisperConfig:
    """Whisper's encoder over log-mel spectrograms of 30 s; the defaults are Whisper small, as wide and deep as AST."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    num_rows: int = 3000
    num_mel_bins: int = 80


@dataclass(frozen=True, kw_only=True)
class MixConfig:
    """Weights of the frames themselves and after each fusion; those of branches that are not there are idle."""

    visual: float = 1.0
    audio: float = 0.5
    speech: float = 0.5


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What training minimises; see `savecli.model.losses`.

    Args:
        margin_scale, margin_limit: the paper's beta and delta; a scale of 0 is no margin.
        alignment: form of the alignment loss, or None for none.
    """

    margin_scale: float = 0.2
    margin_limit: float = 0.1
    alignment: AlignmentKind | None = "pearson"
    alignment_weight: float = 1.0
    alignment_scale: float = 5.0


@dataclass(frozen=True, kw_only=True)
class ParityConfig:
    """What the published systems do and a right model does not; each is needed to give their numbers.

    Args:
        padded_frames: padded frames take part in the fusion and in the alignment.
        padded_speech: positions behind the end mark of speech take part in the fusion.
        missing_as_zeros: a clip without sound gets a filter bank of zeros, one without speech the tokens 0, and what
            the encoders make of these is mixed in; else what is missing is left out and the present share its weight.
    """

    padded_frames: bool = False
    padded_speech: bool = False
    missing_as_zeros: bool = False


PUBLISHED = ParityConfig(padded_frames=True, padded_speech=True, missing_as_zeros=True)


@dataclass(frozen=True, kw_only=True)
class InputConfig:
    """How clips and texts become tensors; written to `preprocess.json` for the features.

    Args:
        caption_tokens, speech_tokens: both marks included.
        shortest_text: texts of fewer characters count as missing.
        sound: `stretched` maps a whole clip onto one filter bank, `windows` cuts it at its own pace.
    """

    num_frames: int = 12
    caption_tokens: int = 32
    speech_tokens: int = 32
    shortest_text: int = 0
    sound: SoundFit = "stretched"


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A whole model.

    Args:
        name: of the preset it began as.
        clip: the towers of frames and text; its `embed_dim` is the shared width D.
        temporal: what makes a sequence of the frames: nothing, position embeddings, or CLIP4Clip's two heads.
        audio, has_speech: the branches there are; None and False leave theirs out.
        head_width: width of an attention head in the network's own transformers.
        scoring: by the pooled embedding alone, or by its mean with the per-frame log-sum-exp.
        temperature: the paper's tau.
    """

    name: str
    clip: ClipConfig
    temporal: Temporal = "positions"
    temporal_layers: int = 4
    audio: AstConfig | WhisperConfig | None = field(default_factory=AstConfig)
    has_speech: bool = True
    resampler_layers: int = 4
    num_queries: int = 12
    fusion_layers: int = 4
    head_width: int = 64
    mix: MixConfig = field(default_factory=MixConfig)
    scoring: Scoring = "joint"
    temperature: float = 1.0
    loss: LossConfig = field(default_factory=LossConfig)
    parity: ParityConfig = field(default_factory=ParityConfig)
    inputs: InputConfig = field(default_factory=InputConfig)

    def __post_init__(self) -> None:
        _check("temporal", self.temporal, get_args(Temporal))
        _check("scoring", self.scoring, get_args(Scoring))
        _check("inputs.sound", self.inputs.sound, get_args(SoundFit))
        _check("loss.alignment", self.loss.alignment, (None, *get_args(AlignmentKind)))
        self._check_numbers()

    def _check_numbers(self) -> None:
        """What would only be found wrong in the middle of a run; `build_model` checks what the towers allow."""
        _check_count("inputs.num_frames", self.inputs.num_frames, 1)
        for name in ("caption_tokens", "speech_tokens"):
            _check_count(f"inputs.{name}", getattr(self.inputs, name), 3)  # a word and both marks
        _check_count("inputs.shortest_text", self.inputs.shortest_text, 0)
        _check_count("head_width", self.head_width, 1)
        # What a branch is made of counts only where it is there.
        for name, is_used in (
            ("temporal_layers", self.temporal == "transformer"),
            ("resampler_layers", self.audio is not None),
            ("num_queries", self.audio is not None),
            ("fusion_layers", self.audio is not None or self.has_speech),
        ):
            _check_count(name, getattr(self, name), 1 if is_used else 0)
        for name, value in asdict(self.audio).items() if self.audio is not None else ():
            _check_count(f"audio.{name}", value, 1)
        for part in ("mix", "loss"):
            for name, value in asdict(getattr(self, part)).items():
                if isinstance(value, (int, float)):
                    _check_amount(f"{part}.{name}", value, 0)
        _check_amount("temperature", self.temperature, 1e-6)


_AUDIO_KINDS: dict[str, type[AstConfig | WhisperConfig]] = {"ast": AstConfig, "whisper": WhisperConfig}
_PARTS = {"mix": MixConfig, "loss": LossConfig, "parity": ParityConfig, "inputs": InputConfig}


def config_json(config: ModelConfig) -> dict[str, Any]:
    """What `config.json` holds; `config_from_json` is its inverse."""
    held = asdict(config)
    held["clip"] = {"model": dict(config.clip.model), "pixels": asdict(config.clip.pixels)}
    if config.audio is not None:
        kind = next(kind for kind, form in _AUDIO_KINDS.items() if isinstance(config.audio, form))
        held["audio"] = {"kind": kind, **held["audio"]}
    return held


def config_from_json(held: dict[str, Any]) -> ModelConfig:
    """The config that `config_json` wrote.

    Raises:
        UsageError: a field is unknown or missing, or a choice is not one of those allowed.
    """
    held = dict(held)
    try:
        clip = held.pop("clip")
        pixels = {key: tuple(value) if isinstance(value, list) else value for key, value in clip["pixels"].items()}
        parts: dict[str, Any] = {
            name: _made(form, held.pop(name), name) for name, form in _PARTS.items() if name in held
        }
        audio = held.pop("audio", None)
        if audio is not None:
            audio = dict(audio)
            _check("audio.kind", kind := audio.pop("kind"), tuple(_AUDIO_KINDS))
            audio = _made(_AUDIO_KINDS[kind], audio, "audio")
        config = ClipConfig(clip["model"], _made(PixelFormat, pixels, "clip.pixels"))
        made: ModelConfig = _made(ModelConfig, {**held, **parts, "audio": audio, "clip": config}, "the model")
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            "cannot read the model's config", why=f"bad or missing: {error}", fix="copy the model's folder again"
        ) from error
    return made


def _made(form: type[Any], held: dict[str, Any], where: str) -> Any:
    allowed = [item.name for item in fields(form)]
    if unknown := sorted(set(held) - set(allowed)):
        raise UsageError(
            f"the model's config has no field `{unknown[0]}` in {where}",
            why=f"allowed: {', '.join(allowed)}",
            fix="update save, or mend config.json",
        )
    return form(**held)


def _check_count(name: str, value: int, low: int) -> None:
    if type(value) is not int or value < low:
        why = f"allowed: {low} or more, without a fraction"
        raise UsageError(f"`{name}` is {value!r}", why=why, fix="choose a value in this range")


def _check_amount(name: str, value: float, low: float) -> None:
    if not math.isfinite(value) or value < low:
        raise UsageError(f"`{name}` is {value!r}", why=f"allowed: {low:g} or more", fix="choose a value in this range")


def _check(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise UsageError(
            f"`{name}` is {value!r}", why=f"allowed: {', '.join(map(repr, allowed))}", fix="choose one of these"
        )
