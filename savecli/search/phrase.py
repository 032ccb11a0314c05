"""Exact words in the order they were spoken, with the time of the first and the last. Loads no model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from lancedb.query import PhraseQuery

from savecli.archive.analyzer import terms
from savecli.archive.schema import ClipRow
from savecli.archive.store import Archive
from savecli.archive.tables import sql_in
from savecli.search.confidence import Level
from savecli.search.filters import Eligible
from savecli.search.rank import MAX_MOMENTS_PER_VIDEO, ScoredMoment, ScoredVideo
from savecli.search.results import Moment, Ranks, Snippet
from savecli.search.snippets import make_snippet

# The index matches stems, and exact words are looked for after: so many transcripts are read at once, best first.
VIDEOS_AT_A_TIME = 50


@dataclass(frozen=True)
class _Token:
    """One exact term of a video's speech: the clip, the characters and the time of the word it comes from."""

    term: str
    clip: ClipRow
    start: int
    end: int
    start_s: float
    end_s: float


def find_phrase(archive: Archive, phrase: str, eligible: Eligible, *, limit: int) -> list[ScoredVideo]:
    """Videos in which exactly these words are said, case and accents aside; a phrase may cross clips.

    The whole transcript of a video is one document of the index, so no border hides a phrase.
    """
    if eligible.is_nobody:
        return []
    wanted = _exact_terms(phrase, archive.manifest.language)
    query = archive.videos.search(PhraseQuery(phrase, "transcript"), query_type="fts").limit(_no_limit(archive))
    if eligible.condition is not None:
        query = query.where(eligible.condition, prefilter=True)
    rows = query.select(["video_id", "path", "_score"]).to_list()
    rows.sort(key=lambda row: (-row["_score"], row["path"]))
    order = list(dict.fromkeys(row["video_id"] for row in rows))
    found: dict[str, list[list[_Token]]] = {}
    for start in range(0, len(order), VIDEOS_AT_A_TIME):
        found |= dict(_occurrences(archive, order[start : start + VIDEOS_AT_A_TIME], wanted))
        if len(found) >= limit:
            break
    videos = [video_id for video_id in order if video_id in found]
    return [_scored(video_id, found[video_id], rank) for rank, video_id in enumerate(videos, start=1)]


def _no_limit(archive: Archive) -> int:
    return max(1, int(archive.videos.count_rows()))


def _occurrences(
    archive: Archive, video_ids: Sequence[str], wanted: tuple[str, ...]
) -> Iterator[tuple[str, list[list[_Token]]]]:
    clips = archive.clip_rows(sql_in("video_id", video_ids)) if video_ids else []
    for video_id, members in groupby(clips, key=lambda clip: clip.video_id):
        tokens = list(_tokens(members, archive.manifest.language))
        spoken = [token.term for token in tokens]
        starts = [at for at in range(len(spoken) - len(wanted) + 1) if tuple(spoken[at : at + len(wanted)]) == wanted]
        if starts:
            yield video_id, [tokens[at : at + len(wanted)] for at in starts]


def _tokens(clips: Iterable[ClipRow], language: str) -> Iterator[_Token]:
    for clip in clips:
        for word in clip.words:
            for term in _exact_terms(clip.text[word.start : word.end], language):
                yield _Token(term, clip, word.start, word.end, word.start_s, word.end_s)


def _exact_terms(text: str, language: str) -> tuple[str, ...]:
    return terms(text, language=language, stem=False)


def _scored(video_id: str, occurrences: list[list[_Token]], rank: int) -> ScoredVideo:
    score = round(1 / rank, 6)
    moments = [
        Moment(run[0].start_s, run[-1].end_s, score, "high", Ranks(said=rank), _snippet(run))
        for run in occurrences[:MAX_MOMENTS_PER_VIDEO]
    ]
    scored = tuple(ScoredMoment(moment, Level.HIGH, text="", matched=frozenset()) for moment in moments)
    return ScoredVideo(video_id, score, Level.HIGH, scored)


def _snippet(run: list[_Token]) -> Snippet | None:
    """The text of the clips the phrase lies in, with the phrase marked."""
    text, matches = "", []
    for _, group in groupby(run, key=lambda token: token.clip.clip_id):
        tokens = list(group)
        text += " " if text else ""
        matches.append((len(text) + tokens[0].start, len(text) + tokens[-1].end))
        text += tokens[0].clip.text
    return make_snippet(text, tuple(_trimmed(text, *match) for match in matches))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while end > start and not text[end - 1].isalnum():
        end -= 1
    while start < end and not text[start].isalnum():
        start += 1
    return start, end
