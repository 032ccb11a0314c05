"""The audio branch: sound to tokens of the shared width, through AST or through Whisper's encoder."""

from __future__ import annotations

import math
from typing import Protocol, cast

import torch
from torch import nn
from torch.nn import functional

from savecli.model.blocks import EncoderLayer

AST_NORM_EPS, WHISPER_NORM_EPS = 1e-6, 1e-5


class AudioEncoder(Protocol):
    """What `AudioBranch` asks of an encoder, which is also an `nn.Module`."""

    width: int

    def __call__(self, sound: torch.Tensor) -> torch.Tensor:
        """`(N, A, E)` before the last norm, of `(N, T, M)`."""

    def token_mask(self, rows: torch.Tensor) -> torch.Tensor:
        """`(N, A)`: which tokens look at real rows, of `(N, T)`."""


class AudioBranch(nn.Module):
    """Filter banks to audio tokens.

    Its parts are apart because the published models train the last norm and the projection only: what `encoder` gives
    never changes while training, and can be kept on disk.

    Args:
        encoder: `Ast` or `WhisperEncoder`.
        norm_eps: of the last norm.
        width: D, the shared width.
    """

    def __init__(self, encoder: nn.Module, *, norm_eps: float, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        own_width = cast(AudioEncoder, encoder).width
        self.norm = nn.LayerNorm(own_width, eps=norm_eps)
        self.projection = nn.Parameter(torch.randn(own_width, width) * own_width**-0.5)

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """`(N, A, D)` of `(N, T, M)` filter banks."""
        return self.project(self.encoder(sound))

    def project(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(N, A, D)` float32 of what `encoder` gave."""
        return (self.norm(tokens.float()) @ self.projection).float()  # type: ignore[no-any-return]

    def token_mask(self, rows: torch.Tensor) -> torch.Tensor:
        """`(N, A)` of `(N, T)`: which tokens look at real rows."""
        return cast(AudioEncoder, self.encoder).token_mask(rows)

    def freeze_encoder(self, *, layers: int) -> None:
        """Take the encoder but for what lies behind its first `layers` layers out of training."""
        for name, parameter in self.encoder.named_parameters():
            part, _, rest = name.partition(".")
            if part != "layers" or int(rest.partition(".")[0]) < layers:
                parameter.requires_grad_(False)


class Ast(nn.Module):
    """The audio spectrogram transformer without its head and last norm (golden data §7, "Audio").

    A vision transformer over overlapping patches of the filter bank, with two extra tokens, which are averaged into one
    at the end. Parameters are the original's; `convert.py` knows both its names and those of transformers.
    """

    def __init__(
        self, *, width: int, layers: int, heads: int, num_rows: int, num_mel_bins: int, patch: int, stride: int
    ) -> None:
        super().__init__()
        self.width, self.patch, self.stride = width, patch, stride
        self.grid = ((num_mel_bins - patch) // stride + 1, (num_rows - patch) // stride + 1)
        self.patches = nn.Conv2d(1, width, kernel_size=patch, stride=stride)
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.distillation_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, 2 + self.grid[0] * self.grid[1], width) * 0.02)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, norm_eps=AST_NORM_EPS, activation=functional.gelu) for _ in range(layers)
        )

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """`(N, A, E)` of `(N, T, M)`; `A` is 1 and the number of patches, the lowest frequencies' first."""
        x = self.patches(sound.transpose(1, 2).unsqueeze(1)).flatten(2).transpose(1, 2).float()
        x = torch.cat([self.class_token.expand(len(x), -1, -1), self.distillation_token.expand(len(x), -1, -1), x], 1)
        x = x + self.positions
        for layer in self.layers:
            x = layer(x)
        return torch.cat([x[:, :2].mean(dim=1, keepdim=True), x[:, 2:]], dim=1)

    def token_mask(self, rows: torch.Tensor) -> torch.Tensor:
        """`(N, A)`: the first token where any row is real, a patch where one of its rows is."""
        in_patch = functional.max_pool1d(rows.float().unsqueeze(1), self.patch, self.stride).squeeze(1) > 0
        return torch.cat([rows.any(dim=1, keepdim=True), in_patch.repeat(1, self.grid[0])], dim=1)


class WhisperEncoder(nn.Module):
    """Whisper's encoder without its last norm: two convolutions, the second halving the rate, and a transformer."""

    def __init__(self, *, width: int, layers: int, heads: int, num_rows: int, num_mel_bins: int) -> None:
        super().__init__()
        self.width = width
        self.conv1 = nn.Conv1d(num_mel_bins, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.positions = nn.Parameter(_waves((num_rows + 1) // 2, width), requires_grad=False)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, norm_eps=WHISPER_NORM_EPS, activation=functional.gelu) for _ in range(layers)
        )

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """`(N, A, E)` of log-mel rows `(N, T, M)`; `A` is half of `T`."""
        x = functional.gelu(self.conv1(sound.transpose(1, 2)))
        x = functional.gelu(self.conv2(x)).transpose(1, 2).float() + self.positions
        for layer in self.layers:
            x = layer(x)
        return x

    def token_mask(self, rows: torch.Tensor) -> torch.Tensor:
        """`(N, A)`: a token where the row it is centred on is real."""
        return rows[:, ::2]


def _waves(positions: int, width: int) -> torch.Tensor:
    """`(positions, width)`: Whisper's fixed position embeddings, sines in the first half and cosines in the second."""
    steps = torch.exp(-math.log(10000) / max(width // 2 - 1, 1) * torch.arange(width // 2))
    angles = torch.arange(positions).unsqueeze(1) * steps
    return torch.cat([angles.sin(), angles.cos()], dim=1)
