"""Labelled queries: which lines are read, which videos they mean, and how spans overlap."""

from __future__ import annotations

from pathlib import Path

import pytest

from savecli.archive.schema import VideoRow
from savecli.core.errors import UsageError
from savecli.core.records import Span
from savecli.search.evaluation import overlap
from savecli.search.labels import VideoNames, read_labels

ROWS = [
    VideoRow(path="/videos/talks/a.mp4", video_id="1", root="/videos"),
    VideoRow(path="/videos/trips/a.mp4", video_id="2", root="/videos"),
    VideoRow(path="/videos/trips/copy of a.mp4", video_id="2", root="/videos"),
    VideoRow(path="/videos/trips/Café [x].mkv", video_id="3", root="/videos"),
    VideoRow(path="/gone/old.mp4", video_id="4", root="/gone", is_missing=True),
]


def lines(tmp_path: Path, text: str):
    path = tmp_path / "labels.tsv"
    path.write_text(text, encoding="utf-8")
    return read_labels(path)


def test_lines_with_and_without_header_and_span(tmp_path: Path) -> None:
    labels, problems = lines(tmp_path, "Query\tVideo\tstart\tend\na dog\ta.mp4\n\n#5 wins\tb.mp4\t1:23.5\t1:01:30\n")
    assert problems == []
    assert [(label.line, label.query, label.video) for label in labels] == [
        (2, "a dog", "a.mp4"),
        (4, "#5 wins", "b.mp4"),
    ]
    assert [label.span for label in labels] == [None, Span(83.5, 3690)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a dog", "1 columns; allowed: query and video, or query, video, start and end"),
        ("a dog\ta.mp4\t3", "3 columns; allowed"),
        ("?!\ta.mp4", "there is nothing to look for in the query"),
        ("a dog\t\t1\t2", "no video is named"),
        ("a dog\ta.mp4\tsoon\t2", "its start is `soon`; write seconds, 1:23 or 1:02:03"),
        ("a dog\ta.mp4\t\t2", "its start is ``"),
        ("a dog\ta.mp4\t5\t5", "it ends at 5, which is not after its start at 5"),
    ],
)
def test_bad_lines_are_told_and_the_others_read(tmp_path: Path, line: str, reason: str) -> None:
    labels, (problem,) = lines(tmp_path, f"a cat\ta.mp4\n{line}\n")
    assert len(labels) == 1
    assert problem.line == 2
    assert problem.reason.startswith(reason)


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.tsv").write_bytes(b"\xff\xfe\x00")
    for name in ("bytes.tsv", "missing.tsv"):
        with pytest.raises(UsageError, match="cannot read the queries"):
            read_labels(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "video_id"),
    [
        ("/videos/talks/a.mp4", "1"),
        ("talks/a.mp4", "1"),
        ("../videos/talks/a.mp4", "1"),
        ("trips/a", "2"),
        ("copy of a.mp4", "2"),
        ("Cafe\u0301 [x].mkv", "3"),
    ],
)
def test_videos_are_found_by_any_part_of_their_path(text: str, video_id: str) -> None:
    assert VideoNames(ROWS, Path("/labels")).find(text) == video_id


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a.mp4", "2 videos are called `a.mp4`; give more of the path"),
        ("copy of b.mp4", "no video `copy of b.mp4` in the archive; did you mean `copy of a.mp4`?"),
        ("zzz", "no video `zzz` in the archive"),
        ("old.mp4", "`old.mp4` is in the archive, but its file is gone or its drive is not connected"),
    ],
)
def test_videos_that_cannot_be_meant(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="^" + reason.replace("?", r"\?") + "$"):
        VideoNames(ROWS, Path("/labels")).find(text)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(Span(0, 10), Span(5, 20)) == 0.25
    assert overlap(Span(5, 20), Span(0, 10)) == 0.25
    assert overlap(Span(0, 10), Span(10, 20)) == 0
    assert overlap(Span(3, 4), Span(3, 4)) == 1
