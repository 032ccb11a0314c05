"""The drawn world: its splits, families and captions keep what the benchmark needs; its senses can be told apart."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from savecli.core.errors import UsageError
from savecli.datasets.world import World, build_world, clip_frames, clip_waveform, world_teacher
from savecli.datasets.world_captions import told_facts, worded
from savecli.datasets.world_picture import drawn_frames
from savecli.datasets.world_scene import DISTRACTORS, EVENTS, SIGHTS, SPLIT_NAMES, USUAL_SOUND, Scene, scenes_of
from savecli.datasets.world_sound import SOUND_RATE_HZ, made_sound
from savecli.datasets.world_voice import from_mu_law, mu_law, voiced
from savecli.datasets.world_words import SUBJECTS, VOCABULARY, similar_words, spoken, understood


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(seed=3, num_train=300, num_val=90, num_test=180)


def test_a_seed_makes_one_world(world):
    assert build_world(seed=3, num_train=300, num_val=90, num_test=180) == world
    assert build_world(seed=3, num_train=9, num_val=90, num_test=0).split("val") == world.split("val")
    assert build_world(seed=4, num_train=300, num_val=90, num_test=180) != world
    assert Counter(clip.split for clip in world.clips) == {"train": 300, "val": 90, "test": 180}
    assert len({clip.clip_id for clip in world.clips}) == 570


def test_no_scene_is_in_two_splits(world):
    scenes = {name: {clip.scene for clip in world.split(name)} for name in SPLIT_NAMES}
    assert not scenes["train"] & scenes["val"]
    assert not scenes["train"] & scenes["test"]
    assert not scenes["val"] & scenes["test"]
    shares = np.array([len(scenes_of(name)) for name in SPLIT_NAMES]) / sum(len(scenes_of(n)) for n in SPLIT_NAMES)
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.02)
    for name, values in SIGHTS.items():  # no sight is new to a tested model, only how they come together
        assert {scene.facts[name] for scene in scenes_of("train")} == set(values)


def test_families_differ_in_one_sense(world):
    families: dict[tuple[str, int], list] = {}
    for clip in world.clips:
        families.setdefault((clip.split, clip.family), []).append(clip)
    for clips in families.values():
        assert len({clip.scene for clip in clips}) == len({clip.group for clip in clips}) == 1
        assert len(clips) == {"vision": 1, "sound": 3, "speech": 3}[clips[0].group]
        if clips[0].group == "sound":
            assert len({clip.sound for clip in clips} & set(EVENTS)) == 3
            assert len({clip.speech for clip in clips}) == 1
        if clips[0].group == "speech":
            assert len({clip.sound for clip in clips}) == 1
            assert len({clip.speech.subject for clip in clips}) == 3
    groups = Counter(clip.group for clip in world.split("test"))
    assert groups == {"vision": 60, "sound": 60, "speech": 60}


def test_sounds_and_speech_are_missing_distract_and_suit(world):
    sounds = Counter(clip.sound for clip in world.clips)
    assert sounds[""] > 20
    assert sum(sounds[kind] for kind in DISTRACTORS) / len(world.clips) == pytest.approx(0.26, abs=0.08)
    suits = [clip.sound == USUAL_SOUND[clip.scene.shape] for clip in world.clips]
    assert np.mean(suits) == pytest.approx(0.33, abs=0.08)
    speeches = [clip.speech for clip in world.clips if clip.speech]
    assert 0.45 < len(speeches) / len(world.clips) < 0.7
    assert 0.08 < np.mean([speech.is_voiced for speech in speeches]) < 0.25
    assert not any(clip.speech for clip in world.clips if not clip.sound)


def test_what_a_caption_tells_fits_one_clip_and_needs_its_sense(world):
    rng = np.random.default_rng(0)
    clips = world.split("test")
    gallery = [clip.facts for clip in clips]
    for clip in clips:
        told = told_facts(rng, clip, gallery)
        fitting = [other for other in clips if told.items() <= other.facts.items()]
        assert fitting == [clip]
        sights = {name: value for name, value in told.items() if name in SIGHTS}
        num_alike = sum(sights.items() <= facts.items() for facts in gallery)
        assert (num_alike == 1) == (clip.group == "vision")


def test_captions_are_varied_and_short(world):
    for clip in world.clips:
        texts = [caption.text for caption in clip.captions]
        assert len(texts) == len(set(texts)) == (3 if clip.split == "train" else 2)
        assert all(caption.group == clip.group for caption in clip.captions)
        assert all(len(text.split()) <= 24 for text in texts)
    told = {"colour": "orange", "shape": "ring", "sound": "bell"}
    assert len({worded(np.random.default_rng(seed), told) for seed in range(50)}) > 15


def test_too_many_clips_to_tell_apart_are_refused():
    with pytest.raises(UsageError, match="cannot have 2000 clips in test: allowed: 0 to"):
        build_world(seed=0, num_train=0, num_val=0, num_test=2000)
    with pytest.raises(UsageError, match="cannot have -1 clips in train"):
        build_world(seed=0, num_train=-1, num_val=0, num_test=0)


def test_recognisers_err_about_as_often_as_told():
    rng = np.random.default_rng(0)
    sentences = [text for n in range(600) for text in spoken(rng, list(SUBJECTS)[n % 8], is_voiced=False).said]
    errors = sum(edits(text.split(), understood(rng, text).split()) for text in sentences)
    assert errors / sum(len(text.split()) for text in sentences) == pytest.approx(0.15, abs=0.02)
    assert all(similar_words(word) and word not in similar_words(word) for word in VOCABULARY)


def edits(said: list[str], heard: list[str]) -> int:
    """Levenshtein's distance in words."""
    row = list(range(len(heard) + 1))
    for place, word in enumerate(said, 1):
        before, row[0] = row[0], place
        for at, other in enumerate(heard, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (word != other))
    return row[-1]


