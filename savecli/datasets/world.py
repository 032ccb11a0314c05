"""The drawn world: clips, their captions and splits from one seed, before anything is drawn or written.

Nine clips in a row are three of their own, three that show one scene and differ in their sound, and three that show
one scene and differ in what is said. Scenes belong to one split for ever (`Scene.split`), so no combination of shape,
colour, motion, sound and subject is in two. A caption of val or test fits one clip of its split, and of those that
need sound or speech, the sights alone fit several.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from savecli.core.errors import UsageError
from savecli.datasets.world_captions import captions_of
from savecli.datasets.world_picture import FRAME_RATE_HZ, drawn_frames
from savecli.datasets.world_scene import (
    DISTRACTORS,
    EVENTS,
    SIGHTS,
    SPLIT_NAMES,
    USUAL_SOUND,
    Scene,
    Speech,
    WorldClip,
    scenes_of,
)
from savecli.datasets.world_sound import SOUND_RATE_HZ, Waveform, made_sound
from savecli.datasets.world_voice import voiced
from savecli.datasets.world_words import SUBJECTS, spoken

_PATTERN = ("vision", "vision", "vision", "sound", "speech")
_FAMILY_CLIPS = {"vision": 1, "sound": 3, "speech": 3}
_PATTERN_CLIPS = sum(_FAMILY_CLIPS[group] for group in _PATTERN)
_CAPTIONS = {"train": 3, "val": 2, "test": 2}

_SILENT = 0.25  # of the clips of their own; the others all have sound
_USUAL, _DISTRACTING = 0.35, 0.45  # the rest is any other event
_TALKING = 0.4  # of the clips that need not have speech
_VOICED = 0.15  # of the clips with speech
_VOICE_LEVEL = 0.6


@dataclass(frozen=True)
class World:
    """All clips, split after split."""

    seed: int
    clips: tuple[WorldClip, ...]

    def split(self, name: str) -> tuple[WorldClip, ...]:
        return tuple(clip for clip in self.clips if clip.split == name)


def build_world(*, seed: int, num_train: int, num_val: int, num_test: int) -> World:
    """The world of a seed. A split does not depend on the size of the others.

    Raises:
        UsageError: val or test is to have more clips than there are scenes to tell apart, or a number is negative.
    """
    clips: list[WorldClip] = []
    for name, count in zip(SPLIT_NAMES, (num_train, num_val, num_test), strict=True):
        most = len(scenes_of(name)) // len(_PATTERN) * _PATTERN_CLIPS
        if count < 0 or (name != "train" and count > most):
            raise UsageError(
                f"the drawn world cannot have {count} clips in {name}",
                why=f"allowed: 0 to {most}, as every one must be told apart",
                fix="choose a number in this range",
            )
        clips.extend(_split_clips(seed, name, count))
    return World(seed, tuple(clips))


def clip_frames(clip: WorldClip) -> npt.NDArray[np.uint8]:
    """`(F, 64, 64, 3)` RGB, `FRAME_RATE_HZ` of them a second."""
    return drawn_frames(clip.scene, seed=clip.seed, num_frames=round(clip.duration_s * FRAME_RATE_HZ))


def clip_waveform(clip: WorldClip) -> Waveform | None:
    """`(N,)` float32 mono at 16 kHz; None for a clip without a sound track."""
    if not clip.sound:
        return None
    num_samples = round(clip.duration_s * SOUND_RATE_HZ)
    sound = made_sound(clip.sound, seed=clip.seed, num_samples=num_samples)
    if clip.speech is None or not clip.speech.is_voiced:
        return sound
    voice = voiced(" ".join(clip.speech.said), num_samples=num_samples)
    mixed: Waveform = (1 - _VOICE_LEVEL) * sound + np.float32(_VOICE_LEVEL) * voice
    return mixed


def world_teacher(clips: Sequence[WorldClip]) -> tuple[dict[str, Waveform], dict[str, Waveform]]:
    """What a perfect teacher makes of sight and sound: unit vectors `(T,)` by clip id, of sights and of sounds.

    The first numbers stand for sounds: the one that is heard, and for a sight the one its shape usually makes. The rest
    are the other sights. So a sight is like every sound that suits it, whichever clip that is in, and a distractor is
    like no sight. Clips without a sound track have a sight only.
    """
    kinds = (*EVENTS, *DISTRACTORS)
    others = [f"{name} {value}" for name in ("colour", "motion", "place") for value in SIGHTS[name]]
    places = {name: place for place, name in enumerate((*kinds, *others))}
    video, audio = {}, {}
    for clip in clips:
        sight = np.zeros(len(places), np.float32)
        sight[places[USUAL_SOUND[clip.scene.shape]]] = 1.0
        for name in ("colour", "motion", "place"):
            sight[places[f"{name} {clip.scene.facts[name]}"]] = 0.4
        video[clip.clip_id] = sight / np.linalg.norm(sight)
        if clip.sound:
            audio[clip.clip_id] = np.eye(len(places), dtype=np.float32)[places[clip.sound]]
    return video, audio


def _split_clips(seed: int, split: str, count: int) -> list[WorldClip]:
    rng = np.random.default_rng([seed, SPLIT_NAMES.index(split)])
    scenes, clips = _scenes(rng, split), list[WorldClip]()
    for family, group in enumerate(_groups(count)):
        for sound, speech in _family(rng, group, scene := next(scenes)):
            clip_id, its_seed = f"{split}{len(clips):05d}", int(rng.integers(2**31))
            duration_s = round(float(rng.uniform(3, 4)) * FRAME_RATE_HZ) / FRAME_RATE_HZ
            clips.append(WorldClip(clip_id, split, family, scene, sound, speech, group, its_seed, duration_s))
    gallery = [] if split == "train" else [clip.facts for clip in clips]
    return [replace(clip, captions=captions_of(rng, clip, _CAPTIONS[split], gallery=gallery)) for clip in clips]


def _groups(count: int) -> Iterator[str]:
    """The group of each family; where the rest is too short for a whole one, clips of their own."""
    turn = 0
    while count > 0:
        group = _PATTERN[turn % len(_PATTERN)]
        group = group if _FAMILY_CLIPS[group] <= count else "vision"
        yield group
        count -= _FAMILY_CLIPS[group]
        turn += 1


def _scenes(rng: np.random.Generator, split: str) -> Iterator[Scene]:
    """Scenes of a split in random order; each comes once before any comes again."""
    scenes = scenes_of(split)
    while True:
        yield from (scenes[place] for place in rng.permutation(len(scenes)))


def _family(rng: np.random.Generator, group: str, scene: Scene) -> list[tuple[str, Speech | None]]:
    """Sound and speech of each clip of a family."""
    usual = USUAL_SOUND[scene.shape]
    if group == "sound":
        others = [kind for kind in EVENTS if kind != usual]
        sounds = [usual, *(str(kind) for kind in rng.choice(others, 2, replace=False))]
        speech = _speech(rng, _one(rng, list(SUBJECTS))) if rng.random() < _TALKING else None
        return [(sounds[place], speech) for place in rng.permutation(len(sounds))]
    sound = _sound(rng, usual)
    if group == "speech":
        subjects = [str(subject) for subject in rng.choice(list(SUBJECTS), 3, replace=False)]
        return [(sound, _speech(rng, subject)) for subject in subjects]
    if rng.random() < _SILENT:
        return [("", None)]
    return [(sound, _speech(rng, _one(rng, list(SUBJECTS))) if rng.random() < _TALKING else None)]


def _sound(rng: np.random.Generator, usual: str) -> str:
    draw = rng.random()
    if draw < _USUAL:
        return usual
    return _one(rng, DISTRACTORS if draw < _USUAL + _DISTRACTING else [kind for kind in EVENTS if kind != usual])


def _speech(rng: np.random.Generator, subject: str) -> Speech:
    return spoken(rng, subject, is_voiced=rng.random() < _VOICED)


def _one(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
