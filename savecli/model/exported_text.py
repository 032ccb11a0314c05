"""Running a text side that `export.py` wrote. Loads onnxruntime, never torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

# More threads than this wait for memory: a query is a dozen tokens through some hundred megabytes of weights.
_MOST_THREADS = 4
_TEXTS = 64


class ExportedTower:
    """Token numbers to unit vectors, through a graph whose token embedding and weights lie in files of their own.

    Args:
        graph: the ONNX file with inputs `embedded` and `end`; see `ExportedText`.
        token_embedding: `(V, W)` rows; only those in use are read.
        for_many: takes 150 ms more of opening, for ViT-B/32, to lay the weights out so that texts take half the time.
            Without it they are mapped into memory as they lie in the file.
    """

    def __init__(self, graph: Path, token_embedding: Path, *, for_many: bool = False) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors: it warns of processors it does not know
        options.intra_op_num_threads = min(_MOST_THREADS, os.cpu_count() or 1)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not for_many:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.add_session_config_entry("session.disable_prepacking", "1")
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self._table = np.load(token_embedding, mmap_mode="r", allow_pickle=False)
        self.dimension = int(self._session.get_outputs()[0].shape[-1])

    def encode(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """`(N, D)` unit vectors of N texts' token numbers.

        Each is read at the first place of its highest number, the end mark; what follows cannot matter to a causal
        tower and is not computed. A text without numbers is read as a single 0, as `TextBranch` reads a row of zeros.
        """
        parts = [self._batch(ids[start : start + _TEXTS]) for start in range(0, len(ids), _TEXTS)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dimension), np.float32)

    def _batch(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        rows = [np.asarray(row if len(row) else [0], np.int64) for row in ids]
        end = np.array([row.argmax() for row in rows], np.int64)
        embedded = np.zeros((len(rows), int(end.max()) + 1, self._table.shape[1]), np.float32)
        for place, (row, last) in enumerate(zip(rows, end, strict=True)):
            embedded[place, : last + 1] = self._table[row[: last + 1]]
        (vectors,) = self._session.run(["text_embedding"], {"embedded": embedded, "end": end})
        return np.asarray(vectors, np.float32)
