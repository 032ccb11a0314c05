"""A cache gives what the files give, notices what has changed, and goes on where it was stopped."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from savecli.core.errors import MediaError, SaveError, UsageError, WeightsError
from savecli.core.progress import NoProgress
from savecli.core.records import Span, Transcript, Utterance
from savecli.datasets.base import Caption, Dataset, DatasetClip, Split
from savecli.datasets.locate import Located
from savecli.model.build import build_model
from savecli.model.hub import Hub
from savecli.model.records import TeacherVectors
from savecli.model.teachers import Taught, write_teacher
from savecli.training.batches import Collator
from savecli.training.cache import CacheSource, cache_size, kept_clips
from savecli.training.cache_keys import files_digest, frames_key, sound_key, teacher_key
from savecli.training.cache_parts import teachers_in
from savecli.training.cache_plan import CacheRequest, open_teacher, plan_cache
from savecli.training.cache_store import DATA, INDEX, PART
from savecli.training.files import FileSource
from savecli.training.prepare import prepare_cache, prepare_request, writing
from savecli.transcript.choose import Recogniser, Transcriber
from savecli.transcript.sidecar import SidecarSource
from tests.make_media import make_video
from tests.training.random_clips import small_config

SPEECH = {"clip0": "hello there"}
CONFIG = small_config("save")


def clip(name: str, span: Span | None = None) -> DatasetClip:
    return DatasetClip(name, (Caption("a caption"),), name, span)


def dataset_of(clips: Sequence[DatasetClip]) -> Dataset:
    return Dataset("own", Split("train", tuple(clips)), None, None)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number, (colour, audio) in enumerate((("red", "tone"), ("blue", None), ("green", "tone"), ("grey", "tone"))):
        sound = {"duration_s": 0.5 + 0.25 * number, "width": 64, "height": 48, "rate_hz": 10}
        make_video(folder / f"clip{number}.mp4", scenes=(colour,), audio=audio, **sound)
    return folder


@pytest.fixture
def clips(videos, tmp_path) -> tuple[Dataset, Located]:
    """Three clips that can be read, one whose file cannot, and one whose file is not there."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video" * 50)
    paths = {f"clip{number}": videos / f"clip{number}.mp4" for number in range(3)} | {"broken": broken}
    held = [clip("clip0"), clip("clip1"), clip("clip2", Span(0.25, 0.75)), clip("broken"), clip("lost")]
    return dataset_of(held), Located(paths, missing=("lost",))


@pytest.fixture(scope="module")
def audio_branch():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        branch = build_model(CONFIG).audio
    assert branch is not None
    return branch.eval()


class Counted:
    """A teacher that counts its clips."""

    rate_hz = None

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, clips):
        self.seen += [item.clip_id for item in clips]
        rows = torch.tensor([[float(len(self.seen)), 1.0]])
        return Taught(TeacherVectors(audio=rows * 2, video=rows), torch.tensor([clips[0].clip_id != "clip1"]))


def readable(dataset: Dataset) -> list[DatasetClip]:
    return [item for item in dataset.splits[0].clips if item.clip_id.startswith("clip")]


@pytest.mark.parametrize("preset", ["save", "save-plus", "save-2", "clip4clip-meanp"])
def test_the_cache_gives_what_the_files_give(clips, tmp_path, preset):
    dataset, located = clips
    config = small_config(preset)
    report = prepare_cache(dataset, located, config, tmp_path / "cache", speech=SPEECH)
    assert (report.num_made, list(report.failures), report.plan.num_missing) == (3, ["broken"], 1)
    assert report.num_with_sound == (2 if config.audio else 0)
    files = FileSource(located.paths, config, speech=SPEECH)
    cache = CacheSource(tmp_path / "cache", config, speech=SPEECH)
    for item in readable(dataset):
        direct, kept = files.read(item), cache.read(item)
        np.testing.assert_array_equal(kept.frames, direct.frames)
        assert kept.speech == direct.speech
        assert kept.has_sound == direct.has_sound
        if direct.sound is not None:
            np.testing.assert_array_equal(kept.sound, direct.sound.astype(np.float16))
            np.testing.assert_array_equal(kept.sound_mask, direct.sound_mask)
    Collator(config).inputs([cache.read(item) for item in readable(dataset)])


