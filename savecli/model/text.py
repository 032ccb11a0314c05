"""The text branch: words to embeddings, over any text tower of open_clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

Tokenizer = Callable[[list[str]], torch.Tensor]


class TextBranch(nn.Module):
    """Texts to embeddings.

    Args:
        model: an open_clip model; its `visual` is not used and may be gone.
        tokenizer: texts to `(N, L)` token numbers, cut to the model's context: 77 for CLIP, both end marks included.
    """

    def __init__(self, model: nn.Module, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.model: Any = model  # open_clip's models share names, not a typed base
        self.tokenizer = tokenizer
        self._is_causal_clip = (
            getattr(model, "text_pool_type", "") == "argmax" and getattr(model, "attn_mask", None) is not None
        )

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        """`(N, L)` token numbers; what is longer than the context loses its end."""
        return self.tokenizer(list(texts))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(N, D)` unit float32 of `(N, L)` token numbers."""
        features = self._causal_features(tokens) if self._is_causal_clip else self.model.encode_text(tokens)
        return functional.normalize(features.float(), dim=-1)

    def _causal_features(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(N, D)`, from sequences cut after the batch's last end mark.

        The mask is causal and the output is read at the end mark, so what follows it cannot matter: the same numbers
        from a short query's 10 positions as from 77, five times faster.
        """
        model, end = self.model, tokens.argmax(dim=-1)  # the end mark has the highest number
        length = int(end.max()) + 1
        stream = model.token_embedding(tokens[:, :length]).float() + model.positional_embedding[:length].float()
        stream = model.transformer(stream, attn_mask=model.attn_mask[:length, :length])
        stream = model.ln_final(stream)
        pooled = stream[torch.arange(len(tokens), device=tokens.device), end]
        projection = model.text_projection
        return cast(torch.Tensor, projection(pooled) if isinstance(projection, nn.Module) else pooled @ projection)
