"""How well an archive answers queries whose right videos are known: by each kind of evidence alone, and by all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from savecli.archive.store import Archive
from savecli.core.errors import UsageError
from savecli.core.progress import NoProgress, Progress
from savecli.core.records import Span
from savecli.search.candidates import Signal
from savecli.search.labels import Label, Problem, VideoNames, read_labels
from savecli.search.query import EncodeText, Request, search_videos
from savecli.search.results import VideoHit

RECALL_AT = (1, 5, 10)
# How much of the labelled and the shown span together must be in both; the two that papers on moments report.
OVERLAPS = (0.3, 0.5)
# Videos looked through for the right one; a reciprocal rank below 1/100 counts as 0.
DEEPEST = 100

Evidence = Literal["matched", "seen", "said", "named", "all"]
_NO_PROGRESS = NoProgress()


@dataclass
class LabelledQuery:
    """A query and every video that is right for it, with the spans that are meant, if any are."""

    text: str
    right: dict[str, list[Span]] = field(default_factory=dict)

    @property
    def has_spans(self) -> bool:
        return any(self.right.values())


@dataclass(frozen=True)
class EvidenceScore:
    """What one kind of evidence reaches, or all of it together.

    Args:
        recall: percent of queries with a right video among the first k, by k.
        reciprocal_rank: mean over the queries of 1 / rank of the first right video; 0 where it is not found.
        moment_recall: by overlap, percent of queries with spans whose first hit is a right video and shows a moment
            that overlaps a span so far; empty without such queries.
    """

    evidence: Evidence
    recall: Mapping[int, float]
    reciprocal_rank: float
    moment_recall: Mapping[float, float]


@dataclass(frozen=True)
class ArchiveReport:
    """Scores of an archive.

    Args:
        num_videos: different contents that can be found.
        num_with_spans: queries whose moments are known.
        problems: lines that were left out; numbers are of the others.
    """

    encoder: str
    num_videos: int
    num_queries: int
    num_with_spans: int
    scores: tuple[EvidenceScore, ...]
    problems: tuple[Problem, ...]


def evaluate_archive(
    archive: Archive, labels: Path, *, encode_text: EncodeText | None = None, progress: Progress = _NO_PROGRESS
) -> ArchiveReport:
    """The archive scored on the labelled queries of a file.

    Every match counts, also those of low confidence that `save query` shows only with `--all`.

    Args:
        labels: as `read_labels` wants it; lines of the same query name several videos that are right.
        encode_text: as `search_videos`.

    Raises:
        UsageError: the file cannot be read, or no line of it can be used.
    """
    lines, problems = read_labels(labels)
    rows = archive.video_rows(columns=("path", "video_id", "is_missing", "speech_source"))
    queries, unknown = _queries(lines, VideoNames(rows, labels.absolute().parent))
    problems = sorted([*problems, *unknown], key=lambda problem: problem.line)
    if not queries:
        why = f"line {problems[0].line}: {problems[0].reason}" if problems else "it holds no line"
        raise UsageError(
            f"no query in {labels} can be scored", why=why, fix="a line each: query, tab, video, and start, tab, end"
        )
    if encode_text is not None:
        encode_text = _remembered(encode_text, [query.text for query in queries])
    kinds = _kinds(archive, has_speech=any(row.speech_source != "none" for row in rows))
    progress.start(len(queries) * len(kinds), unit="queries", title="Searching")
    scores = [_score(archive, queries, name, signals, encode_text, progress) for name, signals in kinds.items()]
    return ArchiveReport(
        encoder=archive.manifest.encoder.label if archive.manifest.encoder else "words",
        num_videos=len({row.video_id for row in rows if not row.is_missing}),
        num_queries=len(queries),
        num_with_spans=sum(query.has_spans for query in queries),
        scores=tuple(scores),
        problems=tuple(problems),
    )


def overlap(one: Span, other: Span) -> float:
    """Temporal intersection over union, 0 to 1."""
    both = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    either = max(one.end_s, other.end_s) - min(one.start_s, other.start_s)
    return max(0.0, both) / either if either > 0 else 0.0


def _queries(lines: Sequence[Label], names: VideoNames) -> tuple[list[LabelledQuery], list[Problem]]:
    """Lines of the same query joined, and those whose video is not to be found."""
    queries: dict[str, LabelledQuery] = {}
    problems = []
    for label in lines:
        try:
            video_id = names.find(label.video)
        except ValueError as error:
            problems.append(Problem(label.line, f"{label.query}\t{label.video}", str(error)))
            continue
        query = queries.setdefault(label.query, LabelledQuery(label.query))
        spans = query.right.setdefault(video_id, [])
        if label.span is not None:
            spans.append(label.span)
    return list(queries.values()), problems


def _kinds(archive: Archive, *, has_speech: bool) -> dict[Evidence, frozenset[Signal]]:
    """The kinds of evidence the archive has, and all of them."""
    kinds: dict[Evidence, frozenset[Signal]] = {}
    if archive.vector_table(archive.manifest.encoder) is not None:
        encoder = archive.manifest.encoder
        kinds["matched" if encoder is not None and encoder.is_fused else "seen"] = frozenset({"seen"})
    if has_speech:
        kinds["said"] = frozenset({"said"})
    kinds["named"] = frozenset({"named"})
    return {**kinds, "all": frozenset({"seen", "said", "named"})}


def _score(
    archive: Archive,
    queries: Sequence[LabelledQuery],
    name: Evidence,
    signals: frozenset[Signal],
    encode_text: EncodeText | None,
    progress: Progress,
) -> EvidenceScore:
    ranks: list[int | None] = []
    overlaps: list[float] = []
    for query in queries:
        request = Request(text=query.text, limit=DEEPEST, signals=signals, show_all=True)
        hits = search_videos(archive, request, encode_text=encode_text).videos
        ranks.append(next((hit.rank for hit in hits if hit.video_id in query.right), None))
        if query.has_spans:
            overlaps.append(_first_overlap(hits, query))
        progress.advance(1)
    found = np.array([np.inf if rank is None else rank for rank in ranks])
    return EvidenceScore(
        evidence=name,
        recall={k: 100.0 * float((found <= k).mean()) for k in RECALL_AT},
        reciprocal_rank=float((1 / found).mean()),
        moment_recall={least: 100.0 * float(np.mean(np.array(overlaps) >= least)) for least in OVERLAPS}
        if overlaps
        else {},
    )


def _first_overlap(hits: Sequence[VideoHit], query: LabelledQuery) -> float:
    """How far the first moment of the first video is what was meant."""
    if not hits:
        return 0.0
    moment = Span(hits[0].moments[0].start_s, hits[0].moments[0].end_s)
    return max((overlap(moment, span) for span in query.right.get(hits[0].video_id, ())), default=0.0)


def _remembered(encode_text: EncodeText, texts: Sequence[str]) -> EncodeText:
    """The encoder with the vectors of `texts` computed at once, as each is asked for by every kind of evidence."""
    vectors = dict(zip(texts, encode_text(texts), strict=True))

    def encode(asked: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.stack([vectors[text] for text in asked])

    return encode
