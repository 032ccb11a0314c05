"""Which senses a match of fused vectors comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from savecli.archive.manifest import Sense

# Share of a match from which on a sense is named; docs/search.md has how often that is right.
LEAST_TELLING_SHARE = 0.2


@dataclass(frozen=True)
class SenseCosines:
    """The cosine of query and clip, and what of it sound and speech have added; None for a sense the clip has not."""

    whole: float
    heard: float | None
    said: float | None


@dataclass(frozen=True)
class SenseShare:
    """What one sense adds to the cosine of query and clip.

    Args:
        share: of all that adds to it, 0 to 1; 0 for a sense that takes away.
        gates: by fusion layer, how far it let the sense in, by attention and by feed-forward, in (-1, 1); none for
            sight, which the others are let into.
    """

    sense: Sense
    cosine: float
    share: float
    gates: tuple[tuple[float, float], ...] = ()


def shares_of(cosines: SenseCosines) -> tuple[SenseShare, ...]:
    """What each sense that a clip has adds to the match; sight is what is left of the whole."""
    others: tuple[tuple[Sense, float | None], ...] = (("heard", cosines.heard), ("said", cosines.said))
    added = {sense: cosine for sense, cosine in others if cosine is not None}
    parts: dict[Sense, float] = {"seen": cosines.whole - sum(added.values()), **added}
    helping = sum(max(cosine, 0.0) for cosine in parts.values())
    return tuple(
        SenseShare(sense, cosine, max(cosine, 0.0) / helping if helping else 0.0) for sense, cosine in parts.items()
    )


def named_senses(shares: Iterable[SenseShare]) -> tuple[Sense, ...]:
    """The senses that a match is from, the strongest first."""
    telling = [share for share in shares if share.share >= LEAST_TELLING_SHARE]
    return tuple(share.sense for share in sorted(telling, key=lambda share: -share.share))
