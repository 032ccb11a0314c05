"""The arithmetic of a query: words to be near to, and words to be far from, each with a weight.

    save query "dog" + 2:"running" - "beach"

After rclip, which sums CLIP vectors of terms as word analogies do (Mikolov et al. 2013, "king - man + woman").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from savecli.core.errors import UsageError

# What follows must not be a digit: `10:30` is a time, and `16:9` a shape.
_WEIGHTED = re.compile(r"(\d+(?:\.\d+)?|\.\d+):(?=[^\d\s])(.*)", re.DOTALL)
_SIGNS = {"+": 1.0, "-": -1.0}


@dataclass(frozen=True)
class Term:
    """Words of a query; those of a weight below 0 are what its answers are not."""

    text: str
    weight: float = 1.0


def parse_terms(arguments: Sequence[str]) -> tuple[Term, ...]:
    """The weighted terms of a query, or none when it is plain text.

    It is plain unless an argument is a lone `+` or `-`, or a term begins with a weight, as in `2:running`. Arguments
    are those of the shell, so that quotes keep a term together: `"c + +"` is one argument and plain.

    Raises:
        UsageError: a sign without a term, or a weight of 0.
    """
    given = [argument for argument in arguments if argument.strip()]
    if not any(argument in _SIGNS for argument in given) and not _WEIGHTED.fullmatch(" ".join(given)):
        return ()
    groups: list[tuple[str, list[str]]] = [("+", [])]
    for argument in given:
        if argument in _SIGNS:
            groups.append((argument, []))
        else:
            groups[-1][1].append(argument)
    return tuple(_term(sign, words, given) for sign, words in (groups if groups[0][1] else groups[1:]))


def wanted_text(terms: Sequence[Term]) -> str:
    """The words that answers should hold."""
    return " ".join(term.text for term in terms if term.weight > 0)


def checked_weight(weight: float, of: str) -> float:
    """The weight.

    Raises:
        UsageError: it is 0.
    """
    if weight == 0:
        raise UsageError(
            f"`{of}` has the weight 0", why="it would change nothing", fix="leave it out, or give it another weight"
        )
    return weight


def _term(sign: str, words: Sequence[str], given: Sequence[str]) -> Term:
    text = " ".join(words)
    if not text:
        asked = " ".join(given)
        raise UsageError(
            f"there is nothing after a lone `{sign}`",
            why=f"in the query `{asked}` signs between spaces add and subtract terms",
            fix=f"say what to add or subtract; to look for the signs themselves: save query '{asked}'",
        )
    found = _WEIGHTED.fullmatch(text)
    if found is None:
        return Term(text, _SIGNS[sign])
    return Term(found.group(2), _SIGNS[sign] * checked_weight(float(found.group(1)), of=text))
