"""A model of ours as an archive's encoder: its vectors are those of training, whatever the batch; scores are exact."""

from __future__ import annotations

from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest
import torch

from savecli.archive.create import create_archive
from savecli.archive.encoder import encoder_record, load_encoder, load_text_encoder, reopen_encoder, resolve_encoder
from savecli.archive.manifest import EncoderRecord, Manifest, ScoringRecord, read_manifest, write_manifest
from savecli.archive.plan import Todo
from savecli.archive.prepare import ClipReady, prepare_again, prepare_video
from savecli.archive.save_encoder import SaveEncoder, load_save_encoder
from savecli.archive.schema import SCHEMA_VERSION, ClipRow
from savecli.archive.store import open_archive
from savecli.core.errors import UsageError, WeightsError
from savecli.core.records import NO_SPEECH, ClipInput, Transcript, VideoFile, VideoInfo
from savecli.datasets.base import Caption, DatasetClip
from savecli.media.clips import read_clips
from savecli.media.probe import probe_video
from savecli.model.checkpoint import PREPROCESS, Checkpoint, load_checkpoint
from savecli.model.hub import Hub
from savecli.model.records import VideoEncoding
from savecli.search.candidates import compared_clips
from savecli.search.contributions import read_contributions
from savecli.search.exact import exact_logits, proposal_by_logits
from savecli.training.batches import Collator, inputs_on_device
from savecli.training.files import FileSource
from tests.make_checkpoint import NUM_FRAMES, make_checkpoint

OFFLINE = Hub(offline=True)
CPU = torch.device("cpu")
PRESETS = ("save", "save-plus", "save-2", "save-h", "avigate", "clip4clip-meanp")

pytestmark = pytest.mark.usefixtures("one_thread")


class NoWords:
    """Hears nothing."""

    def transcribe(self, info: VideoInfo) -> Transcript:
        return NO_SPEECH


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("models")
    return {preset: make_checkpoint(top / preset, preset) for preset in PRESETS}


def encoder_of(folder: Path, **options) -> SaveEncoder:
    """In fp32, so that numbers can be compared closely."""
    source = resolve_encoder(str(folder), hub=OFFLINE).checkpoint
    return load_save_encoder(source, device="cpu", precision="fp32", **options)


def clip_of(path: Path, encoder: SaveEncoder, speech: str = "") -> ClipInput:
    """The one clip of a short file, as an index run decodes it."""
    (clip,) = read_clips(probe_video(path), needs=encoder.needs)
    return ClipInput(clip.span, clip.frames, speech, clip.waveform)


def as_trained(checkpoint: Checkpoint, path: Path, speech: str) -> VideoEncoding:
    """The whole file through what training and evaluation read and encode with."""
    config = checkpoint.config
    source = FileSource({"a": path}, config, speech={"a": speech})
    arrays = source.read(DatasetClip("a", (Caption("a caption"),), "a"))
    with torch.inference_mode():
        return checkpoint.model.encode_video(inputs_on_device(Collator(config).inputs([arrays]), config, CPU))


@pytest.mark.parametrize("preset", PRESETS)
def test_vectors_are_those_of_training(folders, video, preset):
    encoder, checkpoint = encoder_of(folders[preset]), load_checkpoint(folders[preset])
    path = video(duration_s=2.0, scenes=("red", "blue"))
    (ours,) = encoder.encode_clips([clip_of(path, encoder, "we saw a dog")])
    theirs = as_trained(checkpoint, path, "we saw a dog")
    np.testing.assert_allclose(ours.pooled, theirs.pooled[0], atol=1e-5)
    np.testing.assert_allclose(ours.frames, theirs.frames[0], atol=1e-3)
    assert ours.speech is None


def test_vectors_made_again_are_of_the_same_frames_and_sound(folders, video):
    """A re-encoding takes clips and words from the archive, and everything else from the file."""
    path = video(duration_s=33.0, rate_hz=5, scenes=("red", "blue", "green"))
    needs = encoder_of(folders["save-plus"]).needs
    todo = Todo(VideoFile(path, path.stat().st_size, path.stat().st_mtime_ns), path.parent)
    events = list(prepare_video(todo, needs=needs, transcriber=NoWords(), find_content=lambda video_id: None))
    first, row = [event for event in events if isinstance(event, ClipReady)], events[-1].row
    again = list(prepare_again(row, path, [event.clip for event in first], needs=needs))[:-1]
    assert len(first) == len(again) > 2
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.clip_input.waveform, other.clip_input.waveform)
        assert len(one.clip_input.frames) == len(other.clip_input.frames) == NUM_FRAMES
    total_s = sum(len(event.clip_input.waveform) for event in again) / needs.audio_rate_hz
    assert total_s == pytest.approx(33.0, abs=0.1)