def test_tokens_of_the_frozen_encoder_stand_for_the_sound(clips, tmp_path, audio_branch):
    dataset, located = clips
    folder = tmp_path / "cache"
    prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH, audio_branch=audio_branch)
    cache = CacheSource(folder, CONFIG, speech=SPEECH, audio=audio_branch)
    assert cache.gives_tokens
    direct = FileSource(located.paths, CONFIG, speech=SPEECH).read(clip("clip0"))
    kept = cache.read(clip("clip0"))
    with torch.inference_mode():
        wanted = audio_branch.encoder(torch.from_numpy(direct.sound)).numpy()
    # bf16 where the processor has it: 8 bits of each number.
    np.testing.assert_allclose(kept.sound_tokens, wanted, atol=0.03)
    assert kept.sound is None
    np.testing.assert_array_equal(kept.sound_mask, direct.sound_mask)
    assert cache.read(clip("clip1")).sound_tokens is None
    inputs = Collator(CONFIG).inputs([kept, cache.read(clip("clip1"))])
    assert inputs.sound_tokens.shape[:2] == (2, 1)


def test_other_weights_never_get_these_tokens(clips, tmp_path, audio_branch):
    dataset, located = clips
    prepare_cache(dataset, located, CONFIG, tmp_path / "cache", speech=SPEECH, audio_branch=audio_branch)
    other = build_model(CONFIG).audio
    files = FileSource(located.paths, CONFIG, speech=SPEECH)
    source = CacheSource(tmp_path / "cache", CONFIG, files=files, speech=SPEECH, audio=other)
    assert not source.gives_tokens
    assert source.read(clip("clip0")).sound is not None  # from its file


def test_a_clip_that_has_no_tokens_yet_is_encoded_like_the_others(clips, tmp_path, audio_branch, videos):
    dataset, located = clips
    prepare_cache(dataset, located, CONFIG, tmp_path / "cache", speech=SPEECH, audio_branch=audio_branch)
    paths = {**located.paths, "clip3": videos / "clip3.mp4"}
    files = FileSource(paths, CONFIG, speech=SPEECH)
    source = CacheSource(tmp_path / "cache", CONFIG, paths=paths, files=files, speech=SPEECH, audio=audio_branch)
    read = [source.read(clip(name)) for name in ("clip0", "clip3")]
    assert Collator(CONFIG).inputs(read).sound_tokens is not None
    # Without files, from the filter banks that the cache holds.
    located = replace(located, paths=paths)
    prepare_cache(dataset_of([clip("clip3")]), located, CONFIG, tmp_path / "cache", speech=SPEECH)
    alone = CacheSource(tmp_path / "cache", CONFIG, speech=SPEECH, audio=audio_branch).read(clip("clip3"))
    np.testing.assert_allclose(alone.sound_tokens, read[1].sound_tokens, atol=0.03)


def test_another_setting_is_another_part(clips, tmp_path):
    dataset, located = clips
    prepare_cache(dataset, located, CONFIG, tmp_path / "cache", speech=SPEECH)
    more = replace(CONFIG, inputs=replace(CONFIG.inputs, num_frames=5))
    assert frames_key(more).name != frames_key(CONFIG).name
    assert sound_key(more) == sound_key(CONFIG)  # sound stays, whatever the number of frames
    with pytest.raises(MediaError, match="clip clip0 is not in the cache"):
        CacheSource(tmp_path / "cache", more, speech=SPEECH).read(clip("clip0"))
    report = prepare_cache(dataset, located, more, tmp_path / "cache", speech=SPEECH)
    assert {kinds for item, kinds in report.plan.todo if item.clip_id != "broken"} == {frozenset({"frames"})}
    assert len(CacheSource(tmp_path / "cache", more, speech=SPEECH).read(clip("clip2", Span(0.25, 0.75))).frames) == 5


