"""From text to token numbers (README, section 9): the merges one after the other, of the vocabulary open_clip holds."""

from __future__ import annotations

import gzip
import html
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import ftfy
import regex

START, END = "<|startoftext|>", "<|endoftext|>"
NUM_MERGES = 49152 - 256 - 2
PIECES = regex.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE
)


def byte_signs() -> dict[int, str]:
    """The printable sign that stands for each byte; its own where there is one. In the order of the vocabulary."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in own]
    return {byte: chr(byte) for byte in own} | {byte: chr(256 + place) for place, byte in enumerate(others)}


@dataclass(frozen=True)
class Vocabulary:
    """Ranks of the merges, and numbers of the tokens."""

    ranks: dict[tuple[str, str], int]
    numbers: dict[str, int]


def read_vocabulary() -> Vocabulary:
    """Of the file that comes with open_clip, which is not imported for it."""
    found = find_spec("open_clip")
    assert found is not None
    assert found.origin is not None
    packed = (Path(found.origin).parent / "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")[1 : NUM_MERGES + 1]
    merges = [(first, second) for first, second in (line.split() for line in lines)]
    signs = list(byte_signs().values())
    tokens = [*signs, *(f"{sign}</w>" for sign in signs), *("".join(pair) for pair in merges), START, END]
    return Vocabulary(
        {pair: rank for rank, pair in enumerate(merges)}, {token: number for number, token in enumerate(tokens)}
    )


def merged(parts: Sequence[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """The parts, with the pair of the lowest rank joined wherever it is, until there is none."""
    parts = list(parts)
    while pairs := [pair for pair in pairwise(parts) if pair in ranks]:
        best, joined = min(pairs, key=ranks.__getitem__), []
        while parts:
            count = 2 if tuple(parts[:2]) == best else 1
            joined.append("".join(parts[:count]))
            parts = parts[count:]
        parts = joined
    return parts


def token_ids(text: str, vocabulary: Vocabulary, *, most: int) -> list[int]:
    """Without the padding; none for a text of fewer than five characters."""
    if len(text) < 5:
        return []
    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    text = regex.sub(r"\s+", " ", text).strip().lower()
    signs, numbers = byte_signs(), [vocabulary.numbers[START]]
    for piece in PIECES.findall(text):
        parts = [signs[byte] for byte in piece.encode("utf-8")]
        tokens = [piece] if piece in (START, END) else merged([*parts[:-1], f"{parts[-1]}</w>"], vocabulary.ranks)
        numbers += [vocabulary.numbers[token] for token in tokens]
    return [*numbers[: most - 1], vocabulary.numbers[END]]
