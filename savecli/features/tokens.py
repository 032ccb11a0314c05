"""Texts to the token numbers of CLIP's text tower."""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from savecli.core.errors import SaveError

# CLIP's file of merges, as open_clip ships it; found without importing open_clip, which would load torchvision.
_MERGES_PACKAGE, _MERGES_NAME = "open_clip", "bpe_simple_vocab_16e6.txt.gz"

# The file has more merges than CLIP was trained with: bytes, bytes that end a word, merges and two marks make 49,408.
VOCABULARY_SIZE, _NUM_BYTES, _NUM_MARKS = 49408, 256, 2
_SMALLEST_VOCABULARY = 2 * _NUM_BYTES + _NUM_MARKS

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
        vocabulary, pairs = _vocabulary(merges, vocabulary_size)
        self._tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs, end_of_word_suffix=_END_OF_WORD))
        self._tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        self._split = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
        self._repair = repair
        self._min_characters = min_characters
        self.vocabulary_size = len(vocabulary)
        self.start_id, self.end_id = vocabulary[_START], vocabulary[_END]
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

    def _encoded_word(self, word: str) -> tuple[int, ...]:
        if word in (_START, _END):
            return (self.start_id if word == _START else self.end_id,)
        return tuple(self._tokenizer.encode(word, add_special_tokens=False).ids)


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


def _vocabulary(path: Path, size: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Numbers of all tokens, and the merges in order of their rank."""
    if not _SMALLEST_VOCABULARY <= size <= VOCABULARY_SIZE:
        raise ValueError(f"vocabulary_size is {size}; allowed: {_SMALLEST_VOCABULARY} to {VOCABULARY_SIZE}")
    raw = path.read_bytes()
    lines = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8").split("\n")
    pairs: list[tuple[str, str]] = []
    for line in lines[1 : 1 + size - _SMALLEST_VOCABULARY]:  # the first line is a title
        left, _, right = line.partition(" ")
        pairs.append((left, right))
    letters = _byte_letters()
    tokens = [*letters, *(letter + _END_OF_WORD for letter in letters), *map("".join, pairs), _START, _END]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    if len(vocabulary) != size:
        raise SaveError(
            f"cannot use {path.name} as CLIP's vocabulary",
            why=f"it makes {len(vocabulary)} tokens instead of {size}",
            fix=f"give {_MERGES_NAME} as OpenAI published it",
        )
    return vocabulary, pairs


def _byte_letters() -> list[str]:
    """The letter that stands for each byte, in the order of CLIP's numbers: printable Latin-1 first, then the rest."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(_NUM_BYTES) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(_NUM_BYTES + place) for place in range(len(others))]