@pytest.mark.parametrize("preset", ["save", "save-plus"])
def test_a_clip_does_not_depend_on_its_neighbours(folders, video, preset):
    encoder = encoder_of(folders[preset], batch_size=3)
    clips = [
        clip_of(video("a.mp4", duration_s=2.0), encoder, "we saw a dog"),
        clip_of(video("b.mp4", duration_s=1.0, audio=None), encoder),
        clip_of(video("c.mp4", duration_s=0.08, rate_hz=25), encoder, "a cat, and many more words than that"),
    ]
    nothing = ClipInput(clips[0].span, (), "only words")
    together = encoder.encode_clips([clips[0], nothing, *clips[1:]])
    assert together.pop(1).pooled is None
    assert len(together[2].frames) == len(clips[2].frames) == 2
    for one, clip in zip(together, clips, strict=True):
        (alone,) = encoder.encode_clips([clip])
        np.testing.assert_allclose(one.pooled, alone.pooled, atol=1e-5)
    assert encoder.encode_clips([nothing])[0].frames is None


def test_sound_and_words_take_part(folders, video):
    encoder = encoder_of(folders["save-plus"])
    clip = clip_of(video(duration_s=2.0), encoder, "we saw a dog")
    others = [
        ClipInput(clip.span, clip.frames, clip.speech),
        ClipInput(clip.span, clip.frames, "another story", clip.waveform),
        ClipInput(clip.span, clip.frames, "", clip.waveform),
    ]
    whole, *changed = encoder.encode_clips([clip, *others])
    assert all(np.abs(whole.pooled - other.pooled).max() > 1e-3 for other in changed)


@pytest.mark.parametrize("preset", ["save-plus", "avigate"])
def test_what_each_sense_adds_makes_up_the_whole(folders, video, preset):
    """Less the parts of sound and words, a clip is what it would be as a silent picture."""
    encoder = encoder_of(folders[preset])
    clip = clip_of(video(duration_s=2.0), encoder, "we saw a dog")
    silent = ClipInput(clip.span, clip.frames)
    whole, alone, heard = encoder.encode_clips([clip, silent, ClipInput(clip.span, clip.frames, "", clip.waveform)])
    assert alone.audio_part is None
    assert heard.speech_part is None
    parts = [part for part in (whole.audio_part, whole.speech_part) if part is not None]
    assert len(parts) == (2 if preset == "save-plus" else 1)
    if preset == "save-plus":  # a published model has a row of zeros for missing sound, which is no silence
        np.testing.assert_allclose(whole.pooled - sum(part.vector for part in parts), alone.pooled, atol=1e-5)
        np.testing.assert_allclose(heard.pooled - heard.audio_part.vector, alone.pooled, atol=1e-5)
    for part in parts:
        assert np.abs(part.vector).max() > 1e-4
        assert part.gates.shape == (encoder._layers, 2)
        assert np.abs(part.gates).max() < 1


def test_queries_are_captions_however_short(folders):
    """The published rule, by which a text of fewer than five characters is missing, is for captions and speech."""
    encoder, checkpoint = encoder_of(folders["save"]), load_checkpoint(folders["save"])
    texts = ["a dog catches a frisbee", "caf\u00e9 on a beach"]
    with torch.inference_mode():
        expected = checkpoint.model.encode_text(Collator(checkpoint.config).caption_tokens(texts))
    np.testing.assert_allclose(encoder.encode_text(texts), expected, atol=1e-5)
    dog, cat = encoder.encode_text(["dog", "cat"])
    assert dog @ cat < 0.9999


