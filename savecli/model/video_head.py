"""From what the branches make of a clip to its one representation: fusion, mixing, pooling."""

from __future__ import annotations

import torch
from torch import nn

from savecli.model.blocks import masked_mean, unit
from savecli.model.fusion import FusionOutput, GatedFusion
from savecli.model.records import AlignmentVectors, Memory, VideoEncoding, VideoFeatures
from savecli.model.resampler import Resampler
from savecli.model.similarity import pooled_embedding
from savecli.model.temporal import TemporalHead


class VideoHead(nn.Module):
    """The trained-from-scratch part of a model: features of a clip to its encoding (golden data §4).

        v  = temporal(frames)
        av = audio_fusion(v, resampler(audio)),  sv = speech_fusion(v, speech)
        z  = unit(w_v v + w_a av + w_s sv),      pooled = unit(mean of z over the real frames)

    Where a clip has only one of sound and speech, that one gets the weight of both, and where it has neither, z is
    unit(v): what is missing is dropped.

    Args:
        weights: w_v, w_a and w_s.
        padded_frames, missing_as_zeros: as in `ParityConfig`; with the second, what came in the place of missing sound
            or speech is mixed in like any other.
    """

    def __init__(
        self,
        temporal: TemporalHead,
        *,
        resampler: Resampler | None,
        audio_fusion: GatedFusion | None,
        speech_fusion: GatedFusion | None,
        weights: tuple[float, float, float],
        padded_frames: bool = False,
        missing_as_zeros: bool = False,
    ) -> None:
        super().__init__()
        self.temporal = temporal
        self.resampler = resampler
        self.audio_fusion = audio_fusion
        self.speech_fusion = speech_fusion
        self.weights = weights
        self.padded_frames = padded_frames
        self.missing_as_zeros = missing_as_zeros

    def forward(self, features: VideoFeatures, *, with_parts: bool = False) -> VideoEncoding:
        """The encoding of `(B, F, D)` frames with the memories there are.

        Args:
            with_parts: also what sound and speech have added to the pooled embedding.
        """
        mask = features.frame_mask
        inner_mask = None if self.padded_frames else mask
        # What lies in padding, be it NaN, must not reach the sums that its weight of 0 takes part in.
        frames = features.frames if self.padded_frames else features.frames.masked_fill(~mask.unsqueeze(-1), 0.0)
        visual = self.temporal(frames, mask)
        visual_units = unit(visual)
        sound = speech = None
        alignment = None
        if features.audio is not None and self.audio_fusion is not None and self.resampler is not None:
            tokens = self.resampler(self._clean(features.audio), mask=features.audio.mask)
            sound = self.audio_fusion(visual, tokens, mask=inner_mask)
            alignment = AlignmentVectors(
                visual=unit(masked_mean(visual_units, inner_mask)),
                audio=unit(unit(tokens).mean(dim=1)),
                has_audio=features.audio.present,
            )
        if features.speech is not None and self.speech_fusion is not None:
            memory = self._clean(features.speech)
            speech = self.speech_fusion(visual, memory, mask=inner_mask, memory_mask=features.speech.mask)
        frames = unit(self._mixed(visual, sound, speech, features))
        pooled = pooled_embedding(frames, mask)
        parts = self._parts(visual, sound, speech, features, pooled) if with_parts else (None, None)
        return VideoEncoding(
            frames=frames,
            pooled=pooled,
            mask=mask,
            visual_pooled=pooled_embedding(visual_units, mask),
            alignment=alignment,
            audio_gates=sound.gates if sound else None,
            speech_gates=speech.gates if speech else None,
            audio_part=parts[0],
            speech_part=parts[1],
        )

    def _parts(
        self,
        visual: torch.Tensor,
        sound: FusionOutput | None,
        speech: FusionOutput | None,
        features: VideoFeatures,
        pooled: torch.Tensor,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """`(B, D)` each: by how much sound and speech change the pooled embedding.

        The Shapley value of each: the mean of what it adds to sight alone and to sight with the other one. So
        `pooled` = sight alone + both parts, and neither is favoured by coming first.
        """

        def pooled_of(heard: FusionOutput | None, said: FusionOutput | None) -> torch.Tensor:
            mixed = self._mixed(visual, heard, said, features)
            return pooled_embedding(unit(mixed), features.frame_mask)

        if sound is None and speech is None:
            return None, None
        seen = pooled_of(None, None)
        if sound is None or speech is None:
            return (None if sound is None else pooled - seen), (None if speech is None else pooled - seen)
        with_sound, with_speech = pooled_of(sound, None), pooled_of(None, speech)
        audio_part = (with_sound - seen + pooled - with_speech) / 2
        return audio_part, pooled - seen - audio_part

    def _mixed(
        self, visual: torch.Tensor, sound: FusionOutput | None, speech: FusionOutput | None, features: VideoFeatures
    ) -> torch.Tensor:
        """`(B, F, D)`, not yet unit."""
        own, *others = self.weights
        parts: list[torch.Tensor] = []
        shares: list[torch.Tensor] = []
        for fused, memory, weight in zip((sound, speech), (features.audio, features.speech), others, strict=True):
            if fused is not None and memory is not None:
                counts = torch.ones_like(memory.present) if self.missing_as_zeros else memory.present
                parts.append(fused.frames)
                shares.append(weight * counts.to(fused.frames.dtype))
        if not parts:
            return visual
        held = torch.stack(shares)
        if not self.missing_as_zeros:
            held = held * (self._whole_weight() / held.sum(dim=0).clamp(min=1e-12))
        mixed = own * visual
        for part, share in zip(parts, held, strict=True):
            mixed = mixed + share[:, None, None] * part
        return mixed

    def _whole_weight(self) -> float:
        """The weight of all branches that the model has."""
        _, audio, speech = self.weights
        return (audio if self.audio_fusion else 0.0) + (speech if self.speech_fusion else 0.0)

    @staticmethod
    def _clean(memory: Memory) -> torch.Tensor:
        if memory.mask is None:
            return memory.tokens
        return memory.tokens.masked_fill(~memory.mask.unsqueeze(-1), 0.0)
