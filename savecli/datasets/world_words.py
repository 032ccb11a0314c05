"""What is said in the drawn world, and what a recogniser makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

import numpy as np

from savecli.datasets.world_scene import Speech

# What speech is about, and words that come with it.
SUBJECTS: dict[str, tuple[str, str, str]] = {
    "soup": ("pot", "salt", "onions"),
    "train": ("station", "rails", "ticket"),
    "storm": ("thunder", "clouds", "wind"),
    "piano": ("keys", "notes", "music"),
    "bank": ("money", "loan", "coins"),
    "garden": ("roses", "seeds", "soil"),
    "football": ("goal", "team", "players"),
    "ship": ("sails", "harbour", "captain"),
}

_SENTENCES = (
    "the {subject} needs {one} and {other}",
    "{one} and {other} for the {subject}",
    "first {one} then {other} then {subject}",
    "no {subject} without {one} and {other}",
    "we like {subject} with {one} and {other}",
    "more {one} and {other} for my {subject}",
    "is {one} good for {subject} and {other}",
    "look at {one} and {other} of the {subject}",
)
_FRAME_WORDS = {word for text in _SENTENCES for word in text.lower().split() if word.isalpha()}
VOCABULARY = tuple(sorted(_FRAME_WORDS.union(SUBJECTS, *SUBJECTS.values())))

# Words that recognisers mix up with ours.
_SOUNDALIKES: dict[str, tuple[str, ...]] = {
    "soup": ("soap", "sup"),
    "train": ("rain", "drain"),
    "storm": ("stone", "form"),
    "bank": ("thank", "back"),
    "ship": ("sheep", "chip"),
    "pot": ("port", "part"),
    "salt": ("sold", "sails"),
    "rails": ("sails", "rays"),
    "keys": ("kings", "cheese"),
    "notes": ("boats", "goats"),
    "loan": ("lone", "alone"),
    "seeds": ("sees", "cedes"),
    "soil": ("oil", "spoil"),
    "goal": ("gold", "coal"),
    "team": ("teen", "steam"),
    "wind": ("win", "when"),
    "the": ("a", "this"),
    "for": ("four", "from"),
    "and": ("an", "in"),
}
_FILLERS = ("the", "a", "and", "uh", "so", "well")


@dataclass(frozen=True)
class ErrorRates:
    """How often a recogniser errs, per word that was said; together a word-error rate of 15 %."""

    deletion: float = 0.04
    substitution: float = 0.08
    insertion: float = 0.03


def spoken(rng: np.random.Generator, subject: str, *, is_voiced: bool, rates: ErrorRates = ErrorRates()) -> Speech:
    """Two sentences on a subject, or one where it is said aloud, as there is little time; and what was understood."""
    said = []
    for place in rng.choice(len(_SENTENCES), 1 if is_voiced else 2, replace=False):
        one, other = rng.permutation(SUBJECTS[subject])[:2]
        said.append(_SENTENCES[place].lower().format(subject=subject, one=one, other=other))
    return Speech(subject, tuple(said), tuple(understood(rng, text, rates=rates) for text in said), is_voiced)


def understood(rng: np.random.Generator, text: str, *, rates: ErrorRates = ErrorRates()) -> str:
    """A sentence with the errors of a recogniser: words left out, mixed up with similar ones, or made up."""
    words: list[str] = []
    for word in text.split():
        draw = rng.random()
        if draw < rates.substitution:
            words.append(str(rng.choice(similar_words(word))))
        elif draw >= rates.substitution + rates.deletion:
            words.append(word)
        if rng.random() < rates.insertion:
            words.append(str(rng.choice(_FILLERS)))
    return " ".join(words)


@cache
def similar_words(word: str) -> tuple[str, ...]:
    """Words that may be understood instead of this one; never the word itself, never none."""
    if word in _SOUNDALIKES:
        return _SOUNDALIKES[word]
    others = [other for other in VOCABULARY if other != word]
    return tuple(get_close_matches(word, others, n=2, cutoff=0.0))
