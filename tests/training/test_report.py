"""What is reported of an evaluation, and what stands beside it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from savecli.core.errors import SaveError, UsageError
from savecli.metrics.ranks import TieRule, ranks
from savecli.metrics.report import recall_intervals, report
from savecli.metrics.scores import raw_scores
from savecli.training.evaluation_file import read_evaluation, write_evaluation
from savecli.training.report import NUM_RESAMPLES, Querybank, captions_of, ranks_in, report_of
from savecli.training.report_forms import facts_of, report_csv, report_json, report_tables, to_markdown
from savecli.training.resampling import interval_of
from tests.training.built_evaluation import GROUPS, built_evaluation


@pytest.mark.parametrize("captions_each", [1, 3])
def test_numbers_are_those_of_the_metrics(captions_each: int) -> None:
    evaluation = built_evaluation(captions_each=captions_each)
    (section,) = report_of(evaluation, intervals=False).sections
    assert section.rows["t2v"] == report(ranks(raw_scores(evaluation.similarity), captions_of(evaluation)))
    assert section.sum_both is not None
    assert section.sum_both.value == sum(row.sum_recall for row in section.rows.values())
    assert section.sum_both.directions == ("t2v", "v2t")


def test_groups_share_the_gallery_and_add_up_to_the_whole() -> None:
    evaluation = built_evaluation(num_clips=30)
    (section,) = report_of(evaluation, by_group=True, intervals=False).sections
    parts = [section.rows[f"t2v {group}"] for group in GROUPS]
    assert [part.num_queries for part in parts] == [10, 10, 10]
    assert all(part.num_items == 30 for part in parts)
    assert np.mean([part.recall[5] for part in parts]) == pytest.approx(section.rows["t2v"].recall[5])


def test_without_groups_there_are_no_rows_of_groups() -> None:
    evaluation = replace(built_evaluation(), groups=("",) * 12)
    (section,) = report_of(evaluation, by_group=True).sections
    assert list(section.rows) == ["t2v", "v2t"]


def test_intervals_hold_the_number_and_are_those_of_plain_queries_with_one_caption_each() -> None:
    evaluation = built_evaluation(num_clips=60)
    (section,) = report_of(evaluation, by_group=True).sections
    for key, row in section.rows.items():
        for k, interval in section.intervals[key].recall.items():
            assert interval.low <= row.recall[k] <= interval.high
    held = ranks(raw_scores(evaluation.similarity), captions_of(evaluation))
    plain = recall_intervals(held, np.random.default_rng(1)).recall[1]
    seen = section.intervals["t2v"].recall[1]
    # Both are percentiles of 1,000 draws; a step is one query of 60.
    assert seen.low == pytest.approx(plain.low, abs=2 * 100 / 60)
    assert seen.high == pytest.approx(plain.high, abs=2 * 100 / 60)
    assert section.sum_both_interval is not None
    assert section.sum_both_interval.low < section.sum_both.value < section.sum_both_interval.high


@pytest.mark.parametrize("ties", ["strict", "reference"])
def test_intervals_of_ranks_are_those_of_plainly_repeated_clips(ties: TieRule) -> None:
    evaluation = built_evaluation(num_clips=9, captions_each=2)
    evaluation.similarity[:] = evaluation.similarity.round()  # so that some tie
    places, queries = ranks_in(evaluation, "t2v").places(ties)
    clips = evaluation.video_of_caption[queries]
    draws = np.random.default_rng(0).multinomial(9, np.full(9, 1 / 9), size=NUM_RESAMPLES)
    repeated = [np.sort(np.repeat(places, times[clips])) for times in draws]
    medians = [np.median(item) if ties == "strict" else item[(len(item) - 1) // 2] for item in repeated]
    seen = report_of(evaluation, ties=ties).sections[0].intervals["t2v"]
    assert seen.median_rank == interval_of(np.array(medians, np.float64))
    assert seen.mean_rank == interval_of(np.array([item.mean() for item in repeated]))


def test_captions_of_one_clip_stand_or_fall_together() -> None:
    """Ten copies of each caption are no news: the interval is as wide as of one."""
    one = built_evaluation(num_clips=40)
    ten = replace(
        one,
        captions=tuple(f"{caption} {copy}" for caption in one.captions for copy in range(10)),
        groups=tuple(group for group in one.groups for _ in range(10)),
        video_of_caption=np.repeat(one.video_of_caption, 10),
        similarity=np.repeat(one.similarity, 10, axis=0),
        is_grouped=True,
    )
    wide, same = (report_of(item).sections[0].intervals["t2v"].recall[5] for item in (one, ten))
    assert (same.low, same.high) == (wide.low, wide.high)


def test_the_same_seed_gives_the_same_intervals() -> None:
    evaluation = built_evaluation()
    assert report_of(evaluation, seed=3) == report_of(evaluation, seed=3)
    assert report_of(evaluation, seed=3) != report_of(evaluation, seed=4)


def test_post_processed_scores_have_sections_of_their_own() -> None:
    evaluation = built_evaluation()
    bank = Querybank(np.random.default_rng(5).normal(size=(20, 12)).astype(np.float32), beta=0.2)
    found = report_of(evaluation, with_dual_softmax=True, querybank=bank)
    assert [section.processing.name for section in found.sections] == ["raw", "transductive", "inductive"]
    assert [len(section.rows) for section in found.sections] == [2, 2, 1]
    assert found.sections[2].sum_both is None
    titles = [table.title for table in report_tables(found)]
    assert titles[0] == "raw similarities"
    assert "dual softmax, temperature 3" in titles[1]
    assert "querybank of 20, beta 0.2" in titles[2]
    assert all("not to be compared with raw" in title for title in titles[1:])


def test_all_equal_similarities_find_nothing_unless_ties_count_for_the_model() -> None:
    evaluation = built_evaluation()
    flat = replace(evaluation, similarity=np.zeros_like(evaluation.similarity))
    assert report_of(flat).sections[0].rows["t2v"].recall[1] == 0
    assert report_of(flat, ties="optimistic").sections[0].rows["t2v"].recall[1] == 100


def test_nan_is_refused() -> None:
    evaluation = built_evaluation()
    evaluation.similarity[0, 0] = np.nan
    with pytest.raises(SaveError, match="are not numbers: the model's weights have diverged"):
        report_of(evaluation)


def test_what_must_stand_beside_the_numbers() -> None:
    evaluation = replace(built_evaluation(), captions=("same",) * 2 + built_evaluation().captions[2:])
    found = report_of(evaluation, selection="epoch chosen by the test split", checkpoint="runs/a")
    text = "\n".join(facts_of(found))
    for part in (
        "runs/a",
        "built · test · gallery of 12 clips · 12 captions, one caption a clip",
        "with audio 50.0 %",
        "with speech 25.0 %",
        "2 clips of the split left out",
        "ties count against the model · 1 caption repeats another's text",
        "selection: epoch chosen by the test split",
    ):
        assert part in text
    one = facts_of(report_of(replace(built_evaluation(num_clips=1), num_missing=3, num_unreadable=2)))
    assert "gallery of 1 clip · 1 caption, one" in one[0]
    assert "3 clips of the split left out: 1 without a file, 2 unreadable" in one[1]


def test_the_forms_hold_the_same_numbers() -> None:
    found = report_of(built_evaluation(), by_group=True, with_dual_softmax=True)
    document = json.loads(report_json(found))
    assert (document["schema"], document["kind"], document["num_clips"]) == (1, "evaluation", 12)
    rows = [
        (result["processing"], row["direction"], row["group"] or "", row["recall_at_1"], row["intervals"])
        for result in document["results"]
        for row in result["rows"]
    ]
    lines = list(csv.DictReader(io.StringIO(report_csv(found))))
    assert len(lines) == len(rows) == 10
    for line, (processing, direction, group, recall, intervals) in zip(lines, rows, strict=True):
        assert (line["processing"], line["direction"], line["group"]) == (processing, direction, group)
        assert float(line["recall_at_1"]) == recall
        for name in ("recall_at_1", "median_rank", "mean_rank", "sum_recall"):
            assert float(line[f"{name}_low"]) == intervals[name]["low"]
        assert line["split"] == "test"


def test_markdown_is_tables_of_equal_width() -> None:
    found = report_of(built_evaluation())
    text = to_markdown(facts_of(found), report_tables(found))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    recall = found.sections[0].rows["t2v"].recall[1]
    assert f"| text to video | 12 | {recall:.1f} |" in text


def test_an_evaluation_comes_back_from_its_file(tmp_path) -> None:
    evaluation = built_evaluation(captions_each=2)
    path = tmp_path / "a.npz"
    write_evaluation(evaluation, path)
    back = read_evaluation(path)
    assert report_of(back) == report_of(evaluation)
    assert (back.captions, back.groups, back.clip_ids) == (evaluation.captions, evaluation.groups, evaluation.clip_ids)
    np.testing.assert_array_equal(back.gates["audio"], evaluation.gates["audio"])
    assert [item.name for item in tmp_path.iterdir()] == ["a.npz"]


def test_files_that_hold_no_evaluation_are_refused(tmp_path) -> None:
    damaged, other = tmp_path / "damaged.npz", tmp_path / "other.npz"
    damaged.write_bytes(b"PK\x03\x04 nothing")
    np.savez(other, numbers=np.arange(3))
    for path in (damaged, other, tmp_path / "missing.npz"):
        with pytest.raises(UsageError, match="cannot read the evaluation"):
            read_evaluation(path)
    with pytest.raises(SaveError, match="cannot write"):
        write_evaluation(built_evaluation(), tmp_path / "no/such/folder.npz")
