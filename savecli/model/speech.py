"""The speech branch: the words said in a clip, through the text branch's own encoder."""

from __future__ import annotations

import torch

from savecli.model.records import Memory
from savecli.model.text import TextBranch


def speech_memory(
    text: TextBranch, tokens: torch.Tensor, mask: torch.Tensor | None = None, *, with_padding: bool = False
) -> Memory:
    """One vector per speech token, `(B, L, D)`, from the encoder that queries go through (SAVE's shared text encoder).

    A function and not a module: its weights are the text branch's, and must be listed once.

    Args:
        tokens: `(B, L)`.
        mask: `(B, L)`; None takes what `spoken_mask` says.
        with_padding: let positions behind the end mark count, as the published system does.
    """
    spoken = spoken_mask(tokens) if mask is None else mask
    return Memory(text.token_features(tokens), None if with_padding else spoken, spoken.any(dim=1))


def spoken_mask(tokens: torch.Tensor) -> torch.Tensor:
    """`(B, L)`: True up to the end mark, which is the highest number of a row; nowhere in a row of zeros."""
    upto = torch.arange(tokens.shape[1], device=tokens.device) <= tokens.argmax(dim=1, keepdim=True)
    return upto & tokens.any(dim=1, keepdim=True)
