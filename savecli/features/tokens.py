"""Texts to the token numbers of CLIP's text tower."""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from heapq import heapify, heappop, heappush
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from savecli.core.errors import SaveError

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import Split

# CLIP's file of merges, as open_clip ships it; found without importing open_clip, which would load torchvision.
_MERGES_PACKAGE, _MERGES_NAME = "open_clip", "bpe_simple_vocab_16e6.txt.gz"

# The file has more merges than CLIP was trained with: bytes, bytes that end a word, merges and two marks make 49,408.
VOCABULARY_SIZE, _NUM_BYTES, _NUM_MARKS = 49408, 256, 2
_SMALLEST_VOCABULARY = 2 * _NUM_BYTES + _NUM_MARKS

_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_START, _END, _END_OF_WORD = "<|startoftext|>", "<|endoftext|>", "</w>"

# Marks, English contractions, runs of letters, single digits, and runs of anything else that is no blank.
# `re` does not know Unicode's classes, but is three times as fast on the texts that need none.
_ASCII_WORDS = re.compile(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+")
# U+0345 is a mark whose capital is a letter, which makes it one where letters are matched regardless of case.
_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    r"|[\p{L}\x{0345}]+|\p{N}|[^\s\p{L}\p{N}\x{0345}]+"
)

# The published SAVE gives shorter captions and transcripts no tokens at all, not even the marks.
REFERENCE_MIN_CHARACTERS = 5


@dataclass(frozen=True, eq=False)
class TokenRows:
    """Texts as the text tower takes them.

    Args:
        ids: `(N, L)` int64, filled up with 0.
        mask: `(N, L)` bool, True on tokens, the start and end marks included; a missing text has none.
    """

    ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.bool_]


class ClipTokenizer:
    """CLIP's byte-pair tokenizer.

    In Python, as a query waits for it: the `tokenizers` package takes three times as long to take in the merges, and
    each word is cut up only once. What the package knows of Unicode is loaded for texts that are not plain ASCII.

    A literal `<|startoftext|>` or `<|endoftext|>` in a text becomes the mark itself, as in the published systems.

    Args:
        merges: CLIP's file of merges, plain or gzipped.
        repair: mends broken Unicode before anything else; the published token numbers come from `ftfy.fix_text`.
        min_characters: texts with fewer, as given, get no tokens; `REFERENCE_MIN_CHARACTERS` is SAVE's rule.
        vocabulary_size: a smaller one than CLIP's knows fewer merges, the most frequent ones, and cuts rare words into
            more pieces; for models whose table of embeddings must be small.

    Raises:
        SaveError: the file is not CLIP's.
        ValueError: a vocabulary larger than CLIP's, or one without all bytes and marks.
    """

    def __init__(
        self,
        merges: Path,
        *,
        repair: Callable[[str], str],
        min_characters: int = 0,
        vocabulary_size: int = VOCABULARY_SIZE,
    ) -> None:
        self._ranks = _merge_ranks(merges, vocabulary_size)
        self._letters = _byte_letters()
        self._letter_ids = _letter_ids()
        self._repair = repair
        self._min_characters = min_characters
        self.vocabulary_size = vocabulary_size
        self.start_id, self.end_id = vocabulary_size - 2, vocabulary_size - 1
        self._word_ids = lru_cache(maxsize=1 << 16)(self._encoded_word)

    def ids(self, text: str | None, *, max_tokens: int) -> list[int]:
        """Start mark, words, end mark: at most `max_tokens` numbers, of which the end mark always is one.

        None is a missing text and has no tokens; so has a text shorter than `min_characters`. A blank text is not
        missing: it has both marks.

        Raises:
            ValueError: `max_tokens` has no room for both marks.
        """
        if max_tokens < _NUM_MARKS:
            raise ValueError(f"max_tokens is {max_tokens}; allowed: {_NUM_MARKS} or more")
        if text is None or len(text) < self._min_characters:
            return []
        ids = [self.start_id]
        for word in self._words(self._clean(text)):
            if len(ids) >= max_tokens - 1:
                break
            ids.extend(self._word_ids(word))
        return [*ids[: max_tokens - 1], self.end_id]

    def rows(self, texts: Sequence[str | None], *, max_tokens: int = 77) -> TokenRows:
        """`(N, max_tokens)` numbers and mask of N texts; see `ids`."""
        ids = np.zeros((len(texts), max_tokens), np.int64)
        mask = np.zeros((len(texts), max_tokens), np.bool_)
        for row, text in enumerate(texts):
            tokens = self.ids(text, max_tokens=max_tokens)
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = True
        return TokenRows(ids, mask)

    def _clean(self, text: str) -> str:
        unescaped = html.unescape(html.unescape(self._repair(text)))
        return " ".join(unescaped.split()).lower()

    def _words(self, text: str) -> list[str]:
        if text.isascii():
            return _ASCII_WORDS.findall(text)
        return [word for word, _ in self._split.pre_tokenize_str(text)]

    @cached_property
    def _split(self) -> Split:
        from tokenizers import Regex, pre_tokenizers

        return pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)

    def _encoded_word(self, word: str) -> tuple[int, ...]:
        if word in (_START, _END):
            return (self.start_id if word == _START else self.end_id,)
        return tuple(self._merged([self._letters[byte] for byte in word.encode()]))

    def _merged(self, pieces: list[str]) -> list[int]:
        """Numbers of what remains when neighbours are joined, those of the lowest rank first, until none has one.

        A heap of all pairs with a rank; a pair that is no longer there when its turn comes is passed over.
        """
        pieces[-1] += _END_OF_WORD
        ids: list[int | None] = [self._letter_ids[piece] for piece in pieces]
        last = len(pieces)
        after, before = list(range(1, last + 1)), list(range(-1, last - 1))
        heap = [(rank, left) for left in range(last - 1) if (rank := self._rank(pieces, left, left + 1)) is not None]
        heapify(heap)
        while heap:
            rank, left = heappop(heap)
            right = after[left]
            if ids[left] is None or right == last or self._rank(pieces, left, right) != rank:
                continue
            pieces[left] += pieces[right]
            ids[left], ids[right] = 2 * _NUM_BYTES + rank, None
            after[left] = after[right]
            if after[left] < last:
                before[after[left]] = left
            for start, end in ((before[left], left), (left, after[left])):
                if start >= 0 and end < last and (joined := self._rank(pieces, start, end)) is not None:
                    heappush(heap, (joined, start))
        return [number for number in ids if number is not None]

    def _rank(self, pieces: list[str], left: int, right: int) -> int | None:
        return self._ranks.get(f"{pieces[left]} {pieces[right]}")