def test_a_second_run_does_nothing_and_a_changed_file_is_read_again(clips, tmp_path, videos):
    dataset, located = clips
    path = tmp_path / "own.mp4"
    path.write_bytes((videos / "clip0.mp4").read_bytes())
    located = replace(located, paths={**located.paths, "clip0": path})
    folder = tmp_path / "cache"
    prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH)
    report = prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH)
    assert (report.num_made, report.plan.num_there, list(report.failures)) == (0, 3, ["broken"])
    path.write_bytes((videos / "clip3.mp4").read_bytes())
    os.utime(path, ns=(1, 1))
    stale = CacheSource(folder, CONFIG, paths=located.paths, speech=SPEECH)
    with pytest.raises(MediaError, match="or its file has changed"):
        stale.read(clip("clip0"))
    report = prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH)
    assert report.num_made == 1
    fresh = CacheSource(folder, CONFIG, paths=located.paths, speech=SPEECH).read(clip("clip0"))
    direct = FileSource(located.paths, CONFIG, speech=SPEECH).read(clip("clip0"))
    np.testing.assert_array_equal(fresh.frames, direct.frames)
    with pytest.raises(MediaError, match="is not in the cache"):  # another span of the same file
        CacheSource(folder, CONFIG, speech=SPEECH).read(clip("clip0", Span(0.0, 0.2)))


def test_a_cache_stands_by_itself_where_the_videos_are_not(clips, tmp_path):
    dataset, located = clips
    prepare_cache(dataset, located, CONFIG, tmp_path / "cache", speech=SPEECH)
    gone = {name: Path("/gone") / path.name for name, path in located.paths.items()}
    assert CacheSource(tmp_path / "cache", CONFIG, paths=gone, speech=SPEECH).read(clip("clip0")).has_sound


def test_failures_are_remembered_until_the_file_changes_or_a_person_asks(clips, tmp_path, videos):
    dataset, located = clips
    folder, heard = tmp_path / "cache", Listening()
    prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH, progress=heard)
    ((path, reason),) = heard.skipped
    assert path.name == "broken.mp4"
    with pytest.raises(MediaError) as raised:
        CacheSource(folder, CONFIG, speech=SPEECH).read(clip("broken"))
    assert raised.value.why == reason
    report = prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH)
    assert (report.plan.todo, dict(report.failures)) == ((), {"broken": reason})
    report = prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH, retry_failed=True)
    assert len(report.plan.todo) == 1
    located.paths["broken"].write_bytes((videos / "clip0.mp4").read_bytes())
    report = prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH)
    assert (report.num_made, dict(report.failures)) == (1, {})


class Listening(NoProgress):
    def __init__(self) -> None:
        self.skipped: list[tuple[Path, str]] = []

    def skip(self, path: Path, reason: str) -> None:
        self.skipped.append((path, reason))


def test_transcripts_are_kept_where_no_file_gives_them(tmp_path):
    path = make_video(tmp_path / "talk.mkv", duration_s=2.0, subtitles=[(0.2, 0.8, "first"), (1.2, 1.8, "second")])
    dataset = dataset_of([clip("a", Span(0.0, 1.0)), clip("b", Span(1.0, 2.0))])
    located = Located({"a": path, "b": path}, missing=())
    report = prepare_cache(dataset, located, CONFIG, tmp_path / "cache")
    assert report.num_with_speech == 2
    source = CacheSource(tmp_path / "cache", CONFIG)
    assert [source.read(item).speech for item in dataset.splits[0].clips] == ["first", "second"]
    given = CacheSource(tmp_path / "cache", CONFIG, speech={"a": "given"})  # what is known goes before
    assert [given.read(item).speech for item in dataset.splits[0].clips] == ["given", ""]


def test_a_clip_is_kept_only_with_its_words(tmp_path):
    path = make_video(tmp_path / "talk.mkv", audio="tone", duration_s=1.0, subtitles=[(0.2, 0.8, "first")])
    dataset, folder = dataset_of([clip("a")]), tmp_path / "cache"
    located, items = Located({"a": path}, missing=()), dataset.splits[0].clips
    prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH)
    assert kept_clips(folder, CONFIG, items, has_words=True) == {"a"}
    assert kept_clips(folder, CONFIG, items, has_words=False) == set()
    prepare_cache(dataset, located, CONFIG, folder)
    assert kept_clips(folder, CONFIG, items, has_words=False) == {"a"}
    assert kept_clips(folder, CONFIG, [clip("a", Span(0.0, 0.5))], has_words=True) == set()


