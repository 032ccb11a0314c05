"""A byte a number is enough: cosines with packed vectors stay where they were."""

from __future__ import annotations

import numpy as np
import pytest

from savecli.archive.packing import num_packed, pack_vectors, packed_products, unpack_vectors


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def frames_of_a_clip(rng: np.random.Generator, *, dimension: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Frames around one direction, and their unit mean; one number of all is large, as CLIP's are."""
    centre = rng.normal(size=dimension)
    centre[7] = 20
    frames = unit(unit(centre) + spread * unit(rng.normal(size=(12, dimension))))
    return frames, unit(frames.mean(axis=0))


@pytest.mark.parametrize(("spread", "bound"), [(0.0, 1e-5), (0.1, 2e-4), (0.6, 1e-3), (2.0, 2e-3)])
def test_cosines_stay_where_they_were(rng: np.random.Generator, spread: float, bound: float) -> None:
    """The more so, the more alike the frames are: of one shot, or of a clip with a cut, or of nothing in common."""
    queries = unit(rng.normal(size=(200, 512)))
    frames, pooled = frames_of_a_clip(rng, dimension=512, spread=spread)
    packed = pack_vectors(frames, pooled)
    assert len(packed) == 12 * 516
    assert num_packed(packed, 512) == 12
    assert np.abs(queries @ (unpack_vectors(packed, pooled) - frames).T).max() < bound
    # Not by chance: the same bytes spent on the vectors themselves, large number and all, are not enough.
    if spread == 0.6:
        step = np.abs(frames).max() / 95
        assert np.abs(queries @ (np.rint(frames / step) * step - frames).T).max() > 1e-3


def test_products_of_many_clips_need_no_unpacking(rng: np.random.Generator) -> None:
    query = unit(rng.normal(size=32))
    clips = [frames_of_a_clip(rng, dimension=32, spread=0.5) for _ in range(5)]
    packed = [pack_vectors(frames, pooled) for frames, pooled in clips]
    expected = [unpack_vectors(data, pooled) @ query for data, (_, pooled) in zip(packed, clips, strict=True)]
    base = np.repeat([pooled @ query for _, pooled in clips], 12)
    np.testing.assert_allclose(packed_products(b"".join(packed), base, query), np.concatenate(expected), atol=1e-5)


def test_nothing_and_zeros_can_be_packed() -> None:
    base = np.eye(8, dtype=np.float32)[0]
    assert pack_vectors(np.zeros((0, 8), np.float32), base) == b""
    assert len(packed_products(b"", np.zeros(0, np.float32), base)) == 0
    np.testing.assert_array_equal(unpack_vectors(pack_vectors(np.zeros((2, 8), np.float32), base), base), 0)
