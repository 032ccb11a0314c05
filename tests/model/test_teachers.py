"""Teachers: vectors from files and from a tiny PE-AV with random weights, in the forms they are published in."""

from __future__ import annotations

import importlib
import pickle
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from savecli.core.errors import SaveError, WeightsError
from savecli.model.hub import Hub
from savecli.model.losses import alignment_loss
from savecli.model.records import AlignmentVectors, VideoEncoding
from savecli.model.teacher_models import PE_AV_RATE_HZ, ImageBindTeacher, PeAvTeacher, load_pe_av
from savecli.model.teachers import (
    FileTeacher,
    MissingVectorError,
    Teacher,
    TeacherClip,
    aligned_where_taught,
    file_teacher,
    write_teacher,
)

OFFLINE = Hub(offline=True)
# As in LSMDC: ids full of dots.
IDS = ["video0", "1004_Juno_00.00.32.718-00.00.35.546", "video2"]
CLIPS = [TeacherClip(clip_id) for clip_id in IDS]


@pytest.fixture
def authors(tmp_path: Path) -> Path:
    """The authors' form: `video/<id>.pt` and `audio/<id>.pt`; the last clip has no sound."""
    generator = torch.Generator().manual_seed(0)
    for name, ids in (("video", IDS), ("audio", IDS[:2])):
        (tmp_path / name).mkdir()
        for clip_id in ids:
            torch.save(torch.randn(1024, generator=generator), tmp_path / name / f"{clip_id}.pt")
    return tmp_path


def test_vectors_come_from_the_authors_files_in_the_clips_order(authors: Path) -> None:
    teacher: Teacher = file_teacher(authors)
    taught = teacher.encode(CLIPS[::-1])
    assert teacher.rate_hz is None
    assert taught.has_audio.tolist() == [False, True, True]
    for row, clip_id in enumerate(IDS[::-1]):
        assert torch.equal(taught.vectors.video[row], torch.load(authors / f"video/{clip_id}.pt"))
        wanted = torch.load(authors / f"audio/{clip_id}.pt") if clip_id in IDS[:2] else torch.zeros(1024)
        assert torch.equal(taught.vectors.audio[row], wanted)


def test_written_and_read_back_is_the_same(authors: Path, tmp_path: Path) -> None:
    taught = file_teacher(authors).encode(CLIPS)
    write_teacher(tmp_path / "new", IDS, taught)
    again = file_teacher(tmp_path / "new").encode(CLIPS)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["audio.safetensors", "video.safetensors"]
    assert torch.equal(again.vectors.video, taught.vectors.video)
    assert torch.equal(again.vectors.audio, taught.vectors.audio)
    assert torch.equal(again.has_audio, taught.has_audio)


@pytest.mark.parametrize("ids", [IDS[:2], [IDS[0], IDS[0], IDS[2]]])
def test_writing_wants_one_id_per_clip(authors: Path, tmp_path: Path, ids: list[str]) -> None:
    with pytest.raises(ValueError, match="different"):
        write_teacher(tmp_path / "new", ids, file_teacher(authors).encode(CLIPS))


def test_a_missing_sight_fails_and_says_which(authors: Path) -> None:
    (authors / "video/video2.pt").unlink()
    assert [file_teacher(authors).knows(clip_id) for clip_id in IDS] == [True, True, False]
    with pytest.raises(MissingVectorError, match=r"no video vector of clip video2.*video2\.pt is not there"):
        file_teacher(authors).encode(CLIPS)


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (torch.zeros(32, 1024), r"shape \(32, 1024\)"),
        (torch.zeros(512), "512 wide, the vectors before it 1024"),
        (torch.full((1024,), float("nan")), "NaN"),
        ({"vector": torch.zeros(1024)}, "it holds a dict"),
    ],
)
def test_what_is_not_a_vector_is_refused(authors: Path, held: object, why: str) -> None:
    torch.save(held, authors / "audio/video0.pt")
    with pytest.raises(WeightsError, match=why):
        file_teacher(authors).encode(CLIPS)


def test_files_that_run_code_or_are_cut_off_are_refused(authors: Path) -> None:
    path = authors / "audio/video0.pt"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(WeightsError, match="cannot use the teacher's vector"):
        file_teacher(authors).encode(CLIPS)
    path.write_bytes(pickle.dumps(SimpleNamespace(a=1), protocol=2))
    with pytest.raises(WeightsError, match="asks to run code"):
        file_teacher(authors).encode(CLIPS)