@pytest.mark.parametrize("preset", ["save-plus", "save-h"])
def test_the_exact_score_is_the_models_own(folders, preset, rng):
    model, config, _ = load_checkpoint(folders[preset])
    scoring = resolve_encoder(str(folders[preset]), hub=OFFLINE).checkpoint.scoring
    assert scoring.kind == config.scoring
    numbers = [4, 1, 3, 2]
    frames = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(4, 4, 32))).float(), dim=-1)
    mask = torch.arange(4) < torch.tensor(numbers)[:, None]
    pooled = torch.nn.functional.normalize((frames * mask[..., None]).sum(1), dim=-1)
    text = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(1, 32))).float(), dim=-1)
    with torch.inference_mode():
        expected = model.similarity(text, VideoEncoding(frames, pooled, mask, pooled))[0].numpy()
    ragged = [rows[:number].numpy() for rows, number in zip(frames, numbers, strict=True)]
    query = text[0].numpy()
    ours = exact_logits(pooled.numpy() @ query, [rows @ query for rows in ragged], scoring)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_a_clip_without_frames_comes_last():
    scoring = ScoringRecord(kind="joint", temperature=2.0, logit_scale=100.0)
    pooled = np.ones(2, np.float32)
    empty, whole = exact_logits(pooled, [np.zeros(0, np.float32), pooled], scoring)
    assert empty == -np.inf
    assert whole == pytest.approx(100 + np.log(2) / 4)
    assert len(exact_logits(pooled[:0], [], scoring)) == 0


def test_candidates_of_words_are_scored_too(folders, video, tmp_path):
    """Those that the vectors did not propose; a clip without a picture has no score, and no place."""
    encoder, model = encoder_of(folders["save-plus"]), load_checkpoint(folders["save-plus"]).model
    record = encoder_record(resolve_encoder(str(folders["save-plus"]), hub=OFFLINE))
    archive = create_archive(tmp_path / "test.save")
    vectors = archive.make_vector_table(record)
    clips = [clip_of(video(f"{colour}.mp4", scenes=(colour,)), encoder) for colour in ("red", "blue")]
    embeddings = encoder.encode_clips([*clips, ClipInput(clips[0].span)])
    archive.add_vectors([ClipRow("video", idx, 0.0, 3.0) for idx in range(3)], embeddings, vectors)
    text = encoder.encode_text(["a dog"])[0]
    near = compared_clips(vectors, "seen", ["video:1"], with_frames=True)
    found = proposal_by_logits(
        near.joined(compared_clips(vectors, "seen", ["video:0", "video:1", "video:2", "gone:0"], with_frames=True)),
        text,
        record.scoring,
        None,
    )
    frames = torch.stack([torch.from_numpy(item.frames).float() for item in embeddings[:2]])
    pooled = torch.from_numpy(np.stack([item.pooled for item in embeddings[:2]]))
    mask = torch.ones(frames.shape[:2], dtype=torch.bool)
    with torch.inference_mode():
        expected = model.similarity(torch.from_numpy(text)[None], VideoEncoding(frames, pooled, mask, pooled))[0]
    assert dict(zip(found.clip_ids, found.logits, strict=True)) == {
        f"video:{idx}": pytest.approx(float(logit), abs=3e-4 * record.scoring.logit_scale)
        for idx, logit in enumerate(expected)
    }
    assert list(found.logits) == sorted(found.logits, reverse=True)


def test_an_archive_gives_back_what_each_sense_has_added(folders, video, tmp_path):
    encoder = encoder_of(folders["save-plus"])
    record = encoder_record(resolve_encoder(str(folders["save-plus"]), hub=OFFLINE))
    archive = create_archive(tmp_path / "test.save")
    vectors = archive.make_vector_table(record)
    clip = clip_of(video(duration_s=2.0), encoder, "we saw a dog")
    made = encoder.encode_clips([clip, ClipInput(clip.span, clip.frames), ClipInput(clip.span, (), "only words")])
    clips = [ClipRow("video", idx, 0.0, 3.0) for idx in range(3)]
    archive.add_vectors(clips, made, vectors)
    kept = read_contributions(vectors, [row.clip_id for row in clips])
    assert set(kept) == {"video:0", "video:1"}
    whole, silent = kept["video:0"], kept["video:1"]
    np.testing.assert_allclose(whole.frames, made[0].frames, atol=2e-3)
    np.testing.assert_allclose(whole.frame_s, [frame.time_s for frame in clip.frames], atol=1e-6)
    np.testing.assert_allclose(whole.audio.gates, made[0].audio_part.gates, atol=1e-6)
    np.testing.assert_allclose(whole.seen, made[1].pooled, atol=2e-3)
    assert silent.audio is None
    assert silent.speech is None
    np.testing.assert_array_equal(silent.seen, silent.pooled)


