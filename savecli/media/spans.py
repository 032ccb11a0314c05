"""Where one clip of a video ends and the next begins; pure arithmetic on seconds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import takewhile

from savecli.core.records import Span, Utterance

# A clip of about ten seconds holds one event and one or two sentences, and is what retrieval models are trained on
# (clips of MSR-VTT last 10 to 30 s, of VATEX 10 s); shorter than five says little, longer than fifteen blurs.
MIN_CLIP_S = 5.0
TARGET_CLIP_S = 10.0
MAX_CLIP_S = 15.0

# A border in a pause keeps this far from the speech around it where there is room: times of subtitles and of speech
# recognition are often a few tenths of a second off.
SPEECH_MARGIN_S = 0.25


def clip_spans(
    duration_s: float, *, utterances: Sequence[Utterance] = (), cuts_s: Sequence[float] = ()
) -> tuple[Span, ...]:
    """Spans that cover `[0, duration_s)` without gap or overlap, each of 5 to 15 s; one span up to 15 s.

    Args:
        utterances: in order of their start.
        cuts_s: picture cuts, ascending.

    Raises:
        ValueError: the duration is not a positive number.
    """
    if not 0 < duration_s < float("inf"):
        raise ValueError(f"duration_s is {duration_s}; allowed: a positive number of seconds")
    spans: list[Span] = []
    start_s, first = 0.0, 0
    while start_s < duration_s:
        while first < len(utterances) and utterances[first].end_s <= start_s:
            first += 1
        border_s = next_border(start_s, duration_s, utterances=utterances[first:], cuts_s=cuts_s)
        spans.append(Span(start_s, border_s))
        start_s = border_s
    return tuple(spans)


def next_border(
    start_s: float, end_s: float, *, utterances: Sequence[Utterance] = (), cuts_s: Sequence[float] = ()
) -> float:
    """Where the clip that begins at `start_s` ends, in a video that ends at `end_s`.

    Looks no further than 15 s ahead, so that a video can be cut while it is being decoded. Best first: a picture cut
    in a pause between utterances; the pause nearest to ten seconds; where one long utterance fills the window, a gap
    between its words (with a cut in it, if there is one); a picture cut; ten seconds.

    Args:
        utterances: in order of their start; those that end before `start_s` may be left out.
        cuts_s: picture cuts, ascending; those outside the next 15 s may be left out.
    """
    if end_s - start_s <= MAX_CLIP_S:
        return end_s
    low_s = start_s + MIN_CLIP_S
    # What remains after this clip must be able to be a clip too.
    high_s = min(start_s + MAX_CLIP_S, end_s - MIN_CLIP_S)
    target_s = start_s + TARGET_CLIP_S
    nearby = [utterance for utterance in _started(utterances, high_s) if utterance.end_s > low_s]
    cuts = [cut_s for cut_s in cuts_s[bisect_left(cuts_s, low_s) :] if cut_s <= high_s]
    said = [(utterance.start_s, utterance.end_s) for utterance in nearby]
    words = [(word.start_s, word.end_s) for utterance in nearby for word in utterance.words]
    for gaps in (_gaps(said, low_s, high_s), _gaps(words, low_s, high_s) if words else []):
        points = [cut_s for cut_s in cuts if any(gap.start_s <= cut_s <= gap.end_s for gap in gaps)]
        points = points or [_point_in(gap, target_s) for gap in gaps]
        if points:
            return _nearest(points, target_s)
    return _nearest(cuts or [target_s], target_s)


def _started(utterances: Sequence[Utterance], before_s: float) -> Iterable[Utterance]:
    return takewhile(lambda utterance: utterance.start_s < before_s, utterances)


def _gaps(busy: Sequence[tuple[float, float]], low_s: float, high_s: float) -> list[Span]:
    """The stretches of `[low_s, high_s]` outside all busy ones; where two busy ones touch, a gap of no length."""
    gaps: list[Span] = []
    free_from_s = low_s
    for start_s, end_s in sorted(busy):
        if start_s >= high_s:
            break
        if start_s >= free_from_s:
            gaps.append(Span(free_from_s, start_s))
        free_from_s = max(free_from_s, end_s)
    if free_from_s <= high_s:
        gaps.append(Span(free_from_s, high_s))
    return gaps


def _point_in(gap: Span, target_s: float) -> float:
    """The point of the gap nearest to the target that keeps its distance from the speech around."""
    margin_s = min(SPEECH_MARGIN_S, gap.duration_s / 2)
    return min(max(target_s, gap.start_s + margin_s), gap.end_s - margin_s)


def _nearest(points: Sequence[float], target_s: float) -> float:
    return min(points, key=lambda point_s: (abs(point_s - target_s), point_s))
