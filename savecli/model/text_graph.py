"""CLIP's text tower in plain operations with weights in few bits: what becomes of it in an ONNX file."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

# How weights are stored. Sums are float32 in all of them: processors without float16 arithmetic run every file.
Precision = Literal["fp32", "fp16", "int8"]

_INT8_RANGE = 127


class StoredMatrix(nn.Module):
    """A float32 `(rows, columns)` matrix, stored in few bits; int8 has one scale per row.

    Which numbers it stands for is exact in every backend: only the rounding when it is made loses anything.
    """

    def __init__(self, matrix: torch.Tensor, precision: Precision) -> None:
        super().__init__()
        matrix = matrix.detach().float()
        self.scale: torch.Tensor | None
        if precision == "int8":
            # All-zero rows keep a scale of 1.
            highest = matrix.abs().amax(dim=1, keepdim=True)
            scale = torch.where(highest > 0, highest / _INT8_RANGE, torch.ones_like(highest))
            self.register_buffer("scale", scale)
            self.register_buffer("stored", (matrix / scale).round().to(torch.int8))
        else:
            self.scale = None
            self.register_buffer("stored", matrix.half() if precision == "fp16" else matrix.clone())
        self.stored: torch.Tensor

    def forward(self) -> torch.Tensor:
        """`(rows, columns)` float32."""
        return self._expanded(self.stored, self.scale)

    def rows(self, places: torch.Tensor) -> torch.Tensor:
        """`(..., columns)` float32 rows at `places`; only these are widened."""
        scale = None if self.scale is None else functional.embedding(places, self.scale)
        return self._expanded(functional.embedding(places, self.stored), scale)

    @staticmethod
    def _expanded(stored: torch.Tensor, scale: torch.Tensor | None) -> torch.Tensor:
        return stored.float() if scale is None else stored.float() * scale


class StoredLinear(nn.Module):
    """`x @ W^T + b` with a stored W; the bias stays float32."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, precision: Precision) -> None:
        super().__init__()
        self.weight = StoredMatrix(weight, precision)
        self.bias: torch.Tensor | None
        self.register_buffer("bias", None if bias is None else bias.detach().float().clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight(), self.bias)


class StoredBlock(nn.Module):
    """One residual attention block of open_clip, causal."""

    def __init__(self, block: Any, precision: Precision) -> None:
        super().__init__()
        attention = block.attn
        self.num_heads: int = attention.num_heads
        self.norms = nn.ModuleList([_norm(block.ln_1), _norm(block.ln_2)])
        self.scales = nn.ModuleList([deepcopy(block.ls_1), deepcopy(block.ls_2)])
        self.qkv = StoredLinear(attention.in_proj_weight, attention.in_proj_bias, precision)
        self.out = StoredLinear(attention.out_proj.weight, attention.out_proj.bias, precision)
        self.fc = StoredLinear(block.mlp.c_fc.weight, block.mlp.c_fc.bias, precision)
        self.activation = deepcopy(block.mlp.gelu)
        self.proj = StoredLinear(block.mlp.c_proj.weight, block.mlp.c_proj.bias, precision)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`(N, L, W)` of `(N, L, W)`; `mask` is `(L, L)`, -inf where a token may not look."""
        x = x + self.scales[0](self._attention(self.norms[0](x), mask))
        hidden = self.activation(self.fc(self.norms[1](x)))
        out: torch.Tensor = x + self.scales[1](self.proj(hidden))
        return out

    def _attention(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        heads = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = heads[0], heads[1], heads[2]
        logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + mask
        mixed = (logits.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        out: torch.Tensor = self.out(mixed)
        return out


class TextGraph(nn.Module):
    """Token numbers to unit vectors, of a CLIP text tower of open_clip.

    Args:
        precision: of the weights, `table_precision` of the token embedding; positions and norms stay float32.
    """

    def __init__(self, model: Any, *, precision: Precision, table_precision: Precision) -> None:
        super().__init__()
        self.token_embedding = StoredMatrix(model.token_embedding.weight, table_precision)
        self.positional_embedding = StoredMatrix(model.positional_embedding, "fp32")
        self.blocks = nn.ModuleList(StoredBlock(block, precision) for block in model.transformer.resblocks)
        self.norm = _norm(model.ln_final)
        projection = model.text_projection
        if isinstance(projection, nn.Linear):
            self.projection = StoredLinear(projection.weight, projection.bias, precision)
        else:
            self.projection = StoredLinear(projection.T, None, precision)

    @property
    def vocabulary_size(self) -> int:
        return self.token_embedding.stored.shape[0]

    @property
    def context(self) -> int:
        """Most tokens of a text."""
        return self.positional_embedding.stored.shape[0]

    def embedded(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(N, L, W)` rows of the token embedding for `(N, L)` numbers."""
        return self.token_embedding.rows(tokens)

    def encoded(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(N, D)` unit vectors of `(N, L)` token numbers, read at the largest number: the end mark."""
        return self.encoded_rows(self.embedded(tokens), tokens.argmax(dim=-1))

    def encoded_rows(self, embedded: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
        """`(N, D)` unit vectors of `(N, L, W)` rows, read at the places `end`, `(N,)`."""
        places = torch.arange(embedded.shape[1], device=embedded.device)
        x = embedded + self.positional_embedding.rows(places)
        mask = torch.where(places[None, :] > places[:, None], float("-inf"), 0.0)
        for block in self.blocks:
            x = block(x, mask)
        width = x.shape[-1]
        pooled = x.gather(1, end[:, None, None].expand(-1, 1, width)).squeeze(1)
        return functional.normalize(self.projection(self.norm(pooled)), dim=-1)


class TokenGraph(nn.Module):
    """The graph whose input is token numbers."""

    def __init__(self, tower: TextGraph) -> None:
        super().__init__()
        # Not `graph`: traced modules have an attribute of that name.
        self.tower = tower

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.tower.encoded(tokens)


class EmbeddedGraph(nn.Module):
    """The graph whose input is rows of a token embedding that lies elsewhere."""

    def __init__(self, tower: TextGraph) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, embedded: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
        return self.tower.encoded_rows(embedded, end)


def _norm(norm: Any) -> nn.LayerNorm:
    """A float32 copy of a layer norm, of whichever class."""
    copy = nn.LayerNorm(norm.normalized_shape, eps=norm.eps)
    copy.load_state_dict({name: value.float() for name, value in norm.state_dict().items()})
    return copy
