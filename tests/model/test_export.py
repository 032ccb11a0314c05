"""Exported text sides against torch, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from open_clip.model import CLIP

from savecli.core.errors import SaveError
from savecli.model import export
from savecli.model.build import build_model
from savecli.model.export import MAX_DRIFT, ExportedText, Place, export_text
from savecli.model.exported_text import ExportedTower
from savecli.model.presets import find_preset
from savecli.model.text import TextBranch
from savecli.model.text_graph import Precision, StoredMatrix
from tests.make_clip import tiny_model_config

PRECISIONS: list[Precision] = ["fp32", "fp16", "int8"]
PLACES: list[Place] = ["inside", "outside"]


def tiny_text(*, quick_gelu: bool = True) -> TextBranch:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIP(**tiny_model_config(quick_gelu=quick_gelu)).eval()
    return TextBranch(model, lambda texts: torch.zeros(len(texts), 77, dtype=torch.long))


def tokens_of(lengths: list[int], *, width: int, seed: int = 1) -> torch.Tensor:
    """`(N, width)` random texts with their end mark at the last of `lengths` places, then padding."""
    tokens = torch.randint(1, 49406, (len(lengths), width), generator=torch.Generator().manual_seed(seed))
    for row, length in enumerate(lengths):
        tokens[row, length - 1] = 49407
        tokens[row, length:] = 0
    return tokens


def run_exported(exported: ExportedText, tokens: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(exported.graph), providers=["CPUExecutionProvider"])
    if exported.token_embedding is None:
        return session.run(["text_embedding"], {"tokens": tokens.numpy()})[0]
    table = np.load(exported.token_embedding, mmap_mode="r")
    inputs = {"embedded": table[tokens.numpy()].astype(np.float32), "end": tokens.numpy().argmax(axis=-1)}
    return session.run(["text_embedding"], inputs)[0]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Precision, Place], ExportedText]:
    """The tiny text side in every form, each in a folder of its own."""
    return {
        (precision, place): export_text(
            tiny_text(), tmp_path_factory.mktemp(f"{precision}-{place}"), precision=precision, embedding=place
        )
        for precision in PRECISIONS
        for place in PLACES
    }


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_graph_is_the_model(
    exports: dict[tuple[Precision, Place], ExportedText], precision: Precision, place: Place
) -> None:
    text, exported = tiny_text(), exports[precision, place]
    assert exported.drift <= MAX_DRIFT[precision]
    for tokens in (tokens_of([2], width=2), tokens_of([5, 9, 3], width=12), tokens_of([77, 20, 4, 8, 40], width=77)):
        with torch.no_grad():
            expected = text(tokens).numpy()
        seen = run_exported(exported, tokens)
        assert seen.dtype == np.float32
        assert np.linalg.norm(seen, axis=1) == pytest.approx(1, abs=1e-5)
        moved = np.linalg.norm(seen - expected, axis=1).max()
        # Other texts than the measured ones may move a little further.
        assert moved <= (1e-4 if precision == "fp32" else 2 * exported.drift)
    assert sorted(path.name for path in exported.graph.parent.iterdir()) == sorted(
        path.name for path in (exported.graph, exported.token_embedding) if path
    )


def test_weights_and_rows_of_another_precision_lie_outside(tmp_path: Path) -> None:
    text = tiny_text()
    exported = export_text(text, tmp_path, embedding="outside", weights="outside", table_precision="fp16")
    assert exported.weights is not None
    assert exported.token_embedding is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "text-fp32.onnx",
        "text-fp32.onnx.data",
        "token_embedding-fp16.npy",
    ]
    assert exported.graph.stat().st_size < exported.weights.stat().st_size < exported.token_embedding.stat().st_size
    tokens = tokens_of([5, 9, 3], width=12)
    with torch.no_grad():
        expected = text(tokens).numpy()
    assert np.linalg.norm(run_exported(exported, tokens) - expected, axis=1).max() <= 2 * exported.drift
    for for_many in (False, True):
        tower = ExportedTower(exported.graph, exported.token_embedding, for_many=for_many)
        assert np.linalg.norm(tower.encode(tokens.tolist()) - expected, axis=1).max() <= 2 * exported.drift
    with pytest.raises(ValueError, match="no place for the scales of int8"):
        export_text(text, tmp_path, embedding="outside", table_precision="int8")


def test_gelu_is_the_models_own(tmp_path: Path) -> None:
    tokens, vectors = tokens_of([6, 9], width=12), []
    for quick_gelu in (True, False):
        text = tiny_text(quick_gelu=quick_gelu)
        exported = export_text(text, tmp_path)
        vectors.append(run_exported(exported, tokens))
        with torch.no_grad():
            assert np.abs(vectors[-1] - text(tokens).numpy()).max() <= 1e-4
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-4


def test_a_linear_projection_is_exported_with_its_bias(tmp_path: Path) -> None:
    text = tiny_text()
    del text.model.text_projection
    text.model.text_projection = torch.nn.Linear(32, 16)
    tokens = tokens_of([6, 9], width=12)
    with torch.no_grad():
        assert np.abs(run_exported(export_text(text, tmp_path), tokens) - text(tokens).numpy()).max() <= 1e-4


def test_a_missing_text_is_read_at_its_first_place(tmp_path: Path) -> None:
    text, tokens = tiny_text(), torch.zeros(2, 6, dtype=torch.long)
    with torch.no_grad():
        assert np.abs(run_exported(export_text(text, tmp_path), tokens) - text(tokens).numpy()).max() <= 1e-4


def test_the_text_side_of_a_preset_is_exported(tmp_path: Path) -> None:
    model = build_model(find_preset("tiny"))
    context = len(model.text.model.positional_embedding)
    tokens = tokens_of([6, 9, context], width=context) % model.text.model.token_embedding.num_embeddings
    with torch.no_grad():
        expected = model.encode_text(tokens).numpy()
    assert np.abs(run_exported(export_text(model.text, tmp_path), tokens) - expected).max() <= 1e-4


def test_fewer_bits_are_smaller_files(exports: dict[tuple[Precision, Place], ExportedText]) -> None:
    sizes = [exports[name, "inside"].graph.stat().st_size for name in PRECISIONS]
    assert sizes[1] < 0.6 * sizes[0]
    assert sizes[2] < 0.35 * sizes[0]
    assert exports["fp32", "outside"].graph.stat().st_size < 0.1 * sizes[0]


def test_too_much_drift_is_refused_and_nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(export.MAX_DRIFT, "int8", 1e-6)
    with pytest.raises(SaveError, match=r"the int8 text side differs too much .* allowed: 1e-06"):
        export_text(tiny_text(), tmp_path / "new", precision="int8")
    assert not (tmp_path / "new").exists()


def test_a_failing_export_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text-fp32.onnx").write_bytes(b"old")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(torch.onnx, "export", broken)
    with pytest.raises(RuntimeError, match="disk full"):
        export_text(tiny_text(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["text-fp32.onnx"]
    assert (tmp_path / "text-fp32.onnx").read_bytes() == b"old"


@pytest.mark.parametrize(
    "tower", [SimpleNamespace(attn_mask=None), SimpleNamespace(), SimpleNamespace(attn_mask=1, text_pool_type="last")]
)
def test_other_towers_are_refused(tmp_path: Path, tower: SimpleNamespace) -> None:
    class OtherText:
        model = tower

        def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
            raise AssertionError("not asked")

    with pytest.raises(SaveError, match="not causal with an end mark"):
        export_text(OtherText(), tmp_path)


def test_stored_rows_are_rows_of_the_stored_matrix() -> None:
    matrix = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    matrix[3] = 0
    for precision, step in (("fp32", 0.0), ("fp16", 2**-11), ("int8", 0.5 / 127)):
        stored = StoredMatrix(matrix, precision)
        assert torch.equal(stored.rows(torch.tensor([[3, 1]])), stored()[None, [3, 1]])
        # Rounding is at most half a step of the row's largest number.
        assert ((stored() - matrix).abs() <= step * matrix.abs().amax(dim=1, keepdim=True) + 1e-7).all()
