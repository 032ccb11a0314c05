"""Choosing an encoder, what it makes of clips, and opening it again for an archive."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import open_clip
import pytest
import torch
from torch.nn import functional

from savecli.archive.clip_encoder import ClipEncoder, load_clip_encoder
from savecli.archive.encoder import (
    WordsEncoder,
    encoder_record,
    fetch_encoder,
    load_encoder,
    load_text_encoder,
    reopen_encoder,
    resolve_encoder,
)
from savecli.archive.manifest import EncoderRecord
from savecli.core.errors import UsageError, WeightsError
from savecli.core.records import ClipInput, Frame, Span
from savecli.features.pixels import pixel_tensor
from savecli.model.clip_spec import KNOWN_CLIPS
from savecli.model.hub import Hub
from tests.make_clip import TINY_SIZE, TINY_WIDTH, make_tiny_clip
from tests.make_hub import serve_hub

OFFLINE = Hub(offline=True)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Encoder spelling of a tiny random CLIP."""
    return make_tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def encoder(tiny) -> ClipEncoder:
    """The tiny CLIP in fp32, so that numbers can be compared closely."""
    source = resolve_encoder(tiny, hub=OFFLINE).clip
    return load_clip_encoder(source, device="cpu", precision="fp32", batch_size=2)


def clip(rng, num_frames=12, speech="", height=40, width=70):
    pixels = rng.integers(0, 256, (num_frames, height, width, 3), dtype=np.uint8)
    frames = tuple(Frame(float(idx), picture) for idx, picture in enumerate(pixels))
    return ClipInput(Span(0.0, 10.0), frames, speech)


def assert_same(ours, theirs, *, atol=1e-5):
    for name in ("pooled", "frames", "speech"):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert (one is None) == (other is None), name
        if one is not None:
            # float16 has steps of 2⁻¹¹ below 1, so two roundings of nearly one number may differ by one.
            assert np.allclose(one, other, atol=1e-3 if name == "frames" else atol), name


class TestChoosing:
    def test_words_need_nothing(self):
        choice = resolve_encoder("words", hub=OFFLINE)
        assert (choice.name, choice.dimension, choice.needs.num_frames, choice.is_here) == ("words", 0, 0, True)
        encoder = load_encoder(choice, hub=OFFLINE)
        assert isinstance(encoder, WordsEncoder)
        with pytest.raises(AssertionError, match="no vectors"):
            encoder.encode_text(["a dog"])

    def test_auto_falls_back_to_words_and_says_why_and_what_helps(self, tmp_path):
        choice = resolve_encoder("auto", hub=Hub(offline=True, cache_dir=tmp_path))
        assert choice.name == "words"
        assert choice.reason == "CLIP weights are not here and the hub cannot be reached (--offline forbids downloads)"
        assert "save models pull clip`, then `save index --encoder clip" in choice.better

    def test_auto_takes_clip_when_it_can_be_downloaded_or_is_here(self, tmp_path, monkeypatch):
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        with serve_hub() as server:
            server.files[f"{KNOWN_CLIPS[0].repo}/open_clip_model.safetensors"] = b"numbers"
            hub = Hub(endpoint=server.endpoint, cache_dir=tmp_path)
            choice = resolve_encoder("auto", hub=hub)
            assert choice.label == "clip ViT-B-32 (openai)"
            assert choice.reason == "its weights will be downloaded (605 MB)"
            assert not choice.is_here
            fetched = fetch_encoder(choice, hub=hub)
            assert fetched.is_here
            assert fetched.download_bytes == 0
        choice = resolve_encoder("auto", hub=Hub(offline=True, cache_dir=tmp_path))
        assert (choice.name, choice.reason) == ("clip:ViT-B-32/openai", "its weights are on this machine")
        assert (choice.dimension, choice.needs.num_frames, choice.needs.short_side) == (512, 12, 224)

    def test_weights_asked_for_by_name_must_be_had(self, tmp_path):
        with pytest.raises(WeightsError, match="weights of clip:ViT-B-32/openai are not on this machine") as caught:
            resolve_encoder("clip", hub=Hub(offline=True, cache_dir=tmp_path))
        assert caught.value.why == "--offline forbids downloads"
        assert "save models pull" in caught.value.fix

    def test_a_local_model_needs_no_hub(self, tiny):
        choice = resolve_encoder(tiny, hub=OFFLINE)
        assert (choice.name, choice.dimension, choice.needs.short_side) == (tiny, TINY_WIDTH, TINY_SIZE)

    @pytest.mark.parametrize("spec", ["", "clap", "whisper-base", "/models/mine"])
    def test_other_names_are_refused_with_the_allowed_ones(self, spec):
        with pytest.raises(UsageError, match="unknown encoder") as caught:
            resolve_encoder(spec, hub=OFFLINE)
        assert "`words`" in caught.value.why
        assert "`clip:MODEL=FILE`" in caught.value.why


