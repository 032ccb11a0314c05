"""The query side of an archive's encoder: without torch where the archive holds it, else through torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from savecli.archive.store import Archive
from savecli.archive.text_side import TextFiles, build_tokenizer, read_text_files, text_folder
from savecli.core.progress import NoProgress, Progress
from savecli.model.exported_text import ExportedTower
from savecli.model.hub import Hub
from savecli.search.query import EncodeText

_NO_PROGRESS = NoProgress()


class TextEncoder:
    """Texts to unit vectors, by what `save index` left in the archive; within 1e-4 of torch's, as 1 - cosine.

    Args:
        folder: of the files that `files` names.
        for_many: for evaluations and shells; see `ExportedTower`.
    """

    def __init__(self, folder: Path, files: TextFiles, *, for_many: bool = False) -> None:
        self._tower = ExportedTower(folder / files.graph, folder / files.token_embedding, for_many=for_many)
        self._tokenizer = build_tokenizer(files.vocabulary_size)
        self._max_tokens = files.max_tokens

    def encode_text(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """`(N, D)` unit vectors. Beyond the context (77 tokens for CLIP, about 55 words) a text loses its end."""
        return self._tower.encode([self._tokenizer.ids(text, max_tokens=self._max_tokens) for text in texts])


def open_text_encoder(archive: Archive, *, for_many: bool = False) -> TextEncoder | None:
    """The text side that lies in the archive; None when none does, or the encoder's cannot."""
    record = archive.manifest.encoder
    files = read_text_files(archive.folder, record) if record is not None else None
    if record is None or files is None or files.obstacle:
        return None
    return TextEncoder(text_folder(archive.folder, record), files, for_many=for_many)


def load_query_encoder(
    archive: Archive, *, hub: Hub, for_many: bool = False, progress: Progress = _NO_PROGRESS
) -> EncodeText:
    """What turns queries of an archive with vectors into theirs; loads torch only where there is no other way.

    Raises:
        WeightsError: the archive does not hold the text side, and the encoder's weights are gone or changed.
    """
    encoder = open_text_encoder(archive, for_many=for_many)
    if encoder is not None:
        return encoder.encode_text
    from savecli.archive.encoder import load_text_encoder

    assert archive.manifest.encoder is not None
    return load_text_encoder(archive.manifest.encoder, hub=hub, progress=progress).encode_text
