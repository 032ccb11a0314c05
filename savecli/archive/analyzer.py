"""How words become index terms: one set of rules for the full-text index, for matching and for highlights."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import lancedb

# Languages LanceDB can stem, by the ISO 639-1 code that transcripts carry.
STEMMED_LANGUAGES = {
    "ar": "Arabic",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hu": "Hungarian",
    "it": "Italian",
    "nl": "Dutch",
    "no": "Norwegian",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "ta": "Tamil",
    "tr": "Turkish",
}


def index_language(codes: Iterable[str | None]) -> str:
    """The stemming language that suits most of `codes`; English where none is known."""
    known = [STEMMED_LANGUAGES[code] for code in codes if code in STEMMED_LANGUAGES]
    return max(sorted(set(known)), key=known.count, default="English")


def analyzer_options(language: str, *, stem: bool = True) -> dict[str, Any]:
    """Options shared by the full-text index and `terms`: ICU segmentation, folded accents, no stop words dropped.

    Stop words stay so that phrases keep their little words; `is_stop_word` tells them where ranking should not care.
    """
    return {
        "base_tokenizer": "icu",
        "language": language,
        "stem": stem,
        "lower_case": True,
        "ascii_folding": True,
        "remove_stop_words": False,
    }


@lru_cache(maxsize=65536)
def terms(text: str, *, language: str, stem: bool = True) -> tuple[str, ...]:
    """Index terms of `text` in order. Kept for repeated words: a result list asks for the same ones again and again."""
    return tuple(token.text for token in lancedb.tokenize(text, **analyzer_options(language, stem=stem)))


@lru_cache(maxsize=8192)
def is_stop_word(word: str, *, language: str) -> bool:
    """Whether `word` carries so little meaning that finding it is no evidence."""
    # The ICU tokenizer drops the stop words of all languages, "man" and "dog" among them; the simple one only its own.
    options = analyzer_options(language) | {"base_tokenizer": "simple", "remove_stop_words": True}
    return bool(terms(word, language=language)) and not list(lancedb.tokenize(word, **options))


def title_words(relative_path: str) -> str:
    """A file's path as words to search: `trips/2019_LakeComo-ferry.mp4` gives `trips 2019 Lake Como ferry`."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", relative_path)
    parts = re.sub(r"[\W_]+", " ", stem)
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])", " ", parts).strip()
