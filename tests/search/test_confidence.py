"""What is believed: similarities against the background of an archive, in one of any size and of any encoder."""

from __future__ import annotations

from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest

from savecli.archive.calibration import background_texts, best_per_query, sampled_vectors
from savecli.archive.schema import vectors_schema
from savecli.search.confidence import Level, vector_levels


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def test_a_hit_must_be_better_than_the_best_of_the_background() -> None:
    background = np.random.default_rng(0).normal(0.5, 0.1, 120).astype(np.float32)
    similarity = np.array([0.4, 0.6, 0.7, 0.8], np.float32)
    assert vector_levels(similarity, background) == (Level.LOW, Level.LOW, Level.MEDIUM, Level.HIGH)


def test_without_a_background_nothing_is_believed() -> None:
    assert vector_levels(np.ones(2, np.float32), np.empty(0, np.float32)) == (Level.LOW, Level.LOW)


def test_another_scale_of_similarities_changes_no_level() -> None:
    """An encoder whose cosines lie between 0.2 and 0.3 is believed as one whose cosines lie between 0 and 1."""
    rng = np.random.default_rng(0)
    background, similarity = rng.uniform(0, 1, (120,)), rng.uniform(0, 2, (50,))
    levels = vector_levels(similarity, background)
    assert set(levels) == set(Level)
    assert vector_levels(0.2 + 0.1 * similarity, 0.2 + 0.1 * background) == levels


def test_queries_that_the_archive_answers_do_not_raise_the_bar() -> None:
    background = np.random.default_rng(0).normal(0.5, 0.05, 120)
    answered = np.concatenate([background[:100], np.full(20, 0.95)])
    assert vector_levels(np.array([0.75]), answered) == vector_levels(np.array([0.75]), background) == (Level.HIGH,)


@pytest.mark.parametrize("num_clips", [20, 200, 2000])
def test_chance_matches_are_as_rare_in_an_archive_of_any_size(num_clips: int) -> None:
    """A large archive holds better chance matches; the background grows with them."""
    rng = np.random.default_rng(1)
    clips, bank, queries = (unit(rng.normal(size=(count, 32))) for count in (num_clips, 120, 1000))
    levels = vector_levels((queries @ clips.T).max(axis=1), best_per_query(clips, bank, num_clips))
    believed = np.mean([level > Level.LOW for level in levels])
    assert 0.01 < believed < 0.15, believed
    assert np.mean([level == Level.HIGH for level in levels]) < 0.04


def test_the_best_of_all_clips_is_extrapolated_from_a_sample() -> None:
    """Clustered vectors, one in ten looked at: nearer to the truth by far than the best of the sample."""
    rng = np.random.default_rng(2)
    topics = rng.normal(size=(200, 64))
    clips = unit(topics[rng.integers(200, size=100_000)] + 0.7 * rng.normal(size=(100_000, 64)))
    bank = unit(topics[rng.integers(200, size=60)] + 1.5 * rng.normal(size=(60, 64)))
    whole = np.median(best_per_query(clips, bank, len(clips)))
    sample = np.median(best_per_query(clips[::10], bank, len(clips[::10])))
    extrapolated = np.median(best_per_query(clips[::10], bank, len(clips)))
    assert sample < whole - 0.03
    assert abs(extrapolated - whole) < 0.5 * (whole - sample), (sample, extrapolated, whole)


def test_a_sample_is_spread_over_the_table_and_knows_what_is_missing(tmp_path: Path) -> None:
    rows = [
        {"clip_id": f"{idx}", "video_id": "", "seen": [idx, 0.0], "said": [idx, 1.0] if idx < 50 else None}
        for idx in range(100)
    ]
    table = lancedb.connect(tmp_path).create_table("vectors", pa.Table.from_pylist(rows, schema=vectors_schema(2)))
    (seen, num_seen), (said, num_said) = sampled_vectors(table, most=50).values()
    assert (len(seen), num_seen) == (50, 100)
    assert (seen[0, 0], seen[-1, 0]) == (0, 99)
    assert num_said == 2 * len(said)
    assert 40 <= num_said <= 60
    assert len(sampled_vectors(table)["seen"][0]) == 100
    table.delete("true")
    assert sampled_vectors(table)["seen"][0].shape == (0, 2)


def test_the_background_is_empty_without_vectors_and_plain_with_few() -> None:
    bank = unit(np.random.default_rng(0).normal(size=(5, 8)))
    assert best_per_query(np.empty((0, 0), np.float32), bank, 0).shape == (0,)
    assert np.allclose(best_per_query(bank[:1], bank, 1), np.sort(bank @ bank[0]))
    assert len(set(background_texts())) == 120
