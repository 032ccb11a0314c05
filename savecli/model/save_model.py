"""The whole model: clips and texts to encodings, their similarity, and the training step."""

from __future__ import annotations

import torch
from torch import nn

from savecli.model.audio import AudioBranch
from savecli.model.blocks import unit
from savecli.model.config import Scoring
from savecli.model.objective import Objective
from savecli.model.records import (
    Losses,
    Memory,
    TeacherVectors,
    TrainingOutput,
    VideoEncoding,
    VideoFeatures,
    VideoInputs,
)
from savecli.model.similarity import joint_logits, pooled_logits
from savecli.model.speech import speech_memory
from savecli.model.text import TextBranch
from savecli.model.video_head import VideoHead
from savecli.model.vision import VisionBranch


class SaveModel(nn.Module):
    """A model of the SAVE family; `build_model` puts one together from a config.

    Clips are encoded without the query and queries without the clips: encode once, search forever.

    Args:
        audio: None for a model that does not hear.
        sound_shape: rows and bins `(T, M)` of a filter bank.
        speech_tokens: length of the row of zeros that stands for missing speech; 0 for a model that does not read it.
        scoring: see `ModelConfig`.
        padded_speech, missing_as_zeros: see `ParityConfig`.
    """

    def __init__(
        self,
        *,
        vision: VisionBranch,
        text: TextBranch,
        audio: AudioBranch | None,
        head: VideoHead,
        objective: Objective,
        sound_shape: tuple[int, int] = (0, 0),
        speech_tokens: int = 0,
        scoring: Scoring = "joint",
        temperature: float = 1.0,
        padded_speech: bool = False,
        missing_as_zeros: bool = False,
    ) -> None:
        super().__init__()
        self.vision = vision
        self.text = text
        self.audio = audio
        self.head = head
        self.objective = objective
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())  # CLIP's start
        self.sound_shape = sound_shape
        self.speech_tokens = speech_tokens
        self.scoring = scoring
        self.temperature = temperature
        self.padded_speech = padded_speech
        self.missing_as_zeros = missing_as_zeros

    def encode_video(self, inputs: VideoInputs, *, with_parts: bool = False) -> VideoEncoding:
        """The encoding of a batch of clips; `with_parts` also what sound and speech have added, see `VideoHead`."""
        encoding: VideoEncoding = self.head(self.features(inputs), with_parts=with_parts)
        return encoding

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(T, D)` unit float32 of `(T, L)` token numbers; see `TextBranch`."""
        return self.text(tokens)  # type: ignore[no-any-return]

    def similarity(self, text: torch.Tensor, video: VideoEncoding) -> torch.Tensor:
        """`(T, B)` logits: similarity times the logit scale, of unit texts and encoded clips."""
        scale = self.logit_scale.exp()
        if self.scoring == "pooled":
            return pooled_logits(text, video.pooled, scale)
        return joint_logits(text, video.frames, video.pooled, scale, mask=video.mask, temperature=self.temperature)

    def forward(
        self, inputs: VideoInputs, captions: torch.Tensor, teacher: TeacherVectors | None = None
    ) -> TrainingOutput:
        """A training step's output for N clips and the tokens `(N, L)` of a caption of each."""
        video = self.encode_video(inputs)
        text = unit(self.text.features(captions))
        return TrainingOutput(self.losses(text, video, teacher), text, video)

    def losses(self, text: torch.Tensor, video: VideoEncoding, teacher: TeacherVectors | None = None) -> Losses:
        """The losses of N pairs, of unit texts `(N, D)` and N encoded clips, also when gathered from elsewhere."""
        return self.objective(
            self.similarity(text, video),
            self.logit_scale.exp(),
            text=text,
            visual=video.visual_pooled,
            alignment=video.alignment,
            teacher=teacher,
        )

    def features(self, inputs: VideoInputs) -> VideoFeatures:
        """What the branches make of a batch, before any fusion."""
        num_clips, num_frames = inputs.pixels.shape[:2]
        frames = self.vision.features(inputs.pixels.flatten(0, 1)).view(num_clips, num_frames, -1)
        return VideoFeatures(frames, inputs.frame_mask, self._audio_memory(inputs), self._speech_memory(inputs))

    def freeze_as_published(self, *, audio_layers: int = 12) -> None:
        """Take out of training what the published recipe keeps: embeddings, stems, and the audio encoder.

        Args:
            audio_layers: how many of the audio encoder's layers; 12 are all of AST's. All of CLIP's stay in training.
        """
        self.vision.freeze_stem()
        self.text.freeze_embeddings()
        if self.audio is not None:
            self.audio.freeze_encoder(layers=audio_layers)

    def _audio_memory(self, inputs: VideoInputs) -> Memory | None:
        if self.audio is None:
            return None
        sound, kept = inputs.sound, inputs.sound_tokens
        if sound is None and kept is None:
            if not self.missing_as_zeros:
                return None
            sound = inputs.pixels.new_zeros(len(inputs.pixels), *self.sound_shape)
            inputs = inputs._replace(sound_mask=sound.new_zeros(len(sound), dtype=torch.bool))
        if sound is not None and sound.dim() == 3:
            sound = sound.unsqueeze(1)
        shape = (sound if sound is not None else kept).shape[:2]  # type: ignore[union-attr]
        rows = self._row_mask(inputs.sound_mask, shape[0], shape[1], inputs.pixels.device)
        if kept is None:
            assert sound is not None
            sound = sound.masked_fill(~rows.any(dim=2)[:, :, None, None], 0.0)
            encoded = self.audio.encoder(sound.flatten(0, 1))
            kept = encoded.view(*shape, *encoded.shape[1:])
        tokens = self.audio.project(kept.flatten(1, 2))
        present = rows.flatten(1).any(dim=1)
        if self.missing_as_zeros:
            return Memory(tokens, None, present)
        mask = self.audio.token_mask(rows.flatten(0, 1)).reshape(len(tokens), -1)
        return Memory(tokens, mask, present)

    def _row_mask(self, mask: torch.Tensor | None, clips: int, windows: int, device: torch.device) -> torch.Tensor:
        """`(B, W, T)` of a mask of clips, windows or rows."""
        if mask is None:
            mask = torch.ones(clips, dtype=torch.bool, device=device)
        mask = mask.view(*mask.shape, *(1,) * (3 - mask.dim()))
        return mask.expand(clips, windows, self.sound_shape[0])

    def _speech_memory(self, inputs: VideoInputs) -> Memory | None:
        if not self.speech_tokens:
            return None
        tokens, mask = inputs.speech, inputs.speech_mask
        if tokens is None:
            if not self.missing_as_zeros:
                return None
            shape = (len(inputs.pixels), self.speech_tokens)
            tokens, mask = torch.zeros(shape, dtype=torch.long, device=inputs.pixels.device), None
        return speech_memory(self.text, tokens, mask, with_padding=self.padded_speech)
