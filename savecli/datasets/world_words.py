"""What is said in the drawn world, and what a recogniser makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

import numpy as np

from savecli.datasets.world_scene import Speech

TOPICS: dict[str, tuple[str, ...]] = {
    "cooking": ("soup", "bread", "fish", "cake", "rice"),
    "weather": ("storm", "frost", "wind", "fog", "sunshine"),
    "travel": ("train", "plane", "ship", "bus", "hotel"),
    "gardening": ("roses", "apples", "grass", "seeds", "trees"),
    "music": ("piano", "guitar", "song", "violin", "choir"),
    "money": ("bank", "price", "taxes", "rent", "market"),
}
SUBJECTS = tuple(subject for subjects in TOPICS.values() for subject in subjects)
TOPIC_OF = {subject: topic for topic, subjects in TOPICS.items() for subject in subjects}

# `*` is where the subject is said.
_SENTENCES = (
    "we talk about the * today",
    "please look at the * now",
    "this is a very good *",
    "you need to think about the *",
    "I like the old * more",
    "the new * will be good",
    "remember the * my friends",
    "wait for the * and listen",
    "we will see more of the *",
    "the * is not very good now",
    "hello friends this is my *",
    "first we look at the *",
)
VOCABULARY = tuple(sorted({word for text in _SENTENCES for word in text.lower().split()} - {"*"} | set(SUBJECTS)))

# Words that recognisers mix up with ours.
_SOUNDALIKES: dict[str, tuple[str, ...]] = {
    "soup": ("soap", "sup"),
    "bread": ("red", "bred"),
    "fish": ("wish", "dish"),
    "cake": ("take", "kick"),
    "rice": ("price", "ice"),
    "storm": ("stone", "form"),
    "frost": ("first", "lost"),
    "wind": ("win", "when"),
    "fog": ("frog", "four"),
    "train": ("rain", "drain"),
    "plane": ("plain", "play"),
    "ship": ("sheep", "chip"),
    "bus": ("bass", "boss"),
    "grass": ("glass", "grace"),
    "seeds": ("sees", "cedes"),
    "trees": ("threes", "cheese"),
    "song": ("son", "long"),
    "bank": ("thank", "back"),
    "price": ("rice", "prize"),
    "rent": ("went", "rant"),
    "the": ("a", "this"),
    "a": ("the", "uh"),
    "we": ("he", "week"),
    "you": ("new", "your"),
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
    places = rng.choice(len(_SENTENCES), 1 if is_voiced else 2, replace=False)
    said = tuple(_SENTENCES[place].lower().replace("*", subject) for place in places)
    return Speech(subject, said, tuple(understood(rng, text, rates=rates) for text in said), is_voiced)


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
