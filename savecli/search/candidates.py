"""The clips each kind of evidence proposes, best first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from lancedb.query import BooleanQuery, FullTextOperator, MatchQuery, Occur

from savecli.archive.analyzer import is_stop_word, title_words
from savecli.archive.calibration import Calibration
from savecli.archive.schema import ClipRow
from savecli.archive.store import Archive
from savecli.archive.tables import rows_of_clips, vectors_in
from savecli.search.confidence import Level, vector_levels
from savecli.search.filters import Eligible
from savecli.search.senses import SenseCosines
from savecli.search.terms import Term

# Clips per kind of evidence and video asked for: long videos hold many, and three moments each are shown.
CANDIDATES_PER_VIDEO = 12
MIN_CANDIDATES = 120

# Up to this many rows an exact scan of what passed a filter is as fast as going through an index, and misses nothing.
MAX_EXACT_ROWS = 30_000
NUM_PROBES = 400

Signal = Literal["seen", "said", "named"]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Proposal:
    """Clip ids, best first, with the level of each.

    Args:
        logits: where the model's own similarity was computed.
        senses: by clip id, where the archive keeps what each sense has added.
    """

    clip_ids: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()
    logits: tuple[float, ...] = ()
    senses: Mapping[str, SenseCosines] = field(default_factory=dict)

    def places(self) -> dict[str, int]:
        """1-based rank by clip id."""
        return {clip_id: place for place, clip_id in enumerate(self.clip_ids, start=1)}


@dataclass(frozen=True, eq=False)
class Compared:
    """Clips that a query vector is compared with.

    Args:
        vectors: `(N, D)`, of one column.
        packed: what `savecli.archive.packing` made of each, where it was asked for; None for a clip without frames.
    """

    clip_ids: tuple[str, ...] = ()
    vectors: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    packed: tuple[bytes | None, ...] = ()

    def rows(self, places: Sequence[int]) -> Compared:
        """Some of them, in the order of their places."""
        return Compared(
            tuple(self.clip_ids[idx] for idx in places),
            self.vectors[list(places)],
            tuple(self.packed[idx] for idx in places) if self.packed else (),
        )

    def joined(self, others: Compared) -> Compared:
        """These, and of others those that are not among them."""
        new = [idx for idx, clip_id in enumerate(others.clip_ids) if clip_id not in set(self.clip_ids)]
        if not new:
            return self
        more = others.rows(new)
        vectors = np.concatenate([self.vectors, more.vectors]) if self.clip_ids else more.vectors
        return Compared(self.clip_ids + more.clip_ids, vectors, self.packed + more.packed)


@dataclass(frozen=True)
class SpokenWords:
    """Clips whose words match, best first, as bare rows with their text."""

    clips: tuple[ClipRow, ...] = ()


@dataclass
class Candidates:
    """Everything the kinds of evidence propose. `named` holds titles by video id, best first.

    `is_fused` says that `seen` comes from vectors that also hold what is heard and said.
    """

    seen: Proposal = field(default_factory=Proposal)
    meant: Proposal = field(default_factory=Proposal)
    said: SpokenWords = field(default_factory=SpokenWords)
    named: Mapping[str, str] = field(default_factory=dict)
    is_fused: bool = False


def num_candidates(limit: int) -> int:
    """How many clips each kind of evidence proposes for an answer of `limit` videos."""
    return max(MIN_CANDIDATES, CANDIDATES_PER_VIDEO * limit)


def clips_by_words(archive: Archive, terms: Sequence[Term], eligible: Eligible, *, count: int) -> SpokenWords:
    """Clips that hold words of the terms, by BM25, and none of those that are subtracted; ids and words of them."""
    wanted = words_query(terms, "text", language=archive.manifest.language)
    if wanted is None:
        return SpokenWords()
    query = archive.clips.search(wanted, query_type="fts").limit(count)
    # Each column more of so many scattered rows costs as much as the search itself.
    rows = _filtered(query, eligible).select(["clip_id", "text", "_score"]).to_arrow().to_pylist()
    clips = [(row["_score"], replace(ClipRow.bare(row["clip_id"]), text=row["text"])) for row in rows]
    clips.sort(key=lambda pair: (-pair[0], pair[1].video_id, pair[1].clip_idx))
    return SpokenWords(tuple(clip for _, clip in clips))


def videos_by_name(archive: Archive, terms: Sequence[Term], eligible: Eligible, *, count: int) -> Mapping[str, str]:
    """Titles of videos whose path holds words of the terms, by BM25, and none of those that are subtracted."""
    words = [replace(term, text=title_words(term.text)) for term in terms]
    wanted = words_query(words, "title", language=archive.manifest.language)
    if wanted is None:
        return {}
    query = archive.videos.search(wanted, query_type="fts").limit(count)
    rows = _filtered(query, eligible).select(["video_id", "path", "title", "_score"]).to_arrow().to_pylist()
    rows.sort(key=lambda row: (-row["_score"], row["path"]))
    titles: dict[str, str] = {}
    for row in rows:  # a content may lie at several paths
        titles[row["video_id"]] = f"{titles.get(row['video_id'], '')} {row['title']}".strip()
    return titles


def words_query(terms: Sequence[Term], column: str, *, language: str) -> MatchQuery | BooleanQuery | None:
    """A full-text query: weights multiply the BM25 score of their terms; what is subtracted must not be there.

    It is there when all of its words with meaning are: `- "the beach"` leaves out "beach", not every "the". None when
    there is no letter or digit to look for.
    """
    wanted = [term for term in terms if term.weight > 0 and is_searchable(term.text)]
    unwanted = [_words_with_meaning(term.text, language=language) for term in terms if term.weight < 0]
    if not wanted:
        return None
    if len(wanted) == 1 and not unwanted:
        return MatchQuery(wanted[0].text, column)
    return BooleanQuery(
        [(Occur.SHOULD, MatchQuery(term.text, column, boost=term.weight)) for term in wanted]
        + [(Occur.MUST_NOT, MatchQuery(words, column, operator=FullTextOperator.AND)) for words in unwanted]
    )


def _words_with_meaning(text: str, *, language: str) -> str:
    words = [word for word in text.split() if not is_stop_word(word, language=language)]
    return " ".join(words) or text


def nearest_clips(
    table: Any, column: str, vector: Floats, eligible: Eligible, *, count: int, with_frames: bool = False
) -> Compared:
    """The clips whose vectors in `column` (`seen` or `said`) are nearest to a query vector `(D,)`, nearest first."""
    wanted = count + len(eligible.own_clips)  # these are left out again, which no index makes dearer
    query = table.search(vector, vector_column_name=column).distance_type("cosine").limit(wanted)
    query = _filtered(query, eligible).select(_columns(column, with_frames=with_frames))
    found = _compared(_probed(query, table, column, eligible, wanted), column)
    cosines = (found.vectors @ vector).tolist()  # an index knows them only roughly
    order = sorted(range(len(cosines)), key=lambda idx: (-cosines[idx], found.clip_ids[idx]))
    return found.rows([idx for idx in order if found.clip_ids[idx] not in eligible.own_clips][:count])


def compared_clips(table: Any, column: str, clip_ids: Iterable[str], *, with_frames: bool = False) -> Compared:
    """Those of some clips that have a vector in `column`, in no order."""
    clip_ids = set(clip_ids)
    if not clip_ids:
        return Compared()
    columns = _columns(column, with_frames=with_frames)
    return _compared(rows_of_clips(table, clip_ids, columns, where=f"{column} IS NOT NULL"), column)


def by_cosine(nearest: Compared, judged: Floats, column: str, calibration: Calibration | None) -> Proposal:
    """The clips of `nearest_clips` in their order.

    Args:
        judged: `(D,)`, from which confidence comes; see `QueryVector`.
    """
    if not nearest.clip_ids:
        return Proposal()
    return Proposal(nearest.clip_ids, levels_of(nearest.vectors @ judged, column, calibration))


def fetch_clips(archive: Archive, clip_ids: Sequence[str]) -> list[ClipRow]:
    """Rows of clips by id, without the times of their words."""
    if not clip_ids:
        return []
    rows = rows_of_clips(archive.clips, clip_ids, ("clip_id", "start_s", "end_s", "text")).to_pylist()
    clips = (
        replace(ClipRow.bare(row["clip_id"]), start_s=row["start_s"], end_s=row["end_s"], text=row["text"])
        for row in rows
    )
    return sorted(clips, key=lambda clip: (clip.video_id, clip.clip_idx))


def levels_of(similarity: Floats, column: str, calibration: Calibration | None) -> tuple[Level, ...]:
    """Levels of N clips by the cosine `(N,)` of the query and their vectors of a column."""
    if calibration is None:
        return (Level.LOW,) * len(similarity)
    return vector_levels(similarity, calibration.best_seen if column == "seen" else calibration.best_said)


def is_searchable(text: str) -> bool:
    """Whether there is a letter or digit to look for."""
    return re.search(r"\w", text) is not None


def _columns(column: str, *, with_frames: bool) -> list[str]:
    return ["clip_id", column, *(["packed"] if with_frames else [])]


def _compared(rows: Any, column: str) -> Compared:
    packed = tuple(rows.column("packed").to_pylist()) if "packed" in rows.column_names else ()
    return Compared(tuple(rows.column("clip_id").to_pylist()), vectors_in(rows, column), packed)


def _filtered(query: Any, eligible: Eligible) -> Any:
    return query if eligible.condition is None else query.where(eligible.condition, prefilter=True)


def _probed(query: Any, table: Any, column: str, eligible: Eligible, wanted: int) -> Any:
    """The rows of a search, an indexed one looked through far enough to be nearly exact; without an index it is."""
    if not any(index.columns == [column] for index in table.list_indices()):
        return query.to_arrow()
    if eligible.most_clips is not None and eligible.most_clips <= MAX_EXACT_ROWS:
        return query.bypass_vector_index().to_arrow()
    found = query.nprobes(NUM_PROBES).to_arrow()
    if eligible.condition is None or len(found) == wanted:
        return found
    # What the filter has left lies elsewhere. Looking on from the start takes twice as long, so it is not always done.
    return query.minimum_nprobes(NUM_PROBES).maximum_nprobes(0).to_arrow()
