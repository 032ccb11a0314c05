"""The family in a size that learns the drawn world from scratch on one core within minutes."""

from __future__ import annotations

from dataclasses import replace

from savecli.model.clip_config import ClipConfig, PixelFormat
from savecli.model.config import AstConfig, ModelConfig

_IMAGE_SIZE = 32
_NUM_FRAMES = 4
_NUM_TOKENS, _NUM_SPEECH_TOKENS = 24, 20  # few texts of the drawn world are longer
_WIDTH, _HEAD_WIDTH, _LAYERS = 64, 32, 2
_VOCABULARY_SIZE = 4096


def drawn_towers() -> ClipConfig:
    """Towers for pictures of 32 pixels and the words of the drawn world."""
    towers = {
        "embed_dim": _WIDTH,
        "vision_cfg": {
            "image_size": _IMAGE_SIZE,
            "layers": _LAYERS,
            "width": _WIDTH,
            "head_width": _HEAD_WIDTH,
            "patch_size": 8,
        },
        "text_cfg": {
            "context_length": _NUM_TOKENS,
            "vocab_size": _VOCABULARY_SIZE,
            "width": _WIDTH,
            "heads": _WIDTH // _HEAD_WIDTH,
            "layers": _LAYERS,
        },
        "quick_gelu": True,
    }
    return ClipConfig(towers, PixelFormat(image_size=_IMAGE_SIZE))


def drawn(config: ModelConfig) -> ModelConfig:
    """A preset over `drawn_towers` with as small a rest.

    What makes the presets differ stays: branches, weights of the mix, scoring, losses, masks of padding. Two things do
    not. All take a whole clip's sound on one filter bank, as the clips are shorter than a window. And none mixes in
    zeros for what is missing, as the published systems do: on earlier, sparser worlds models that did so hardly learned
    to read speech. On the world as it is now it makes no difference (`benchmarks/RESULTS.md`, `save+zeros`).
    """
    audio = AstConfig(
        width=_WIDTH, layers=_LAYERS, heads=_WIDTH // _HEAD_WIDTH, num_rows=128, num_mel_bins=64, patch=16, stride=16
    )
    inputs = replace(
        config.inputs,
        num_frames=_NUM_FRAMES,
        caption_tokens=_NUM_TOKENS,
        speech_tokens=_NUM_SPEECH_TOKENS,
        sound="stretched",
    )
    return replace(
        config,
        audio=audio if config.audio is not None else None,
        temporal_layers=1,
        resampler_layers=1,
        num_queries=4,
        fusion_layers=1,
        head_width=_HEAD_WIDTH,
        parity=replace(config.parity, missing_as_zeros=False),
        inputs=inputs,
    )