def test_a_teacher_is_asked_once_a_clip(clips, tmp_path):
    dataset, located = clips
    folder, teacher = tmp_path / "cache", Counted()
    for _ in range(2):
        prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH, teacher=teacher, teacher_name="counted")
    assert sorted(teacher.seen) == ["clip0", "clip1", "clip2"]
    assert teachers_in(folder) == ("counted",)
    source = CacheSource(folder, CONFIG, speech=SPEECH)
    assert source.read(clip("clip0")).teacher_video.shape == (2,)
    assert source.read(clip("clip1")).teacher_audio is None
    prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH, teacher=Counted(), teacher_name="another")
    with pytest.raises(UsageError, match="which teacher is meant"):
        CacheSource(folder, CONFIG, speech=SPEECH)
    taught = [CacheSource(folder, CONFIG, speech=SPEECH, teacher=name).read(clip("clip0")) for name in ("counted", "")]
    assert [item.teacher_video is None for item in taught] == [False, True]


class Leaving(Counted):
    """A teacher that listens, and takes the videos away after the first clip."""

    rate_hz = 16_000

    def __init__(self, videos: Path) -> None:
        super().__init__()
        self._videos = videos

    def encode(self, clips):
        if self._videos.exists():
            self._videos.rename(self._videos.with_name("away"))
        return super().encode(clips)


@pytest.mark.parametrize("has_frames", [True, False])
def test_videos_that_go_away_meanwhile_cost_nothing_that_is_there(videos, tmp_path, has_frames):
    own, folder = tmp_path / "own", tmp_path / "cache"
    shutil.copytree(videos, own)
    names = [f"clip{number}" for number in range(4)]
    clips = dataset_of([clip(name) for name in names]), Located({name: own / f"{name}.mp4" for name in names}, ())
    if has_frames:
        prepare_cache(*clips, CONFIG, folder, speech=SPEECH)
    leaving = Leaving(own)
    report = prepare_cache(*clips, CONFIG, folder, speech=SPEECH, teacher=leaving, teacher_name="t", num_workers=1)
    assert len(report.failures) == 4  # also that of the clip whose file went away while it was read
    (tmp_path / "away").rename(own)
    source = CacheSource(folder, CONFIG, speech=SPEECH, paths=clips[1].paths)
    assert source.states(clips[0].splits[0].clips) == ({"there": 4} if has_frames else {"absent": 4})
    report = prepare_cache(*clips, CONFIG, folder, speech=SPEECH, teacher=Counted(), teacher_name="t")
    assert (report.num_made, report.failures) == (4, {})


def test_a_copy_of_the_videos_is_the_same_videos(tmp_path, videos):
    path, beside = tmp_path / "a.mp4", tmp_path / "a.srt"
    shutil.copy(videos / "clip0.mp4", path)
    beside.write_text("1\n00:00:00,000 --> 00:00:00,400\nwords\n", encoding="utf-8")
    clips = dataset_of([clip("a"), clip("b", Span(0.0, 0.3))]), Located({"a": path, "b": path}, ())
    folder = tmp_path / "cache"
    prepare_cache(*clips, CONFIG, folder)
    used = {file: file.stat().st_size for file in folder.rglob(DATA)}
    os.utime(path, ns=(1, 1))
    os.utime(beside, ns=(2, 2))
    assert plan_cache(*clips, CacheRequest(CONFIG), folder).num_changed == 2
    assert CacheSource(folder, CONFIG, paths=clips[1].paths).states(clips[0].splits[0].clips) == {"changed": 2}
    report = prepare_cache(*clips, CONFIG, folder)
    assert (report.num_made, report.num_kept) == (0, 2)
    assert {file: file.stat().st_size for file in folder.rglob(DATA)} == used
    assert CacheSource(folder, CONFIG, paths=clips[1].paths).read(clip("a")).speech == "words"
    with path.open("r+b") as file:  # another content of the same size
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    os.utime(path, ns=(3, 3))
    assert prepare_cache(*clips, CONFIG, folder).num_made == 2
    with path.open("ab") as file:
        file.write(b"more")
    assert prepare_cache(*clips, CONFIG, folder).num_made == 2
    assert {file: file.stat().st_size for file in folder.rglob(DATA)} == used  # what is stale gave its room back


