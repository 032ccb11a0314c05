"""How far a hit can be believed: high, medium or low. docs/search.md gives the reasons for each number."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from savecli.search.results import Confidence


class Level(IntEnum):
    """Strength of one kind of evidence."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


# Words: nearly everything asked for was found, or at least half of it and two words or their worth.
HIGH_COVERAGE = 0.8
MEDIUM_COVERAGE = 0.5
MIN_EVIDENCE_FOR_MEDIUM = 2

# Vectors: spreads of the background above its median; `benchmarks/confidence.py` measures what they let through and
# miss. The median and the median deviation, because some background queries do match something in the archive and must
# not raise the bar for the others.
HIGH_SPREADS = 2.5
MEDIUM_SPREADS = 1.5
_DEVIATION_TO_SIGMA = 1.4826  # of a normal distribution


def words_level(coverage: float, evidence: float) -> Level:
    """Level of a text that holds a share of `coverage` of the query, worth `evidence` words with meaning."""
    if coverage >= HIGH_COVERAGE:
        return Level.HIGH
    if coverage >= MEDIUM_COVERAGE and evidence >= MIN_EVIDENCE_FOR_MEDIUM:
        return Level.MEDIUM
    return Level.LOW


def vector_levels(
    similarity: npt.NDArray[np.float32], best_of_background: npt.NDArray[np.float32]
) -> tuple[Level, ...]:
    """Levels of N clips by their similarity to the query `(N,)`; all are low where no background was measured."""
    if len(best_of_background) == 0:
        return (Level.LOW,) * len(similarity)
    spreads = spreads_above(similarity, best_of_background)
    places = np.searchsorted([MEDIUM_SPREADS, HIGH_SPREADS], spreads, side="right")
    return tuple(Level(Level.LOW + int(place)) for place in places)


def spreads_above(
    similarity: npt.NDArray[np.float32], best_of_background: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """`(N,)`: by how many spreads clips are more similar to the query than the best clip of a background query.

    Than the best, not than any: a query that nothing answers has a best clip as well.

    Args:
        similarity: `(N,)`.
        best_of_background: `(K,)`, the same kind of similarity, not empty.
    """
    median = np.median(best_of_background)
    spread = _DEVIATION_TO_SIGMA * np.median(np.abs(best_of_background - median)) + 1e-6
    return np.asarray((similarity - median) / spread, dtype=np.float32)


def joint_level(levels: Iterable[Level]) -> Level:
    """Level of several kinds of evidence together: the strongest, and two of medium strength make a high one."""
    found = sorted(levels, reverse=True)
    if not found:
        return Level.LOW
    return Level.HIGH if found[:2] == [Level.MEDIUM, Level.MEDIUM] else found[0]


def confidence_of(level: Level) -> Confidence:
    """The word a user sees."""
    names: dict[Level, Confidence] = {Level.HIGH: "high", Level.MEDIUM: "medium", Level.LOW: "low"}
    return names[level]
