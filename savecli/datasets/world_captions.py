"""What people write of a clip of the drawn world: facts of it, in varied wording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from savecli.datasets.base import Caption
from savecli.datasets.world_scene import SIGHTS, WorldClip

# How many sights a caption tells, from and to, by the sense it needs; in val and test more where it must.
_SIGHTS_TOLD = {"vision": (4, 5), "sound": (2, 3), "speech": (2, 3)}
_GROUP_FACT = {"sound": "sound", "speech": "speech"}

_NAMES: dict[str, tuple[str, ...]] = {
    "small": ("small", "little", "tiny"),
    "big": ("big", "large", "huge"),
    "red": ("red", "scarlet"),
    "purple": ("purple", "violet"),
    "pink": ("pink", "rosy"),
    "circle": ("circle", "disc", "ball"),
    "square": ("square", "box", "block"),
    "triangle": ("triangle", "wedge"),
    "cross": ("cross", "plus sign"),
    "ring": ("ring", "hoop"),
    "bar": ("bar", "beam", "plank"),
    "still": ("stands still", "does not move", "rests"),
    "sideways": ("slides from side to side", "goes left and right", "swings sideways"),
    "updown": ("goes up and down", "bounces", "rises and falls"),
    "blinking": ("blinks", "flashes on and off", "comes and goes"),
    "meadow": ("in a meadow", "on the grass", "on a green field"),
    "beach": ("on the beach", "on sand", "on a sandy shore"),
    "snow": ("in the snow", "on snowy ground"),
    "night": ("at night", "under a dark sky", "in the dark"),
    "sea": ("at sea", "on the water", "above the waves"),
    "room": ("in a room", "before a grey wall", "indoors"),
}
_NOUNS = ("thing", "shape", "object")
_SOUND_CLAUSES: dict[str, tuple[str, ...]] = {
    "bell": ("a bell rings", "a bell is ringing", "chimes ring out"),
    "drum": ("a drum beats", "someone beats a drum", "drumming goes on"),
    "beeps": ("something beeps", "beeps are heard", "an electronic beep repeats"),
    "bird": ("a bird sings", "birds chirp", "a bird is chirping"),
    "siren": ("a siren wails", "a siren is heard", "an alarm wails"),
    "engine": ("an engine runs", "a motor hums", "an engine rumbles"),
    "rain": ("rain falls", "rain is heard", "it rains loudly"),
    "clapping": ("people clap", "hands clap", "there is clapping"),
}
_SPEECH_CLAUSES = (
    "someone talks about *",
    "a voice speaks of *",
    "a person tells of *",
    "the speaker mentions *",
    "people discuss *",
)
_SUBJECT_NAMES: dict[str, tuple[str, ...]] = {
    "soup": ("soup", "cooking soup"),
    "train": ("a train", "travel by train"),
    "storm": ("a storm", "stormy weather"),
    "piano": ("a piano", "piano music"),
    "bank": ("a bank", "the bank and its money"),
    "garden": ("a garden", "garden work"),
    "football": ("football", "a football match"),
    "ship": ("a ship", "ships at sea"),
}
_JOINS = ("{sight} while {rest}", "{rest} while {sight}", "{sight} and {rest}", "{rest} as {sight}")


def captions_of(
    rng: np.random.Generator, clip: WorldClip, count: int, *, gallery: Sequence[Mapping[str, str]] = ()
) -> tuple[Caption, ...]:
    """Different captions of a clip, each of which tells a part of its facts.

    Args:
        gallery: facts of the clips that it is to be told apart from, its own among them; each caption then tells
            enough to fit no other. Empty: how much is told is left to chance.
    """
    texts: dict[str, None] = {}
    for _ in range(20 * count):  # a few tries each, as two captions may come out the same
        if len(texts) < count:
            texts[worded(rng, told_facts(rng, clip, gallery))] = None
    return tuple(Caption(text, clip.group) for text in texts)


def told_facts(rng: np.random.Generator, clip: WorldClip, gallery: Sequence[Mapping[str, str]] = ()) -> dict[str, str]:
    """What a caption tells, by attribute: some sights, and the one fact of the sense that it needs."""
    facts = clip.facts
    needed = [_GROUP_FACT[clip.group]] if clip.group in _GROUP_FACT else []
    least, most = _SIGHTS_TOLD[clip.group]
    order = [list(SIGHTS)[place] for place in rng.permutation(len(SIGHTS))]
    count = int(rng.integers(least, most + 1))
    told = {name: facts[name] for name in needed + order[:count]}
    for name in order[count:]:
        if sum(told.items() <= other.items() for other in gallery) <= 1:
            break
        told[name] = facts[name]
    return told


def worded(rng: np.random.Generator, told: Mapping[str, str]) -> str:
    """A sentence that tells these facts and no other."""
    sight = _sight_clause(rng, told)
    if "sound" in told:
        rest = _one(rng, _SOUND_CLAUSES[told["sound"]])
    elif "speech" in told:
        rest = _one(rng, _SPEECH_CLAUSES).replace("*", _one(rng, _SUBJECT_NAMES[told["speech"]]))
    else:
        return sight
    return _one(rng, _JOINS).format(sight=sight, rest=rest)


def _sight_clause(rng: np.random.Generator, told: Mapping[str, str]) -> str:
    words = [_named(rng, told[name]) for name in ("size", "colour") if name in told]
    words.append(_named(rng, told["shape"]) if "shape" in told else _one(rng, _NOUNS))
    if "motion" in told:
        words.append(_named(rng, told["motion"]))
    elif "place" not in told:
        words.append("is seen")
    if "place" in told:
        words.append(_named(rng, told["place"]) if "motion" in told else f"is {_named(rng, told['place'])}")
    article = "an" if words[0][0] in "aeiou" else "a"
    return " ".join([article, *words])


def _named(rng: np.random.Generator, value: str) -> str:
    return _one(rng, _NAMES.get(value, (value,)))


def _one(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