def test_a_disk_that_cannot_hold_the_frames_is_told_first(clips, tmp_path):
    many = replace(CONFIG, inputs=replace(CONFIG.inputs, num_frames=10**9))
    with pytest.raises(SaveError, match="the disk has no room") as raised:
        prepare_cache(*clips, many, tmp_path / "cache", speech=SPEECH)
    assert " TB, " in raised.value.why


def test_settings_that_are_damaged_are_passed_over_until_they_are_mended(clips, tmp_path, caplog):
    folder, teacher = tmp_path / "cache", tmp_path / "teacher"
    vectors(teacher, ["clip0"], 1.0)
    prepared(clips, folder, teacher)
    (place,) = folder.glob(f"teacher-*/{PART}")
    place.write_text("")
    assert teachers_in(folder) == ()
    assert "the `save data prepare` that made it mends it" in caplog.text
    assert prepared(clips, folder, teacher).num_made == 0
    assert len(teachers_in(folder)) == 1


def prepared(clips, folder: Path, teacher_folder: Path):
    """Fill a cache with what a folder of vectors holds, as `save data prepare` does."""
    taught = open_teacher(str(teacher_folder), hub=Hub(offline=True), device=torch.device("cpu"))
    request = CacheRequest(
        CONFIG, speech=SPEECH, teacher=taught.teacher, teacher_name=taught.name, teacher_fingerprint=taught.fingerprint
    )
    return prepare_request(*clips, request, folder)


def vectors(folder: Path, ids: Sequence[str], value: float) -> None:
    rows = torch.full((len(ids), 4), value)
    write_teacher(folder, ids, Taught(TeacherVectors(audio=rows, video=rows), torch.ones(len(ids), dtype=torch.bool)))


def test_vectors_that_were_replaced_are_read_again(clips, tmp_path):
    folder, teacher = tmp_path / "cache", tmp_path / "teacher"
    vectors(teacher, ["clip0", "clip1"], 1.0)
    report = prepared(clips, folder, teacher)
    assert report.plan.num_untaught == 2  # clip2 and the broken one
    source = CacheSource(folder, CONFIG, speech=SPEECH)
    assert [source.is_taught(item) for item in readable(clips[0])] == [True, True, False]
    assert prepared(clips, folder, teacher).num_made == 0
    vectors(teacher, ["clip0", "clip1", "clip2"], 2.0)
    assert prepared(clips, folder, teacher).num_made == 3
    source = CacheSource(folder, CONFIG, speech=SPEECH)  # no question whose vectors are meant
    assert all((source.read(item).teacher_video == 2).all() for item in readable(clips[0]))


def test_a_damaged_vector_ends_the_filling(clips, tmp_path):
    teacher = tmp_path / "teacher"
    vectors(teacher, ["clip0", "clip1"], float("nan"))
    with pytest.raises(WeightsError, match="NaN"):
        prepared(clips, tmp_path / "cache", teacher)


def test_other_weights_of_a_teacher_are_another_teacher(tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"one")
    before = teacher_key("imagebind", files_digest(weights))
    assert before == teacher_key("imagebind", files_digest(weights))
    weights.write_bytes(b"other")
    assert before != teacher_key("imagebind", files_digest(weights))
    (tmp_path / "below").mkdir()
    whole = files_digest(tmp_path)
    (tmp_path / "below/config.json").write_bytes(b"{}")
    assert files_digest(tmp_path) != whole


class Recognising:
    """A recogniser that hears the same in every file."""

    name = "whisper"

    def read(self, info) -> Transcript:
        return Transcript((Utterance(0.0, 0.4, "heard"),), self.name)