class TestEncoding:
    def test_vectors_are_those_of_open_clip(self, tiny, encoder, rng):
        model = open_clip.create_model(f"local-dir:{tiny.removeprefix('clip:')}").eval()
        given = clip(rng, speech="we saw a dog")
        (ours,) = encoder.encode_clips([given])
        form = resolve_encoder(tiny, hub=OFFLINE).clip.config.pixels
        pictures = np.stack([frame.pixels for frame in given.frames])
        with torch.inference_mode():
            pixels = pixel_tensor(pictures, image_size=TINY_SIZE, mean=form.mean, std=form.std)
            frames = model.encode_image(pixels, normalize=True)
            pooled = functional.normalize(frames.mean(dim=0), dim=-1)
            speech = model.encode_text(open_clip.get_tokenizer("ViT-B-32")(["we saw a dog"]), normalize=True)[0]
        assert ours.frames.dtype == np.float32
        assert np.allclose(ours.frames, frames, atol=1e-3)
        assert np.allclose(ours.pooled, pooled, atol=1e-6)
        assert np.allclose(ours.speech, speech, atol=1e-6)
        assert np.allclose(encoder.encode_text(["we saw a dog"])[0], speech, atol=1e-6)

    def test_vectors_are_unit_and_missing_is_none(self, encoder, rng):
        seen, said, neither = encoder.encode_clips([clip(rng), clip(rng, 0, "hello"), clip(rng, 0, "  ")])
        assert seen.speech is None
        assert (said.pooled, said.frames) == (None, None)
        assert (neither.pooled, neither.frames, neither.speech) == (None, None, None)
        for vector in (seen.pooled, said.speech):
            assert vector.dtype == np.float32
            assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)
        assert np.linalg.norm(seen.frames.astype(np.float32), axis=1) == pytest.approx(np.ones(12), abs=1e-3)

    def test_a_clip_alone_equals_the_clip_among_others(self, encoder, rng):
        """Whatever the neighbours: fewer frames, other sizes, long and short speech, none at all."""
        clips = [
            clip(rng, speech="a dog"),
            clip(rng, 3, height=64, width=36),
            clip(rng, 0, "word " * 100),
            clip(rng, 1, "hello there, everybody", height=32, width=32),
            clip(rng, 0),
            clip(rng, 12),
        ]
        together = encoder.encode_clips(clips)
        for given, ours in zip(clips, together, strict=True):
            assert_same(encoder.encode_clips([given])[0], ours)
        for given, ours in zip(reversed(clips), encoder.encode_clips(clips[::-1]), strict=True):
            assert_same(encoder.encode_clips([given])[0], ours)

    def test_nothing_gives_nothing(self, encoder):
        assert encoder.encode_clips([]) == []
        assert encoder.encode_text([]).shape == (0, TINY_WIDTH)

    def test_speech_beyond_the_context_is_cut(self, encoder, rng):
        """77 tokens with the two marks: 75 words of one token each."""
        fits, beyond = encoder.encode_clips([clip(rng, 0, "dog " * 75), clip(rng, 0, "dog " * 75 + "and a cat")])
        assert np.allclose(fits.speech, beyond.speech, atol=1e-6)
        shorter = encoder.encode_text(["dog " * 74])[0]
        assert not np.allclose(fits.speech, shorter, atol=1e-6)

    def test_the_machines_precision_keeps_the_vectors(self, tiny, encoder, rng):
        chosen = load_encoder(resolve_encoder(tiny, hub=OFFLINE), hub=OFFLINE, device="cpu")
        clips = [clip(rng, speech="a dog"), clip(rng, speech="the sea at night")]
        for ours, exact in zip(chosen.encode_clips(clips), encoder.encode_clips(clips), strict=True):
            assert ours.pooled @ exact.pooled >= 0.9995
            assert ours.speech @ exact.speech >= 0.9995

    def test_a_full_gpu_halves_the_batch_and_changes_nothing(self, tiny, encoder, rng):
        source = resolve_encoder(tiny, hub=OFFLINE).clip
        small = load_clip_encoder(source, device="cpu", precision="fp32", batch_size=4)
        sizes = []

        def with_memory_for_ten(module, inputs):
            sizes.append(len(inputs[0]))
            if len(inputs[0]) > 10:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")

        small._vision.register_forward_pre_hook(with_memory_for_ten)
        clips = [clip(rng, speech="a dog") for _ in range(3)]
        for ours, theirs in zip(small.encode_clips(clips), encoder.encode_clips(clips), strict=True):
            assert_same(ours, theirs)
        assert sizes == [36, 24, 12, 6, 6, 6, 6, 6, 6]


