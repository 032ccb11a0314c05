"""Models worth naming. Each function states only what differs from the one it begins with; docs/model.md has sources.

A name may end in the base of its towers: `save` is `save-vit-b32`, and there are `save-vit-b16` and, for the drawn
world, `save-drawn`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from savecli.core.errors import UsageError
from savecli.model.clip_config import ClipConfig, PixelFormat, clip_config
from savecli.model.clip_spec import ClipSpec
from savecli.model.config import (
    PUBLISHED,
    AstConfig,
    InputConfig,
    LossConfig,
    MixConfig,
    ModelConfig,
    WhisperConfig,
)
from savecli.model.drawn import drawn, drawn_towers

Preset = Callable[[ClipConfig], ModelConfig]


def save(clip: ClipConfig) -> ModelConfig:
    """SAVE as published (CVPR 2026): the structure of the defaults, with the reference's masks."""
    return replace(_base(clip, "save"), parity=PUBLISHED, inputs=InputConfig(shortest_text=5))


def save_h(clip: ClipConfig) -> ModelConfig:
    """SAVE-h, "holistic": one vector a clip, by our reading of the paper's table."""
    return replace(save(clip), name="save-h", scoring="pooled")


def save_2(clip: ClipConfig) -> ModelConfig:
    """SAVE-2: Whisper's encoder in the place of AST. Which Whisper is not said; ours is as large as AST."""
    return replace(save(clip), name="save-2", audio=WhisperConfig())


def save_3(clip: ClipConfig) -> ModelConfig:
    """SAVE-3: SAVE-2 without speech; sound gets the weight of both."""
    return replace(save_2(clip), name="save-3", has_speech=False, mix=MixConfig(audio=1.0))


def save_no_audio(clip: ClipConfig) -> ModelConfig:
    """The ablation without sound, hence without alignment; speech gets the weight of both."""
    return replace(save(clip), name="save-no-audio", audio=None, mix=MixConfig(speech=1.0))


def save_no_alignment(clip: ClipConfig) -> ModelConfig:
    """The ablation without soft-ALBEF."""
    return replace(save(clip), name="save-no-alignment", loss=LossConfig(alignment=None))


def save_hard_alignment(clip: ClipConfig) -> ModelConfig:
    """The ablation whose alignment takes each clip's own sound as the only right one."""
    return replace(save(clip), name="save-hard-alignment", loss=LossConfig(alignment="contrastive"))


def save_plus(clip: ClipConfig) -> ModelConfig:
    """Ours: SAVE with the faults of the reference mended, see docs/model.md; no published number is its own."""
    inputs = InputConfig(caption_tokens=77, speech_tokens=77, sound="windows")
    return replace(_base(clip, "save-plus"), inputs=inputs)


def avigate(clip: ClipConfig) -> ModelConfig:
    """AVIGATE as published (CVPR 2025): sound only, mixed in at 1:19, no alignment, no rule for short texts."""
    return replace(
        save(clip),
        name="avigate",
        has_speech=False,
        mix=MixConfig(visual=0.95, audio=0.05),
        loss=LossConfig(alignment=None),
        inputs=InputConfig(),
    )


def avigate_h(clip: ClipConfig) -> ModelConfig:
    """AVIGATE by pooled similarity only, as SAVE-h is to SAVE."""
    return replace(avigate(clip), name="avigate-h", scoring="pooled")


def avigate_speech(clip: ClipConfig) -> ModelConfig:
    """AVIGATE with speech and without alignment, its weight of 0.05 shared; not claimed to be the paper's AVIGATE+."""
    mix = MixConfig(visual=0.95, audio=0.025, speech=0.025)
    return replace(avigate(clip), name="avigate-speech", has_speech=True, mix=mix)


def clip4clip_meanp(clip: ClipConfig) -> ModelConfig:
    """CLIP4Clip (2021) by mean pooling: pictures only, no margin."""
    return replace(
        _base(clip, "clip4clip-meanp"),
        temporal="none",
        audio=None,
        has_speech=False,
        scoring="pooled",
        loss=LossConfig(margin_scale=0.0, alignment=None),
    )


def clip4clip_seqtransf(clip: ClipConfig) -> ModelConfig:
    """CLIP4Clip with a transformer over the frames."""
    return replace(clip4clip_meanp(clip), name="clip4clip-seqtransf", temporal="transformer")


def clip4clip_seqlstm(clip: ClipConfig) -> ModelConfig:
    """CLIP4Clip with an LSTM over the frames."""
    return replace(clip4clip_meanp(clip), name="clip4clip-seqlstm", temporal="lstm")


def reduced(config: ModelConfig) -> ModelConfig:
    """The same model with towers of a few thousand numbers, for tests."""
    towers = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 640, "width": 32, "heads": 2, "layers": 2},
        "quick_gelu": True,
    }
    audio = config.audio
    if isinstance(audio, AstConfig):
        audio = AstConfig(width=24, layers=1, heads=2, num_rows=46, num_mel_bins=36)
    elif isinstance(audio, WhisperConfig):
        audio = WhisperConfig(width=24, layers=1, heads=2, num_rows=20, num_mel_bins=8)
    return replace(
        config,
        clip=ClipConfig(towers, PixelFormat(image_size=32)),
        audio=audio,
        temporal_layers=1,
        resampler_layers=1,
        num_queries=4,
        fusion_layers=1,
        head_width=16,
    )


def tiny(clip: ClipConfig) -> ModelConfig:
    """`save-plus` for tests."""
    return replace(reduced(save_plus(clip)), name="tiny")


PRESETS: dict[str, Preset] = {
    "save": save,
    "save-h": save_h,
    "save-2": save_2,
    "save-3": save_3,
    "save-no-audio": save_no_audio,
    "save-no-alignment": save_no_alignment,
    "save-hard-alignment": save_hard_alignment,
    "save-plus": save_plus,
    "avigate": avigate,
    "avigate-h": avigate_h,
    "avigate-speech": avigate_speech,
    "clip4clip-meanp": clip4clip_meanp,
    "clip4clip-seqtransf": clip4clip_seqtransf,
    "clip4clip-seqlstm": clip4clip_seqlstm,
    "tiny": tiny,
}
_BASES = {"-vit-b32": "ViT-B-32", "-vit-b16": "ViT-B-16"}
DRAWN = "-drawn"


def find_preset(name: str) -> ModelConfig:
    """The config of a name, with ViT-B/32 where it does not say another base; reads open_clip's data files.

    Raises:
        UsageError: no such preset.
    """
    suffix = next((suffix for suffix in (*_BASES, DRAWN) if name.endswith(suffix)), "")
    preset = PRESETS.get(name.removesuffix(suffix))
    if preset is None:
        raise UsageError(
            f"no preset `{name}`",
            why=f"there are {', '.join(PRESETS)}, each also with {', '.join(_BASES)} or {DRAWN} behind it",
            fix="choose one of these",
        )
    if suffix == DRAWN:
        return replace(drawn(preset(drawn_towers())), name=name)
    spec = ClipSpec(_BASES[suffix or "-vit-b32"], "openai")
    return replace(preset(clip_config(spec)), name=name)


def _base(clip: ClipConfig, name: str) -> ModelConfig:
    return ModelConfig(name=name, clip=clip)
