"""What a query comes back with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from savecli.search.example import Example
    from savecli.search.explain import Explanation
    from savecli.search.rank import Basis
    from savecli.search.senses import SenseShare
    from savecli.search.terms import Term

Confidence = Literal["high", "medium", "low"]


@dataclass(frozen=True)
class Snippet:
    """Words of a moment; `matches` are `(start, end)` character offsets into `text` of what the query matched."""

    text: str
    matches: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Ranks:
    """A moment's 1-based place by each kind of evidence; None where it has none.

    `matched` is by vectors that hold what is seen, heard and said at once; an archive has either these or `seen`.
    """

    matched: int | None = None
    seen: int | None = None
    said: int | None = None
    named: int | None = None


@dataclass(frozen=True)
class Moment:
    """A span to show: one clip, or neighbouring clips that all match. Times in seconds.

    Args:
        confidence: None where it cannot be told: hits that are like an example.
        logit: the largest of the model's own similarities to its clips; None where there is none but the cosine.
        basis: where the score comes from; None for a phrase, which is there or is not.
        senses: what sight, sound and speech add to the match; none where its vectors are of one sense.
        explanation: if it was asked for.
    """

    start_s: float
    end_s: float
    score: float
    confidence: Confidence | None
    ranks: Ranks
    snippet: Snippet | None = None
    logit: float | None = None
    basis: Basis | None = None
    senses: tuple[SenseShare, ...] = ()
    explanation: Explanation | None = None


@dataclass(frozen=True)
class VideoHit:
    """A video and its best moments, best first.

    Args:
        rank: 1-based place in the answer.
        path: absolute path of the file.
        root: the indexed folder it was found below.
        also_at: other paths of the same content.
        is_available: whether the file can be seen now; a hit on an unplugged drive is still a hit.
    """

    rank: int
    path: str
    root: str
    video_id: str
    score: float
    moments: tuple[Moment, ...]
    also_at: tuple[str, ...] = ()
    is_available: bool = True


@dataclass(frozen=True)
class Answer:
    """Ranked videos. When none is believable, `videos` is empty and `best` is the one that came closest.

    Args:
        notes: what the user should know of this answer, e.g. that an index run is unfinished.
        terms, examples: what was asked besides plain text; see `Request`.
    """

    query: str
    encoder: str
    videos: tuple[VideoHit, ...]
    best: VideoHit | None = None
    notes: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    examples: tuple[Example, ...] = ()