def test_speech_waits_for_a_recogniser(tmp_path, videos):
    clips = dataset_of([clip("a"), clip("b")]), Located({"a": videos / "clip0.mp4", "b": videos / "clip1.mp4"}, ())
    folder = tmp_path / "cache"
    none = Transcriber((), lambda: Recogniser(None, "", note="speech not recognised"))
    report = prepare_cache(*clips, CONFIG, folder, transcriber=none)
    assert (report.num_unheard, report.num_with_speech) == (1, 0)  # b has no sound
    again = prepare_cache(*clips, CONFIG, folder, transcriber=none)
    assert (again.num_unheard, again.num_made, again.plan.num_there) == (1, 0, 1)
    source = CacheSource(folder, CONFIG)
    with pytest.raises(MediaError, match="clip a is not in the cache"):
        source.read(clip("a"))
    assert source.read(clip("b")).speech == ""
    hears = Transcriber((), lambda: Recogniser(Recognising(), "whisper base"))
    report = prepare_cache(*clips, CONFIG, folder, transcriber=hears)
    assert (report.num_unheard, report.num_made, report.num_with_speech) == (0, 2, 1)
    assert CacheSource(folder, CONFIG).read(clip("a")).speech == "heard"


def test_subtitles_that_come_or_change_are_read(tmp_path, videos):
    path = tmp_path / "1004_Juno_00.01-00.02.mp4"  # names with dots, as in LSMDC
    path.write_bytes((videos / "clip0.mp4").read_bytes())
    clips = dataset_of([clip("a")]), Located({"a": path}, ())
    folder = tmp_path / "cache"
    hears = Transcriber((SidecarSource(),), lambda: Recogniser(Recognising(), "whisper base"))
    prepare_cache(*clips, CONFIG, folder, transcriber=hears)
    for number, (name, text) in enumerate([("en.srt", "first"), ("en.srt", "changed"), ("srt", "better")], start=1):
        beside = path.with_name(f"{path.stem}.{name}")
        beside.write_text(f"1\n00:00:00,000 --> 00:00:00,400\n{text}\n", encoding="utf-8")
        os.utime(beside, ns=(number, number))
        with pytest.raises(MediaError, match="is not in the cache"):
            CacheSource(folder, CONFIG, paths=clips[1].paths).read(clip("a"))
        assert prepare_cache(*clips, CONFIG, folder, transcriber=hears).num_made == 1
        assert CacheSource(folder, CONFIG, paths=clips[1].paths).read(clip("a")).speech == text
        assert prepare_cache(*clips, CONFIG, folder, transcriber=hears).num_made == 0


def test_clips_that_fit_are_counted(clips, tmp_path, videos):
    dataset, located = clips
    prepare_cache(dataset, located, CONFIG, tmp_path / "cache", speech=SPEECH)
    items = dataset.splits[0].clips
    assert CacheSource(tmp_path / "cache", CONFIG, paths=located.paths).states(items) == {
        "there": 3,
        "failed": 1,
        "absent": 1,
    }
    other = {**located.paths, "clip0": videos / "clip3.mp4"}
    assert CacheSource(tmp_path / "cache", CONFIG, paths=other).states(items)["changed"] == 1
    more = replace(CONFIG, inputs=replace(CONFIG.inputs, num_frames=5))
    assert CacheSource(tmp_path / "cache", more, paths=located.paths).states(items) == {"absent": 5}


def test_damage_is_mended_by_files_or_by_verify(clips, tmp_path):
    dataset, located = clips
    folder = tmp_path / "cache"
    prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH, num_workers=1)
    place = folder / frames_key(CONFIG).name / DATA
    data = bytearray(place.read_bytes())
    data[5] ^= 255
    place.write_bytes(data)
    files = FileSource(located.paths, CONFIG, speech=SPEECH)
    wanted = files.read(clip("clip0")).frames
    with pytest.raises(SaveError, match="the cache is damaged at `clip0`"):
        CacheSource(folder, CONFIG, speech=SPEECH).read(clip("clip0"))
    mended = CacheSource(folder, CONFIG, files=files, speech=SPEECH).read(clip("clip0"))
    np.testing.assert_array_equal(mended.frames, wanted)
    report = prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH, verify=True)
    assert (report.num_damaged, report.num_made) == (1, 1)
    np.testing.assert_array_equal(CacheSource(folder, CONFIG, speech=SPEECH).read(clip("clip0")).frames, wanted)


def test_a_full_disk_leaves_a_cache_that_goes_on(clips, tmp_path):
    dataset, located = clips
    folder = tmp_path / "cache"
    one = cache_size(1, CONFIG, with_tokens=False).frames
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(1.5 * one), before[1]))
    try:
        with pytest.raises(SaveError, match="the cache cannot be written"):
            prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH, num_workers=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert CacheSource(folder, CONFIG, speech=SPEECH).read(clip("clip0")).has_sound
    assert prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH).num_made == 2


