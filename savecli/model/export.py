"""The text side of a model as an ONNX file, so that a query needs neither torch nor open_clip."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import nn

from savecli.core.errors import SaveError
from savecli.model.text_graph import EmbeddedGraph, Precision, TextGraph, TokenGraph

# Furthest that a unit vector may move, as the length of the difference: a cosine of 0.99875 for int8. Random towers of
# ViT-B/32 move by 7e-7, 8e-4 and 3e-2.
MAX_DRIFT: dict[Precision, float] = {"fp32": 1e-4, "fp16": 5e-3, "int8": 5e-2}

# Where numbers lie: within the graph, or in a file beside it.
Place = Literal["inside", "outside"]

_OPSET = 18
_DATA_SUFFIX = ".data"


class TextSide(Protocol):
    """`TextBranch`, and whatever else has a text tower of open_clip at `model` and makes unit vectors of tokens."""

    model: Any

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(N, D)` unit float32 of `(N, L)` token numbers."""


@dataclass(frozen=True)
class ExportedText:
    """An exported text side.

    Args:
        graph: the ONNX file. Inputs `tokens` `(N, L)` int64; or, with the embedding outside, `embedded` `(N, L, W)`
            float32 and `end` `(N,)` int64, the place of each end mark. Output `text_embedding` `(N, D)` float32, unit.
        weights: the file of the graph's numbers, which must stay beside it; None when within the graph.
        token_embedding: `(V, W)` rows by token number, a `.npy` file to be memory-mapped; None when within the graph.
        drift: length of the largest difference to torch's unit vectors, over sample tokens.
    """

    graph: Path
    token_embedding: Path | None
    precision: Precision
    drift: float
    weights: Path | None = None


def export_text(
    text: TextSide,
    folder: Path,
    *,
    precision: Precision = "fp32",
    embedding: Place = "inside",
    weights: Place = "inside",
    table_precision: Precision | None = None,
    sample: torch.Tensor | None = None,
) -> ExportedText:
    """Write `text-PRECISION.onnx`, and `token_embedding-PRECISION.npy` where that is to lie outside.

    Outside, a query reads the few rows it needs instead of the largest table of the model; int8 keeps them as float16.
    Numbers of texts and of tokens are free, the latter up to the model's context. A file appears whole or not at all.

    Args:
        weights: outside, in `text-PRECISION.onnx.data`, they are mapped into memory instead of read and copied.
        table_precision: of the token embedding; as `precision` by default, float16 where a file cannot hold int8.
        sample: `(N, L)` token numbers to measure the drift with; random ones of all lengths by default.

    Raises:
        SaveError: the text side is not CLIP's causal one, or drifts further than `MAX_DRIFT`; nothing is written then.
        ValueError: a table of int8 that is to lie outside.
    """
    _check_is_causal_clip(text.model)
    if table_precision == "int8" and embedding == "outside":
        raise ValueError("a file of rows has no place for the scales of int8; allowed: fp32, fp16")
    table_precision = table_precision or _table_precision(precision, embedding)
    with torch.no_grad():
        graph = TextGraph(text.model, precision=precision, table_precision=table_precision).eval()
        tokens = _sample_tokens(graph) if sample is None else sample
        expected = text(tokens.to(text.model.token_embedding.weight.device)).cpu()
        drift = float((expected - graph.encoded(tokens)).norm(dim=-1).max())
        allowed = max(MAX_DRIFT[precision], MAX_DRIFT[table_precision])
        if not drift <= allowed:
            raise SaveError(
                f"the {precision} text side differs too much from the model",
                why=f"a unit vector moves by {drift:.2g}; allowed: {allowed:g}",
                fix="export with another precision",
            )
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"text-{precision}.onnx"
        if embedding == "inside":
            data = _write_graph(TokenGraph(graph), {"tokens": tokens[:2]}, path, weights)
            return ExportedText(path, None, precision, drift, data)
        table = folder / f"token_embedding-{table_precision}.npy"
        with _replacing(table) as temporary:
            np.save(temporary, graph.token_embedding.stored.numpy())
        inputs = {"embedded": graph.embedded(tokens[:2]), "end": tokens[:2].argmax(dim=-1)}
        data = _write_graph(EmbeddedGraph(graph), inputs, path, weights)
        return ExportedText(path, table, precision, drift, data)


def _table_precision(precision: Precision, embedding: Place) -> Precision:
    """A file of rows has no place for scales."""
    return "fp16" if precision == "int8" and embedding == "outside" else precision


def _check_is_causal_clip(model: Any) -> None:
    """Refuse towers that look ahead, or read their vector elsewhere than at the end mark."""
    if getattr(model, "attn_mask", None) is None or getattr(model, "text_pool_type", "argmax") != "argmax":
        raise SaveError(
            "cannot export this text side",
            why="it is not causal with an end mark, as CLIP's is",
            fix="export a model with CLIP's text tower",
        )


def _sample_tokens(graph: TextGraph) -> torch.Tensor:
    """`(N, L)` random texts of 2 to L tokens; the last number of the vocabulary is the end mark."""
    randomness = torch.Generator().manual_seed(0)
    context, end = graph.context, graph.vocabulary_size - 1
    lengths = [length for length in (2, 3, 5, 8, 12, 20, 32, context) if length <= context]
    tokens = torch.randint(1, end, (len(lengths), context), generator=randomness)
    for row, length in enumerate(lengths):
        tokens[row, length - 1] = end
        tokens[row, length:] = 0
    return tokens


def _write_graph(module: nn.Module, inputs: dict[str, torch.Tensor], path: Path, weights: Place) -> Path | None:
    """Write the graph and return the file of its numbers, if they lie outside."""
    any_size = torch.export.Dim.DYNAMIC
    free = tuple(dict.fromkeys(range(min(tensor.dim(), 2)), any_size) for tensor in inputs.values())
    with _replacing(path) as temporary, _quiet_exporter():
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            temporary,
            input_names=list(inputs),
            output_names=["text_embedding"],
            dynamic_shapes=free,
            opset_version=_OPSET,
            dynamo=True,
            external_data=weights == "outside",
            verbose=False,
        )
        written = temporary.with_name(temporary.name + _DATA_SUFFIX)  # the exporter's own name for it
        return written.replace(path.with_name(written.name)) if written.exists() else None


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter warns of itself, and logs what it cannot optimise."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when all went well."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        temporary = Path(folder) / path.name
        yield temporary
        temporary.replace(path)