def clip_merges() -> Path:
    """CLIP's file of merges within the installed open_clip, which is not loaded for it.

    Raises:
        SaveError: open_clip is not installed, or came without the file.
    """
    spec = find_spec(_MERGES_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / _MERGES_NAME
        if path.is_file():
            return path
    raise SaveError(
        "CLIP's vocabulary is not here",
        why=f"{_MERGES_NAME} is part of open_clip, which is " + ("broken" if spec else "not installed"),
        fix="pip install --force-reinstall open_clip_torch",
    )


def _merge_ranks(path: Path, size: int) -> dict[str, int]:
    """Places of the merges, each written as both its parts with a blank between: the lower, the sooner.

    The Nth of them makes the token that comes N after those of single bytes.
    """
    if not _SMALLEST_VOCABULARY <= size <= VOCABULARY_SIZE:
        raise ValueError(f"vocabulary_size is {size}; allowed: {_SMALLEST_VOCABULARY} to {VOCABULARY_SIZE}")
    raw = path.read_bytes()
    lines = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8").split("\n")
    merges = lines[1 : 1 + size - _SMALLEST_VOCABULARY]  # the first line is a title
    num_tokens = _SMALLEST_VOCABULARY + len({merge.replace(" ", "") for merge in merges})
    if num_tokens != size:
        raise SaveError(
            f"cannot use {path.name} as CLIP's vocabulary",
            why=f"it makes {num_tokens} tokens instead of {size}",
            fix=f"give {_MERGES_NAME} as OpenAI published it",
        )
    return dict(zip(merges, range(len(merges)), strict=True))


def _byte_letters() -> list[str]:
    """The letter that stands for each byte."""
    letters = [""] * _NUM_BYTES
    for place, byte in enumerate(_bytes_in_order()):
        letters[byte] = chr(byte) if place < len(_PRINTABLE) else chr(_NUM_BYTES + place - len(_PRINTABLE))
    return letters


def _letter_ids() -> dict[str, int]:
    """Numbers of single letters, and of letters that end a word."""
    letters = _byte_letters()
    in_order = [letters[byte] for byte in _bytes_in_order()]
    return {letter: number for number, letter in enumerate([*in_order, *(x + _END_OF_WORD for x in in_order)])}


def _bytes_in_order() -> list[int]:
    """Bytes in the order of CLIP's numbers: printable Latin-1 first, then the rest."""
    return [*_PRINTABLE, *(byte for byte in range(_NUM_BYTES) if byte not in _PRINTABLE)]