def test_a_killed_run_goes_on(clips, tmp_path):
    dataset, located = clips
    folder = tmp_path / "cache"
    script = (
        "import os, sys, pickle\n"
        "from savecli.core.progress import NoProgress\n"
        "from savecli.training.prepare import prepare_cache\n"
        "class Killer(NoProgress):\n"
        "    def advance(self, amount): os.kill(os.getpid(), 9)\n"
        "dataset, located, config, folder, speech = pickle.load(sys.stdin.buffer)\n"
        "prepare_cache(dataset, located, config, folder, speech=speech, progress=Killer())\n"
    )
    given = pickle.dumps((dataset, located, CONFIG, folder, SPEECH))
    done = subprocess.run([sys.executable, "-c", script], input=given, capture_output=True, timeout=60)
    assert done.returncode == -9, done.stderr.decode()
    index = folder / frames_key(CONFIG).name / INDEX
    index.write_bytes(index.read_bytes() + b'["clip1","')
    report = prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH)
    assert (report.num_made, report.plan.num_there) == (2, 1)
    source = CacheSource(folder, CONFIG, speech=SPEECH)
    assert all(len(source.read(item).frames) for item in readable(dataset))


def test_parts_that_a_kill_left_waiting_are_read_and_put_back(tmp_path, audio_branch):
    """Killed between both renames of a compaction, and with the video gone since."""
    path = make_video(tmp_path / "talk.mkv", audio="tone", duration_s=1.0, subtitles=[(0.2, 0.8, "first")])
    held, folder, teacher = clip("a"), tmp_path / "cache", tmp_path / "teacher"
    vectors(teacher, ["a"], 1.0)
    taught = open_teacher(str(teacher), hub=Hub(offline=True), device=torch.device("cpu"))
    named = {"teacher_name": taught.name, "teacher_fingerprint": taught.fingerprint}
    request = CacheRequest(CONFIG, audio_branch, teacher=taught.teacher, **named)
    here = dataset_of([held]), Located({"a": path}, missing=())
    prepare_request(*here, request, folder)
    parts = list(folder.glob("*-*"))
    assert len(parts) == 4
    for part in parts:
        part.rename(folder / f".{part.name}.old")
    (folder / ".notes.old").mkdir()  # a person's own
    assert plan_cache(*here, request, folder).num_there == 1
    path.unlink()
    source = CacheSource(folder, CONFIG, audio=audio_branch)
    read = source.read(held)
    assert (read.sound_tokens is not None, read.speech, source.is_taught(held)) == (True, "first", True)
    prepare_cache(dataset_of([]), Located({}, missing=()), small_config("clip4clip-meanp"), folder)  # another model
    assert set(parts) <= set(folder.iterdir())
    assert [left.name for left in folder.glob(".*")] == [".notes.old"]


def test_one_fills_a_cache_at_a_time(clips, tmp_path):
    dataset, located = clips
    with writing(tmp_path / "cache"), pytest.raises(SaveError, match="is busy"):
        prepare_cache(dataset, located, CONFIG, tmp_path / "cache", speech=SPEECH)


def test_sizes_are_told_beforehand(clips, tmp_path, audio_branch):
    dataset, located = clips
    located = replace(located, paths={name: path for name, path in located.paths.items() if name != "broken"})
    for branch in (None, audio_branch):
        folder = tmp_path / f"cache-{branch is not None}"
        request = CacheRequest(CONFIG, audio=branch, speech=SPEECH)
        plan = plan_cache(dataset, located, request, folder)
        assert len(plan.todo) == 3
        assert not folder.exists()
        prepare_cache(dataset, located, CONFIG, folder, speech=SPEECH, audio_branch=branch)
        used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name in (DATA, INDEX))
        assert plan.size.total == pytest.approx(used, rel=0.35)  # a third of the clips are silent


def test_no_cache_is_told(tmp_path):
    with pytest.raises(UsageError, match="no cache at"):
        CacheSource(tmp_path / "none", CONFIG)
