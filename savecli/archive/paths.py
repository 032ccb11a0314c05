"""File names as text that a column can hold, and back."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

# A file name need not be valid UTF-8, but a column of strings must be: each odd byte is kept as one character of
# this private-use block, which no file system uses for names of its own.
_ODD_BYTE_BASE = 0xF700


def stored_path(path: Path | str) -> str:
    """The path as a valid Unicode string that `real_path` turns back."""
    return "".join(chr(ord(c) - 0xDC00 + _ODD_BYTE_BASE) if 0xDC80 <= ord(c) <= 0xDCFF else c for c in os.fspath(path))


def real_path(text: str) -> Path:
    """The path that `stored_path` wrote."""
    first, last = _ODD_BYTE_BASE + 0x80, _ODD_BYTE_BASE + 0xFF
    return Path("".join(chr(ord(c) - _ODD_BYTE_BASE + 0xDC00) if first <= ord(c) <= last else c for c in text))


def same_form(text: str) -> str:
    """Accents in one spelling: file systems and editors differ in theirs."""
    return unicodedata.normalize("NFC", text)
