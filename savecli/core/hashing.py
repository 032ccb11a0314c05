"""What a file contains, told apart from what it is called."""

from __future__ import annotations

import hashlib
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def content_hash(path: Path) -> str:
    """32 hex digits of SHA-256 over the whole file: the `video_id`. Reading dominates; decoding costs 50 times more."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()[:32]


def sample_hash(path: Path) -> str:
    """Hash of the size and three samples of a megabyte: start, middle, end.

    Three reads tell a moved file from another of the same size, whatever their length; where a change inside the
    file must be seen, `content_hash` is the judge.
    """
    size_bytes = path.stat().st_size
    digest = hashlib.sha256(str(size_bytes).encode())
    with path.open("rb") as file:
        for start in (0, max(0, size_bytes // 2 - _BLOCK_BYTES // 2), max(0, size_bytes - _BLOCK_BYTES)):
            file.seek(start)
            digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()[:32]