def test_every_place_and_shape_looks_different():
    scene = Scene("big", "red", "circle", "still", "room")
    looks = {}
    for name in ("size", "colour", "shape", "place"):
        for value in SIGHTS[name]:
            changed = Scene(**{**scene.facts, name: value})
            looks[changed] = drawn_frames(changed, seed=5, num_frames=4).astype(float)
    values = list(looks.values())
    distances = [np.abs(a - b).mean() for n, a in enumerate(values) for b in values[:n]]
    assert min(distances) > 1.5
    again = drawn_frames(scene, seed=6, num_frames=4)
    assert np.abs(again - looks[scene]).mean() > 0.5  # near-duplicates are not copies


@pytest.mark.parametrize("motion", SIGHTS["motion"])
def test_four_frames_show_the_motion(motion):
    for seed in range(20):
        frames = drawn_frames(Scene("small", "red", "square", motion, "room"), seed=seed, num_frames=28)
        few = frames[[3, 10, 17, 24]].astype(int)
        moved = max(np.abs(few[0] - other).max() for other in few[1:])
        assert (moved > 60) == (motion != "still")


def test_sounds_of_a_kind_are_alike():
    kinds = [kind for kind in (*EVENTS, *DISTRACTORS) for _ in range(5)]
    sounds = [made_sound(kind, seed=seed, num_samples=3 * SOUND_RATE_HZ) for seed, kind in enumerate(kinds)]
    assert all(np.abs(sound).max() <= 1 for sound in sounds)
    looks = np.stack([course(sound) for sound in sounds])
    looks = (looks - looks.mean(axis=0)) / looks.std(axis=0)
    distances = np.linalg.norm(looks[:, None] - looks[None], axis=2) + 1e9 * np.eye(len(looks))
    nearest = [kinds[place] for place in distances.argmin(axis=1)]
    assert np.mean([kind == other for kind, other in zip(kinds, nearest, strict=True)]) > 0.95


def course(sound: np.ndarray) -> np.ndarray:
    """How loud 16 bands are in the mean over time, and how much each changes."""
    power = np.abs(np.fft.rfft(sound.reshape(-1, 400)))[:, 1:193].reshape(-1, 16, 12).mean(axis=2)
    loudness = np.log(power + 1e-3)
    return np.concatenate([loudness.mean(axis=0) - loudness.mean(), loudness.std(axis=0)])


def test_voiced_speech_is_in_the_sound(world):
    held = [clip for clip in world.clips if clip.speech and clip.speech.is_voiced]
    for clip in held[:5]:
        wave = clip_waveform(clip)
        voice = voiced(" ".join(clip.speech.said), num_samples=len(wave))
        assert np.abs(voice).max() > 0.5
        assert np.corrcoef(wave, voice)[0, 1] > 0.3
        assert np.abs(wave).max() <= 1
        assert len(clip_frames(clip)) == round(clip.duration_s * 8)
    assert all(voiced(word, num_samples=16000).any() for word in VOCABULARY)
    assert not voiced("unheard", num_samples=100).any()
    samples = np.linspace(-1, 1, 501)
    assert np.abs(from_mu_law(mu_law(samples)) - samples).max() < 0.03


def test_the_teacher_knows_what_suits(world):
    video, audio = world_teacher(world.clips)
    assert set(video) == {clip.clip_id for clip in world.clips}
    assert set(audio) == {clip.clip_id for clip in world.clips if clip.sound}
    for clip in world.clips:
        if clip.sound:
            alike = float(video[clip.clip_id] @ audio[clip.clip_id])
            assert (alike > 0.5) == (clip.sound == USUAL_SOUND[clip.scene.shape])
