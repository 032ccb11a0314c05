"""From a config to a model: the only place that reads both."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

from torch import nn

from savecli.core.errors import UsageError
from savecli.model.audio import AST_NORM_EPS, WHISPER_NORM_EPS, Ast, AudioBranch, WhisperEncoder
from savecli.model.clip_model import build_towers
from savecli.model.config import AstConfig, ModelConfig, WhisperConfig
from savecli.model.fusion import GatedFusion
from savecli.model.initial import start_from_clip
from savecli.model.objective import Objective
from savecli.model.resampler import Resampler
from savecli.model.save_model import SaveModel
from savecli.model.temporal import TemporalHead
from savecli.model.text import TextBranch
from savecli.model.video_head import VideoHead
from savecli.model.vision import VisionBranch


def build_model(config: ModelConfig) -> SaveModel:
    """The model of a config in fp32 on the CPU, with random towers and what starts from them.

    Raises:
        UsageError: its CLIP is not one that a model of this family can be based on, or does not fit the rest.
    """
    towers: Any = build_towers(config.clip)
    _check_fits(config, num_positions=len(towers.positional_embedding))
    vision = VisionBranch(cast(nn.Module, towers.visual))
    # The text branch keeps the rest but the scale, which is the model's own.
    del towers.visual, towers.logit_scale, towers.logit_bias
    parity = config.parity
    model = SaveModel(
        vision=vision,
        text=TextBranch(towers),
        audio=_audio_branch(config),
        head=_head(config, max_frames=len(towers.positional_embedding)),
        objective=_objective(config),
        sound_shape=(config.audio.num_rows, config.audio.num_mel_bins) if config.audio else (0, 0),
        speech_tokens=config.inputs.speech_tokens if config.has_speech else 0,
        scoring=config.scoring,
        temperature=config.temperature,
        padded_speech=parity.padded_speech,
        missing_as_zeros=parity.missing_as_zeros,
    )
    start_from_clip(model)
    return model


def _check_fits(config: ModelConfig, *, num_positions: int) -> None:
    """Refuse what is longer than the towers' positions, which start those of the frames, too, and odd heads."""
    inputs = config.inputs
    for name, value, is_bound in (
        ("inputs.caption_tokens", inputs.caption_tokens, True),
        ("inputs.speech_tokens", inputs.speech_tokens, config.has_speech),
        ("inputs.num_frames", inputs.num_frames, config.temporal in ("positions", "transformer")),
    ):
        if is_bound and value > num_positions:
            raise UsageError(
                f"`{name}` is {value}",
                why=f"CLIP's towers have {num_positions} positions",
                fix=f"choose {num_positions} or less",
            )
    width, audio = config.clip.dimension, config.audio
    heads = [("head_width", config.head_width, width, max(1, width // config.head_width))]
    if audio is not None:
        heads.append(("audio.heads", audio.heads, audio.width, audio.heads))
    for name, value, whole, count in heads:
        if whole % count:
            raise UsageError(
                f"`{name}` is {value}",
                why=f"a width of {whole} does not split into {count} heads",
                fix=f"choose a divisor of {whole}",
            )


def _head(config: ModelConfig, *, max_frames: int) -> VideoHead:
    width = config.clip.dimension
    heads = max(1, width // config.head_width)
    resampler = audio_fusion = speech_fusion = None
    if config.audio is not None:
        resampler = Resampler(width, layers=config.resampler_layers, heads=heads, queries=config.num_queries)
        audio_fusion = GatedFusion(width, layers=config.fusion_layers, heads=heads)
    if config.has_speech:
        speech_fusion = GatedFusion(width, layers=config.fusion_layers, heads=heads)
    mix, parity = config.mix, config.parity
    return VideoHead(
        TemporalHead(config.temporal, width=width, max_frames=max_frames, layers=config.temporal_layers, heads=heads),
        resampler=resampler,
        audio_fusion=audio_fusion,
        speech_fusion=speech_fusion,
        weights=(mix.visual, mix.audio, mix.speech),
        padded_frames=parity.padded_frames,
        missing_as_zeros=parity.missing_as_zeros,
    )


def _audio_branch(config: ModelConfig) -> AudioBranch | None:
    width = config.clip.dimension
    if isinstance(config.audio, AstConfig):
        return AudioBranch(Ast(**asdict(config.audio)), norm_eps=AST_NORM_EPS, width=width)
    if isinstance(config.audio, WhisperConfig):
        return AudioBranch(WhisperEncoder(**asdict(config.audio)), norm_eps=WHISPER_NORM_EPS, width=width)
    return None


def _objective(config: ModelConfig) -> Objective:
    loss = config.loss
    return Objective(
        margin_scale=loss.margin_scale,
        margin_limit=loss.margin_limit,
        alignment=loss.alignment if config.audio else None,
        alignment_weight=loss.alignment_weight,
        alignment_scale=loss.alignment_scale,
    )
