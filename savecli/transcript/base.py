"""What every source of speech has in common: the protocol, clean text, and times for words that have none."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from savecli.core.records import Transcript, Utterance, VideoInfo, Word


class TranscriptSource(Protocol):
    """One way to learn what is said in a video."""

    @property
    def name(self) -> str:
        """What kind of source this is: `sidecar`, `embedded`, `whisper`, `sphinx`."""

    def read(self, info: VideoInfo) -> Transcript | None:
        """The transcript, or None when this source has nothing for this video."""


# A tag starts with a letter, a slash or a time stamp, so "a < b" and "x <3 y" stay as they are.
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<[\d:.]+>")
_BRACES = re.compile(r"\{[^{}]*\}")
_ASS_BREAK = re.compile(r"\\[Nnh]")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff\u00ad]")
# Square brackets never hold speech in subtitles. Round ones do in the middle of a sentence ("the WHO (in
# Geneva) said"), so they go only where a line or a sentence starts: "(laughs) No.", "Thank you. (applause)".
_DESCRIPTION = re.compile(
    r"[\[［【][^\[\]［］【】]*[\]］】]"
    r"|(?:^|(?<=[.!?…:♪\-–—\"\]]))[^\S\n]*[(（][^()（）]*[)）]",
    re.MULTILINE,
)
# Music signs, and `>>` where another person begins to speak.
_MARKS = re.compile(r"[♪♫♬♩]|(?:^|(?<=\s))#{1,3}(?=\s|$)|>{2,}")
# A minus before a number stays.
_DIALOGUE_DASH = re.compile(r"^[^\S\n\x1f]*[-–—]+[^\S\n\x1f]*(?=[^\W\d])", re.MULTILINE)
_IDEOGRAPH = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
# An ideograph with the punctuation behind it, or a run of anything else between spaces.
_PIECE = re.compile(rf"[{_IDEOGRAPH}][^\w\s]*|[^\s{_IDEOGRAPH}]+")
# Counted as white space by `\s`, and never part of a text: it joins words for a moment without merging them.
_SEPARATOR = "\x1f"


def plain_text(markup: str) -> str:
    """The text of a cue without tags, overrides, entities and invisible characters; its line breaks stay."""
    bare = _BRACES.sub("", _TAG.sub("", _ASS_BREAK.sub(lambda m: " " if m.group() == r"\h" else "\n", markup)))
    return _INVISIBLE.sub("", html.unescape(bare)).replace("\r", "")


def speech_text(text: str) -> str:
    """What is spoken of a plain text, on one line: no sound descriptions, music signs or dialogue dashes.

    "" when nothing with a letter or a digit is left.
    """
    spoken = " ".join(_without_descriptions(text).split())
    return spoken if _has_speech(spoken) else ""


def speech_words(words: Sequence[Word]) -> tuple[Word, ...]:
    """The words that are spoken, each with its own time; "[", "loud", "music]" is recognised across words."""
    if not words:
        return ()
    joined = _SEPARATOR.join(" ".join(word.text.split()) for word in words)
    kept = _without_descriptions(joined).split(_SEPARATOR)
    cleaned = (replace(word, text=text.strip()) for word, text in zip(words, kept, strict=True))
    return tuple(word for word in cleaned if _has_speech(word.text))


def clean_utterances(utterances: Iterable[Utterance]) -> tuple[Utterance, ...]:
    """In order of time, spoken text only, without empty, backward or exactly repeated utterances."""
    cleaned: list[Utterance] = []
    for utterance in sorted(utterances, key=lambda u: (u.start_s, u.end_s)):
        text = speech_text(plain_text(utterance.text))
        same = cleaned and (cleaned[-1].start_s, cleaned[-1].text) == (utterance.start_s, text)
        if text and not same and 0 <= utterance.start_s < utterance.end_s:
            cleaned.append(replace(utterance, text=text, words=speech_words(utterance.words)))
    return tuple(cleaned)


def timed_words(utterance: Utterance) -> tuple[Word, ...]:
    """The utterance's words with times: its own, or else spread over it by their number of characters."""
    if utterance.words:
        return utterance.words
    return spread_words(utterance.text, utterance.start_s, utterance.end_s)


def spread_words(text: str, start_s: float, end_s: float) -> tuple[Word, ...]:
    """The words of `text`, each with a share of the span by its characters and one for the pause after it.

    Chinese and Japanese, written without spaces, are timed character by character.
    """
    pieces = _PIECE.findall(text)
    total = sum(len(piece) + 1 for piece in pieces)
    words, done = [], 0
    for piece in pieces:
        begin = start_s + (end_s - start_s) * done / total
        done += len(piece) + 1
        words.append(Word(begin, start_s + (end_s - start_s) * done / total, piece))
    return tuple(words)


def whole_words(pieces: Sequence[Word]) -> tuple[Word, ...]:
    """Words from a recogniser's pieces, where a piece that begins with no space goes on with the word before.

    " state", "-of", "-art" is one word; pieces of scripts without spaces, and pieces none of which has a space,
    are words of their own.
    """
    if not any(piece.text[:1].isspace() for piece in pieces):
        return tuple(replace(piece, text=piece.text.strip()) for piece in pieces)
    words: list[Word] = []
    for piece in pieces:
        if words and not piece.text[:1].isspace() and not re.match(f"[{_IDEOGRAPH}]", piece.text):
            words[-1] = Word(words[-1].start_s, max(words[-1].end_s, piece.end_s), words[-1].text + piece.text)
        else:
            words.append(piece)
    return tuple(replace(word, text=word.text.strip()) for word in words)


def _without_descriptions(text: str) -> str:
    """`text` with as many separators as before, so that words keep their places."""

    def separators(match: re.Match[str]) -> str:
        return " " + _SEPARATOR * match.group().count(_SEPARATOR)

    return _DIALOGUE_DASH.sub(separators, _MARKS.sub(separators, _DESCRIPTION.sub(separators, text)))


def _has_speech(text: str) -> bool:
    return any(character.isalnum() for character in text)