def test_a_place_without_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no teacher vectors at .*video: nothing is there"):
        file_teacher(tmp_path)
    (tmp_path / "video").mkdir()
    with pytest.raises(WeightsError, match=r"no `\.pt` file"):
        file_teacher(tmp_path)
    damaged = tmp_path / "video.safetensors"
    damaged.write_bytes(b"12345678")
    with pytest.raises(WeightsError, match="cannot use"):
        FileTeacher(damaged, damaged)


def test_no_clips_are_refused(authors: Path) -> None:
    with pytest.raises(ValueError, match="no clips"):
        file_teacher(authors).encode([])


def test_alignment_leaves_out_what_the_teacher_did_not_hear(authors: Path) -> None:
    """The clip that only the student hears changes neither the loss nor, through a NaN, its gradient."""
    taught = file_teacher(authors).encode(CLIPS)
    student = torch.nn.functional.normalize(torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    heard = torch.tensor([True, True, True])
    frames = student[0][:, None]
    alignment = AlignmentVectors(student[0], student[1], heard)
    encoding = VideoEncoding(frames, student[0], heard[:, None], student[0], alignment)
    kept = aligned_where_taught(encoding, taught).alignment
    assert kept is not None
    assert kept.has_audio.tolist() == [True, True, False]
    assert aligned_where_taught(encoding._replace(alignment=None), taught).alignment is None

    similarity = (student[0] @ student[1].T).requires_grad_()
    target = taught.vectors.video @ taught.vectors.audio.T
    loss = alignment_loss(similarity, target, kept.has_audio, kind="kl")
    alone = alignment_loss(similarity[:2, :2], target[:2, :2], heard[:2], kind="kl")
    assert loss.item() == pytest.approx(alone.item(), rel=1e-5)
    loss.backward()
    assert similarity.grad is not None
    assert bool(similarity.grad.isfinite().all())


# PE-AV


@pytest.fixture(scope="module")
def pe_av_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny PE-AV with random weights in the form of the published ones."""
    import transformers

    small = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 16,
    }
    dac = {"encoder_hidden_size": 4, "downsampling_ratios": [2, 8, 10, 12], "codebook_dim": 8, "n_codebooks": 1}
    vision = {
        "model_type": "timm_wrapper",
        "architecture": "vit_pe_core_tiny_patch16_384",
        "num_classes": 16,
        "global_pool": "map",
        "do_pooling": True,
        "model_args": {"embed_dim": 32, "depth": 1, "num_heads": 2, "img_size": 32},
    }
    text = {
        "model_type": "modernbert",
        "hidden_size": 24,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 64,
        **{f"{name}_token_id": 0 for name in ("pad", "eos", "bos", "cls", "sep")},
    }
    both = {
        **small,
        "audio_config": {"model_type": "pe_audio_encoder", **small, "dac_config": {"model_type": "dac", **dac}},
        "video_config": {"model_type": "pe_video_encoder", **small, "vision_config": vision},
    }
    torch.manual_seed(0)
    model = transformers.PeAudioVideoModel(
        transformers.PeAudioVideoConfig(text_config=text, audio_video_config=both)
    ).eval()
    folder = tmp_path_factory.mktemp("pe_av")
    model.save_pretrained(folder)
    switches = {f"do_{name}": True for name in ("resize", "rescale", "normalize", "convert_rgb")}
    transformers.PeVideoVideoProcessor(
        size={"height": 32, "width": 32}, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_sample_frames=False, **switches
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pe_av(pe_av_folder: Path) -> PeAvTeacher:
    return load_pe_av(pe_av_folder, hub=OFFLINE)


def _clip(clip_id: str, num_frames: int, num_samples: int | None) -> TeacherClip:
    generator = torch.Generator().manual_seed(len(clip_id) + num_frames)
    frames = torch.randint(0, 256, (num_frames, 3, 40, 50), dtype=torch.uint8, generator=generator)
    waveform = None if num_samples is None else torch.rand(num_samples, generator=generator) - 0.5
    return TeacherClip(clip_id, frames, waveform)


def test_pe_av_gives_two_vectors_in_one_space(pe_av: PeAvTeacher) -> None:
    teacher: Teacher = pe_av
    taught = teacher.encode([_clip("a", 4, 5000), _clip("bb", 2, None), _clip("ccc", 3, 9600)])
    assert teacher.rate_hz == 48_000
    assert taught.vectors.video.shape == taught.vectors.audio.shape == (3, 24)
    assert taught.has_audio.tolist() == [True, False, True]
    assert not taught.vectors.audio[1].any()
    assert bool(taught.vectors.video.isfinite().all())
    assert not taught.vectors.video.requires_grad


def test_pe_av_equals_the_librarys_own_forward(pe_av: PeAvTeacher, pe_av_folder: Path) -> None:
    """Against `PeAudioVideoModel` whole, with the library's own processing of sound and its joint encoder run too."""
    import transformers

    from savecli.model.teacher_models import _untied_ropes

    model = _untied_ropes(transformers.PeAudioVideoModel).from_pretrained(pe_av_folder).eval()
    clip = _clip("a", 4, 5000)
    assert clip.frames is not None
    assert clip.waveform is not None
    extracted = transformers.PeAudioFeatureExtractor()(
        clip.waveform.numpy(), sampling_rate=PE_AV_RATE_HZ, return_tensors="pt"
    )
    pixels = torch.nn.functional.interpolate(clip.frames.float(), (32, 32), mode="bilinear", antialias=True)
    with torch.inference_mode():
        wanted = model(
            input_values=extracted["input_values"],
            padding_mask=extracted["padding_mask"],
            pixel_values_videos=((pixels.round() / 255 - 0.5) / 0.5)[None],
        )
    taught = pe_av.encode([clip])
    torch.testing.assert_close(taught.vectors.audio, wanted.audio_embeds, atol=1e-5, rtol=0)
    # The picture's rounding to whole steps of 1/255 may fall either way.
    torch.testing.assert_close(taught.vectors.video, wanted.video_embeds, atol=1e-3, rtol=0)


def test_a_clip_alone_equals_the_clip_in_a_batch(pe_av: PeAvTeacher) -> None:
    clips = [_clip("a", 4, 5000), _clip("bb", 2, None), _clip("ccc", 3, 9600)]
    together = pe_av.encode(clips)
    for row, clip in enumerate(clips):
        alone = pe_av.encode([clip])
        assert torch.equal(alone.vectors.video[0], together.vectors.video[row])
        assert torch.equal(alone.vectors.audio[0], together.vectors.audio[row])


def test_pe_av_takes_the_first_thirty_seconds_of_both(pe_av: PeAvTeacher) -> None:
    whole = _clip("long", 4, 40 * PE_AV_RATE_HZ)
    assert whole.frames is not None
    assert whole.waveform is not None
    first = TeacherClip("long", whole.frames[:3], whole.waveform[: 30 * PE_AV_RATE_HZ])
    longer, cut = pe_av.encode([whole]), pe_av.encode([first])
    assert torch.equal(longer.vectors.audio, cut.vectors.audio)
    assert torch.equal(longer.vectors.video, cut.vectors.video)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"frames": None}, "frames of clip a: none"),
        ({"frames": torch.zeros(2, 3, 8, 8)}, "allowed: .* uint8"),
        ({"frames": torch.zeros(0, 3, 8, 8, dtype=torch.uint8)}, "at least 1"),
        ({"waveform": torch.zeros(0)}, "None without sound"),
        ({"waveform": torch.zeros(2, 100)}, "allowed: .samples,. float"),
        ({"waveform": torch.tensor([0.0, float("nan")])}, "NaN"),
    ],
)
def test_clips_of_another_form_are_refused(pe_av: PeAvTeacher, change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pe_av.encode([_clip("a", 2, 1920)._replace(**change)])


def test_a_pe_av_with_missing_tensors_is_refused(pe_av_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(pe_av_folder, tmp_path / "less")
    state = load_file(folder / "model.safetensors")
    lost = next(name for name in state if name.endswith("audio_head.proj.weight") and "text" not in name)
    del state[lost]
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=f"not whole: 1 of its tensors .*{lost}"):
        load_pe_av(folder, hub=OFFLINE)


def test_a_pe_av_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    hub = Hub(offline=True, cache_dir=tmp_path)
    with pytest.raises(WeightsError, match="cannot load the teacher facebook/pe-av-large: --offline forbids") as caught:
        load_pe_av(hub=hub)
    assert "hf download" in caught.value.fix


# Without the packages


def test_teachers_name_the_package_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(SaveError, match="needs transformers: No module named 'transformers'") as caught:
        load_pe_av(hub=OFFLINE)
    assert caught.value.fix == 'pip install "transformers>=5.1"'
    with pytest.raises(SaveError, match="needs ImageBind") as caught:
        ImageBindTeacher(tmp_path / "imagebind_huge.pth")
    assert "pip install git+https://github.com/facebookresearch/ImageBind" in caught.value.fix


def test_an_old_transformers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ModuleType("transformers")
    old.__version__ = "4.45.0"  # type: ignore[attr-defined]
    monkeypatch.setattr(importlib, "import_module", lambda _: old)
    with pytest.raises(SaveError, match=r"newer transformers: 4\.45\.0 lacks it"):
        load_pe_av(hub=OFFLINE)