def test_tables_of_an_older_form_are_made_anew(folders, tmp_path):
    """Until an index run has done so they count as missing, and no query trips over them."""
    record = encoder_record(resolve_encoder(str(folders["save-plus"]), hub=OFFLINE))
    archive = create_archive(tmp_path / "test.save")
    made = archive.make_vector_table(record)
    name = made.name
    old = pa.schema([("clip_id", pa.string()), ("video_id", pa.string()), ("embeddings", pa.large_binary())])
    lancedb.connect(str(archive.folder)).create_table(name, schema=old, mode="overwrite")
    archive = open_archive(archive.folder)
    assert archive.vector_table(record) is None
    assert archive.make_vector_table(record).schema.names == made.schema.names


class TestChoosing:
    def test_a_record_tells_how_to_score_and_opens_again(self, folders, tmp_path):
        choice = resolve_encoder(str(folders["save-plus"]), hub=OFFLINE)
        assert choice.needs.audio_rate_hz == 16000
        record = encoder_record(choice)
        assert record.senses == ("seen", "heard", "said")
        assert record.is_fused
        assert record.scoring.logit_scale == pytest.approx(1 / 0.07)
        write_manifest(tmp_path, Manifest(encoder=record))
        assert read_manifest(tmp_path).encoder == record
        again = reopen_encoder(record, hub=OFFLINE)
        encoder = load_encoder(again, hub=OFFLINE, device="cpu")
        assert (encoder.fingerprint, encoder.dimension) == (record.fingerprint, record.dimension)
        vectors = load_text_encoder(record, hub=OFFLINE).encode_text(["a dog"])
        assert np.linalg.norm(vectors) == pytest.approx(1, abs=1e-4)

    def test_a_model_of_pictures_alone_is_searched_by_sight(self, folders):
        record = encoder_record(resolve_encoder(str(folders["clip4clip-meanp"]), hub=OFFLINE))
        assert (record.senses, record.is_fused, record.scoring.kind) == (("seen",), False, "pooled")

    def test_names_of_imported_models_and_runs(self, tmp_path):
        make_checkpoint(tmp_path / "imported/mine")
        make_checkpoint(tmp_path / "run/best")
        named = resolve_encoder("mine", hub=OFFLINE, imported=tmp_path / "imported")
        assert named.name == str(tmp_path / "imported/mine")
        assert resolve_encoder(str(tmp_path / "run"), hub=OFFLINE).name == str(tmp_path / "run/best")

    def test_folders_that_hold_no_model_are_told(self, tmp_path):
        with pytest.raises(WeightsError, match=r"config\.json"):
            resolve_encoder(str(tmp_path), hub=OFFLINE)
        folder = make_checkpoint(tmp_path / "mine")
        with pytest.raises(UsageError, match=r"unknown encoder `.*/mone`") as caught:
            resolve_encoder(str(tmp_path / "mone"), hub=OFFLINE)
        assert f"did you mean `{folder}`" in caught.value.fix
        (folder / PREPROCESS).unlink()
        with pytest.raises(WeightsError, match="is not complete"):
            resolve_encoder(str(folder), hub=OFFLINE)

    def test_archives_of_before_know_no_scoring(self, tmp_path):
        path = tmp_path / "archive.json"
        path.write_text(
            '{"schema_version": 1, "encoder": {"name": "clip", "label": "clip", "fingerprint": "f", "dimension": 4},'
            ' "next_encoder": null, "language": "English", "roots": []}'
        )
        before = path.read_bytes()
        manifest = read_manifest(tmp_path)
        assert manifest.schema_version == SCHEMA_VERSION
        assert manifest.encoder == EncoderRecord(name="clip", label="clip", fingerprint="f", dimension=4)
        assert manifest.encoder.scoring is None
        assert not manifest.encoder.is_fused
        assert path.read_bytes() == before, "reading writes nothing"