class TestReopening:
    def test_an_archive_opens_its_own_encoder(self, tiny, encoder):
        record = encoder_record(resolve_encoder(tiny, hub=OFFLINE))
        assert record.fingerprint == encoder.fingerprint
        stored = EncoderRecord(**json.loads(json.dumps(asdict(record))))
        assert reopen_encoder(stored, hub=OFFLINE).reason == "the archive's own"
        vectors = load_text_encoder(stored, hub=OFFLINE).encode_text(["a dog", "the sea"])
        assert vectors.shape == (2, TINY_WIDTH)
        assert (vectors * encoder.encode_text(["a dog", "the sea"])).sum(axis=1).min() >= 0.9995

    def test_words_are_reopened_as_words(self):
        record = encoder_record(resolve_encoder("words", hub=OFFLINE))
        assert reopen_encoder(record, hub=OFFLINE).name == "words"
        with pytest.raises(AssertionError, match="no vectors"):
            load_text_encoder(record, hub=OFFLINE)

    def test_weights_that_changed_are_refused(self, tmp_path):
        spec = make_tiny_clip(tmp_path / "clip", seed=1)
        record = encoder_record(resolve_encoder(spec, hub=OFFLINE))
        make_tiny_clip(tmp_path / "clip", seed=2)
        with pytest.raises(WeightsError, match="not the ones this archive was made with") as caught:
            load_text_encoder(record, hub=OFFLINE)
        assert f"save index --encoder {spec} --rebuild" in caught.value.fix

    def test_weights_that_are_gone_are_named(self, tmp_path):
        spec = make_tiny_clip(tmp_path / "clip")
        record = encoder_record(resolve_encoder(spec, hub=OFFLINE))
        shutil.rmtree(tmp_path / "clip")
        with pytest.raises(WeightsError, match="cannot be opened") as caught:
            reopen_encoder(record, hub=OFFLINE)
        assert str(tmp_path / "clip") in caught.value.why

    def test_a_download_that_is_another_version_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        with serve_hub() as server:
            server.files[f"{KNOWN_CLIPS[0].repo}/open_clip_model.safetensors"] = b"other numbers"
            hub = Hub(endpoint=server.endpoint, cache_dir=tmp_path)
            record = EncoderRecord(name="clip:ViT-B-32/openai", label="", fingerprint="0" * 64, dimension=512)
            with pytest.raises(WeightsError, match="not the ones this archive was made with"):
                load_text_encoder(record, hub=hub)

    def test_a_fingerprint_needs_the_weights(self, tiny):
        choice = resolve_encoder(tiny, hub=OFFLINE)
        with pytest.raises(ValueError, match="not here yet"):
            encoder_record(replace(choice, clip=replace(choice.clip, weights=None)))
