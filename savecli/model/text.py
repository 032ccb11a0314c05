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
            None when only token numbers come.
    """

    def __init__(self, model: nn.Module, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.model: Any = model  # open_clip's models share names, not a typed base
        self.tokenizer = tokenizer
        self.is_causal_clip = (
            getattr(model, "text_pool_type", "") == "argmax" and getattr(model, "attn_mask", None) is not None
        )

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        """`(N, L)` token numbers; what is longer than the context loses its end."""
        if self.tokenizer is None:
            raise ValueError("this branch was built without a tokenizer")
        return self.tokenizer(list(texts))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(N, D)` unit float32 of `(N, L)` token numbers.

        For CLIP, computed from sequences cut after the batch's last end mark: the mask is causal and the output is read
        at the end mark, so what follows it cannot matter. The same numbers from a short query's 10 positions as from
        77, five times faster.
        """
        if not self.is_causal_clip:
            return functional.normalize(self.model.encode_text(tokens).float(), dim=-1)
        length = int(tokens.argmax(dim=-1).max()) + 1
        return functional.normalize(self.features(tokens[:, :length]), dim=-1)

    def features(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(N, D)` float32 at each row's end mark, of any length; a row of zeros is read at its first position.

        All positions are computed, so that shapes do not depend on the words: for training and compiling.
        """
        stream = self._causal_stream(tokens)
        end = tokens.argmax(dim=-1)  # the end mark has the highest number
        return self._projected(stream[torch.arange(len(tokens), device=tokens.device), end])

    def token_features(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(N, L, D)` float32: what `features` would be at every position, also behind the end mark."""
        return self._projected(self._causal_stream(tokens))

    def freeze_embeddings(self) -> None:
        """Take the token and position embeddings out of training, as published."""
        self.model.token_embedding.requires_grad_(False)
        self.model.positional_embedding.requires_grad_(False)

    def _causal_stream(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(N, L, width)`, each position having looked at those before it."""
        model, length = self.model, tokens.shape[1]
        stream = model.token_embedding(tokens).float() + model.positional_embedding[:length].float()
        stream = model.transformer(stream, attn_mask=model.attn_mask[:length, :length])
        return cast(torch.Tensor, model.ln_final(stream))

    def _projected(self, stream: torch.Tensor) -> torch.Tensor:
        projection = self.model.text_projection
        features = projection(stream) if isinstance(projection, nn.Module) else stream @ projection
        return cast(torch.Tensor, features.float())
