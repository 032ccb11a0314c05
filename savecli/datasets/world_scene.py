"""What there is to see and hear in the drawn world, and the records of its clips."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from itertools import product

from savecli.datasets.base import Caption

SIGHTS: dict[str, tuple[str, ...]] = {
    "size": ("small", "big"),
    "colour": ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white"),
    "shape": ("circle", "square", "triangle", "cross", "ring", "bar"),
    "motion": ("still", "sideways", "updown", "blinking"),
    "place": ("meadow", "beach", "snow", "night", "sea", "room"),
}
# What nobody could see.
_HIDDEN = {("green", "meadow"), ("white", "snow"), ("blue", "sea")}

# Sounds that captions speak of, and what a shape usually sounds like; rain and clapping belong to none.
EVENTS = ("bell", "drum", "beeps", "bird", "siren", "engine", "rain", "clapping")
USUAL_SOUND = dict(zip(SIGHTS["shape"], EVENTS, strict=False))
# Sounds that no caption speaks of.
DISTRACTORS = ("music", "hum", "babble")

SPLIT_NAMES = ("train", "val", "test")
_VAL_PERCENT, _TEST_PERCENT = 70, 85  # where the shares of val and test begin


@dataclass(frozen=True)
class Scene:
    """What is drawn; values as in `SIGHTS`."""

    size: str
    colour: str
    shape: str
    motion: str
    place: str

    @property
    def facts(self) -> dict[str, str]:
        return asdict(self)

    @property
    def split(self) -> str:
        """The only split that shows this scene: a hash of its values decides, the same in every world."""
        key = " ".join(self.facts.values()).encode()
        percent = int.from_bytes(hashlib.blake2b(key, digest_size=4).digest(), "big") % 100
        return SPLIT_NAMES[(percent >= _VAL_PERCENT) + (percent >= _TEST_PERCENT)]


@dataclass(frozen=True)
class Speech:
    """What is said in a clip.

    Args:
        subject: what it is about, a key of `world_words.SUBJECTS`.
        said: the sentences as they were spoken.
        heard: the sentences as a recogniser understood them, with its errors; a sentence may be empty.
        is_voiced: it can be heard in the sound track; else it is there in writing only.
    """

    subject: str
    said: tuple[str, ...]
    heard: tuple[str, ...]
    is_voiced: bool = False

    @property
    def text(self) -> str:
        """All that a transcript holds of it."""
        return " ".join(sentence for sentence in self.heard if sentence)


@dataclass(frozen=True)
class WorldClip:
    """A clip of the drawn world, from which its pictures and its sound follow.

    Args:
        family: clips of one number show the same scene, and differ in what is heard or in what is said.
        sound: one of `EVENTS` or `DISTRACTORS`; "" is a clip without a sound track.
        group: the sense that its captions need.
        seed: of its pictures and its sound.
    """

    clip_id: str
    split: str
    family: int
    scene: Scene
    sound: str
    speech: Speech | None
    group: str
    seed: int
    duration_s: float
    captions: tuple[Caption, ...] = ()

    @property
    def facts(self) -> dict[str, str]:
        """Everything a caption may tell of it, by attribute."""
        facts = self.scene.facts
        if self.sound in EVENTS:
            facts["sound"] = self.sound
        if self.speech is not None:
            facts["speech"] = self.speech.subject
        return facts


def scenes_of(split: str) -> tuple[Scene, ...]:
    """Every scene that a split may show, in a fixed order."""
    scenes = (Scene(*values) for values in product(*SIGHTS.values()))
    return tuple(scene for scene in scenes if (scene.colour, scene.place) not in _HIDDEN and scene.split == split)
