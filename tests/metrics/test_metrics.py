"""Retrieval numbers against the published ones, against slow obvious code, and against what must not change them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from savecli.metrics.ranks import Captions, Ranks, TieRule, grouped_captions, one_caption_each, ranks
from savecli.metrics.report import RECALL_AT, Report, Table, recall_intervals, report, sum_of_recalls
from savecli.metrics.scores import Raw, Scores, raw_scores, reversed_scores

# The published code computes some percentages in float32.
PERCENT = 1e-4


def both(similarity: np.ndarray, captions: Captions) -> tuple[Ranks[Raw], Ranks[Raw]]:
    """Ranks of a `(num_texts, num_videos)` matrix in both directions."""
    scores = raw_scores(similarity)
    return ranks(scores, captions), ranks(reversed_scores(scores), captions)


def numbers(of: Report[Any]) -> dict[str, float]:
    named = {f"R{k}": of.recall[k] for k in RECALL_AT}
    return {**named, "MedianR": of.median_rank, "MR": of.median_rank, "MeanR": of.mean_rank, "Std_Rank": of.rank_std}


def assert_equals(seen: Report[Any], said: dict[str, Any]) -> None:
    mine = numbers(seen)
    for name, value in said.items():
        if name != "cols":
            assert mine[name] == pytest.approx(value, abs=PERCENT), name


@pytest.fixture(scope="module")
def cases(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tensors(golden: Path) -> dict[str, np.ndarray]:
    return load_file(golden / "metrics.safetensors")


def test_square_cases_of_the_published_code(cases, tensors):
    square = {name: case for name, case in cases.items() if case["kind"] == "square"}
    assert square
    for name, case in square.items():
        text, video = both(tensors[name], one_caption_each(len(tensors[name])))
        for direction, seen in (("t2v", text), ("v2t", video)):
            places, _ = seen.places("reference")
            assert (places - 1).tolist() == case[direction]["cols"], name
            assert_equals(report(seen, ties="reference"), case[direction])


def test_grouped_cases_of_the_published_code(cases, tensors):
    grouped = {name: case for name, case in cases.items() if case["kind"] == "multi"}
    assert grouped
    for name, case in grouped.items():
        counts = case["captions_per_video"]
        text, video = both(tensors[name], grouped_captions(np.repeat(np.arange(len(counts)), counts)))
        places, _ = video.places("reference")
        assert (places - 1).tolist() == case["v2t"]["cols"]
        assert_equals(report(video, ties="reference"), case["v2t"])
        by_index, best, worst = (report(text, ties=ties) for ties in ("reference", "optimistic", "strict"))
        if not case["has_ties"]:
            assert_equals(by_index, case["t2v"])
        for k in RECALL_AT:
            assert worst.recall[k] <= by_index.recall[k] <= best.recall[k]
            assert worst.recall[k] - PERCENT <= case["t2v"][f"R{k}"] <= best.recall[k] + PERCENT
        assert best.mean_rank <= by_index.mean_rank <= worst.mean_rank
        assert best.mean_rank - PERCENT <= case["t2v"]["MeanR"] <= worst.mean_rank + PERCENT
        recalls = {"t2v_optimistic": best, "t2v_pessimistic": worst, "t2v_ties_by_column_index": by_index}
        for key, seen in recalls.items():
            said = {what: value for what, value in case[key].items() if what != "MedianR"}
            assert_equals(seen, said)
        assert by_index.median_rank == case["t2v_ties_by_column_index"]["MedianR"]


def test_the_best_caption_stands_for_its_video(cases, tensors):
    for name, case in cases.items():
        if case["kind"] == "multi":
            counts = case["captions_per_video"]
            _, grouped = both(tensors[name], grouped_captions(np.repeat(np.arange(len(counts)), counts)))
            square = ranks(raw_scores(tensors[f"{name}.video_to_text_sim"]), one_caption_each(len(counts)))
            assert np.array_equal(grouped.num_above, square.num_above)
            assert np.array_equal(grouped.num_tied, square.num_tied)


def coarse(rng: np.random.Generator, texts: int, videos: int) -> np.ndarray:
    """Similarities with many ties."""
    return rng.integers(0, 5, (texts, videos)).astype(np.float32)


@pytest.mark.parametrize("ties", ["strict", "optimistic"])
def test_ranks_are_those_of_slow_obvious_code(rng, ties):
    similarity, video_of_text = coarse(rng, 30, 11), np.concatenate([np.arange(11), rng.integers(0, 11, 19)])
    text, video = both(similarity, grouped_captions(video_of_text))
    for query, row in enumerate(similarity):
        own = row[video_of_text[query]]
        rank = 1 + sum(score > own for score in row) + (sum(score == own for score in row) - 1) * (ties == "strict")
        assert text.places(ties)[0][query] == rank
    for query in range(11):
        best = [max(similarity[video_of_text == other, query]) for other in range(11)]
        tied = sum(score == best[query] for score in best) - 1
        assert video.places(ties)[0][query] == 1 + sum(s > best[query] for s in best) + tied * (ties == "strict")


@pytest.mark.parametrize("ties", ["strict", "optimistic", "reference"])
def test_order_of_gallery_and_queries_does_not_matter(rng, ties: TieRule):
    similarity = rng.normal(size=(9, 9)) if ties == "reference" else coarse(rng, 9, 9)
    text_order, video_order = rng.permutation(9), rng.permutation(9)
    moved = np.argsort(video_order)[text_order]
    before = both(similarity, grouped_captions(range(9)))
    after = both(similarity[text_order][:, video_order], grouped_captions(moved))
    for old, new in zip(before, after, strict=True):
        assert numbers(report(old, ties=ties)) == pytest.approx(numbers(report(new, ties=ties)))


def test_monotone_changes_keep_every_rank(rng):
    similarity = rng.normal(size=(8, 8)).astype(np.float32)
    for old, new in zip(
        both(similarity, one_caption_each(8)), both(np.exp(3 * similarity) - 7, one_caption_each(8)), strict=True
    ):
        assert report(old) == report(new)


def test_recall_grows_with_k_and_with_the_true_score(rng):
    similarity = rng.normal(size=(40, 40))
    ks = range(1, 41)
    before = report(ranks(raw_scores(similarity), one_caption_each(40)), ks=ks).recall
    assert all(before[k] <= before[k + 1] for k in ks if k < 40)
    assert before[40] == 100
    after = report(ranks(raw_scores(similarity + 0.5 * np.eye(40)), one_caption_each(40)), ks=ks).recall
    assert all(before[k] <= after[k] for k in ks)


def test_a_model_that_maps_everything_to_one_point_scores_nothing():
    constant = ranks(raw_scores(np.ones((20, 20))), one_caption_each(20))
    assert report(constant, ties="strict").recall[10] == 0
    assert report(constant, ties="optimistic").recall[1] == 100
    assert report(constant, ties="reference").recall[1] == 5


def test_sum_of_recalls_says_what_it_sums(rng):
    text, video = (report(seen) for seen in both(rng.normal(size=(30, 30)), one_caption_each(30)))
    total = sum_of_recalls(text, video)
    assert total.value == pytest.approx(sum(text.recall.values()) + sum(video.recall.values()))
    assert total.directions == ("t2v", "v2t")
    assert sum_of_recalls(video).directions == ("v2t",)
    with pytest.raises(ValueError, match="each at most once"):
        sum_of_recalls(text, text)


def test_intervals_hold_the_number_and_narrow_with_more_queries(rng):
    widths = []
    for size in (50, 2000):
        seen = ranks(
            raw_scores(rng.normal(size=(size, 20)) + 2 * np.eye(20)[np.arange(size) % 20]), captions_of(size, 20)
        )
        spread = recall_intervals(seen, rng, num_resamples=200)
        interval = spread.recall[1]
        assert interval.low <= report(seen).recall[1] <= interval.high
        assert spread.sum_recall is not None
        assert spread.sum_recall.low <= report(seen).sum_recall <= spread.sum_recall.high
        widths.append(interval.high - interval.low)
    # The width falls with the root of the number of queries, here 6.3 times.
    assert widths[1] < widths[0] / 3
    assert recall_intervals(seen, rng, ks=(1,), num_resamples=5).sum_recall is None


def captions_of(num_texts: int, num_videos: int) -> Captions:
    return grouped_captions(np.arange(num_texts) % num_videos)


def test_intervals_are_those_of_the_normal_approximation(rng):
    seen = ranks(
        raw_scores(rng.normal(size=(1000, 20)) + 1.5 * np.eye(20)[np.arange(1000) % 20]), captions_of(1000, 20)
    )
    share = report(seen).recall[1] / 100
    interval = recall_intervals(seen, rng, num_resamples=2000).recall[1]
    expected = 2 * 1.96 * 100 * np.sqrt(share * (1 - share) / 1000)
    assert interval.high - interval.low == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("direction", ["t2v", "v2t"])
def test_blocks_give_what_the_whole_matrix_gives_in_bounded_memory(rng, direction):
    """100,000 queries and items at 2^28 bytes are blocks of 83 rows, 32 MiB each; here the same law, smaller."""
    num, width = 300, 16
    texts, videos = (rng.normal(size=(num, width)).astype(np.float32) for _ in range(2))
    largest = 0

    def block(rows: slice, columns: slice) -> np.ndarray:
        nonlocal largest
        values = texts[rows] @ videos[columns].T
        largest = max(largest, values.size)
        return values

    scores = Scores("t2v", num, num, block, Raw(), block_bytes=32 * num * 7)
    whole = raw_scores(texts @ videos.T)
    if direction == "v2t":
        scores, whole = reversed_scores(scores), reversed_scores(whole)
    seen, expected = ranks(scores, one_caption_each(num)), ranks(whole, one_caption_each(num))
    assert largest <= num * 7
    assert np.array_equal(seen.num_above, expected.num_above)


def test_broken_input_is_named(rng):
    similarity = rng.normal(size=(4, 4))
    with pytest.raises(ValueError, match="similarity holds NaN"):
        ranks(raw_scores(np.full((4, 4), np.nan)), one_caption_each(4))
    with pytest.raises(ValueError, match="5 captions do not fit 4 texts and 4 videos"):
        ranks(raw_scores(similarity), one_caption_each(5))
    with pytest.raises(ValueError, match="1 of 4 videos have no caption"):
        ranks(reversed_scores(raw_scores(similarity)), grouped_captions([0, 1, 2, 2]))
    seen = ranks(raw_scores(similarity), one_caption_each(4))
    with pytest.raises(ValueError, match="k is 0; allowed: 1 or more"):
        report(seen, ks=(0, 1))
    with pytest.raises(ValueError, match="level is 2"):
        recall_intervals(seen, rng, level=2)
    with pytest.raises(ValueError, match=r"a block is \(1, 1\); expected \(4, 4\)"):
        ranks(Scores("t2v", 4, 4, lambda rows, columns: np.zeros((1, 1)), Raw()), one_caption_each(4))


def test_a_table_of_one_kind(rng):
    text, video = (report(seen) for seen in both(rng.normal(size=(12, 12)), one_caption_each(12)))
    assert Table({"ours": text, "ours, backwards": video}).rows["ours"] is text
