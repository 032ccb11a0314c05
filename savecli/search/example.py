"""A query as one vector: its terms, and what its answers should be like, each with a weight.

An example is a hit of the archive, taken from its stored vectors without a model, or a picture or clip of any file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from savecli.archive.schema import ClipRow
from savecli.archive.store import Archive
from savecli.archive.tables import sql_in
from savecli.core.encoder import Encoder
from savecli.core.errors import SaveError, UsageError
from savecli.core.records import Span
from savecli.search.terms import Term

Vector = npt.NDArray[np.float32]

# A sum of unit vectors this short has no direction: rounding alone would give it one.
_SHORTEST = 1e-3


@dataclass(frozen=True, eq=False)
class Example:
    """Something to find the like of. Vectors are unit length.

    Args:
        kind: where it comes from.
        name: what the user calls it: a file, a file and a span, the number of a hit.
        seen: `(D,)`, as a clip's pooled vector.
        encoder: fingerprint of what made the vectors, as those of another one cannot be compared with them.
        said: `(D,)`, as a clip's vector of its words; None without any.
        weight: against the other terms of the query; below 0 the hits are unlike it.
        own_clips: ids of the clips it was taken from, which are no answer.
    """

    kind: Literal["image", "clip", "hit"]
    name: str
    seen: Vector
    encoder: str
    said: Vector | None = None
    weight: float = 1.0
    own_clips: frozenset[str] = frozenset()

    def as_dict(self) -> dict[str, Any]:
        """The example as JSON holds it."""
        said = None if self.said is None else self.said.tolist()
        return {**vars(self), "seen": self.seen.tolist(), "said": said, "own_clips": sorted(self.own_clips)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Example:
        """What `as_dict` wrote."""
        said = None if data["said"] is None else np.asarray(data["said"], np.float32)
        vectors = {"seen": np.asarray(data["seen"], np.float32), "said": said}
        return cls(**{**data, **vectors, "own_clips": frozenset(data["own_clips"])})


@dataclass(frozen=True, eq=False)
class QueryVector:
    """Where in an encoder's space a query points.

    Args:
        terms: `(N, D)` unit vectors of its terms and examples.
        weights: `(N,)`, one of them above 0.
    """

    terms: Vector
    weights: Vector

    @property
    def unit(self) -> Vector:
        """`(D,)`: the normalised weighted sum.

        Raises:
            UsageError: the sum is nothing.
        """
        total = self.weights @ self.terms
        if np.linalg.norm(total) < _SHORTEST * np.abs(self.weights).sum():
            raise UsageError(
                "the query adds up to nothing",
                why="what it adds is what it subtracts",
                fix="leave out one of the two, or change a weight",
            )
        return unit(total)

    @property
    def judged(self) -> Vector:
        """`(D,)`: what confidence comes from; a clip's product with it is its mean cosine with what is added.

        A normalised sum lies nearer to all clips than its terms do, and a difference farther from all, so neither can
        be held against how near clips are to single texts. What is subtracted only changes the order.
        """
        added = np.maximum(self.weights, 0)
        return np.asarray(added @ self.terms / added.sum(), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class QueryVectors:
    """A query against what an archive keeps of clips; None where it has nothing of the kind.

    Args:
        seen: against pooled vectors.
        said: against vectors of what is said.
    """

    seen: QueryVector | None
    said: QueryVector | None


def query_vectors(
    terms: Sequence[Term], examples: Sequence[Example], encode_text: Callable[[Sequence[str]], Vector] | None
) -> QueryVectors:
    """The vectors of a query.

    Text is compared with pictures and with words. An example that says nothing leaves only the pictures: the words of
    the other terms alone would be another query.

    Args:
        encode_text: `(N, D)` unit vectors; None where no term is text.
    """
    texts = encode_text([term.text for term in terms]) if terms and encode_text is not None else ()
    parts = [(vector, term.weight) for vector, term in zip(texts, terms, strict=False)]
    seen = [(example.seen, example.weight) for example in examples]
    said = [(example.said, example.weight) for example in examples if example.said is not None]
    is_mute = any(example.said is None and example.weight > 0 for example in examples)
    return QueryVectors(_joined([*parts, *seen]), None if is_mute else _joined([*parts, *said]))


def like_moment(archive: Archive, video_id: str, start_s: float, end_s: float, *, name: str = "") -> Example:
    """A moment of the archive as an example, by the mean of its clips' stored vectors.

    Raises:
        UsageError: the archive has no vectors.
        SaveError: the moment is not in the archive, or has no vector.
    """
    table = check_vectors(archive, "by example")
    clips = clips_within(archive, video_id, start_s, end_s)
    seen, said = stored_vectors(table, clips)
    if seen is None:
        why = "its clips have no picture" if clips else "it was indexed anew or removed since, or is of another archive"
        raise SaveError(
            f"nothing can be compared with {f'hit {name}' if name else 'this moment'}",
            why=why,
            fix="run the query again",
        )
    return Example("hit", name, seen, _fingerprint(archive), said, own_clips=frozenset(clip.clip_id for clip in clips))


def like_picture(archive: Archive, path: Path, encoder: Encoder, *, name: str) -> Example:
    """A picture as an example. Loads torch.

    Args:
        encoder: the archive's own.

    Raises:
        UsageError: the archive has no vectors.
        MediaError: the picture cannot be read.
    """
    from savecli.archive.example import picture_clip

    check_vectors(archive, "by example")
    (embedding,) = encoder.encode_clips([picture_clip(path, needs=encoder.needs)])
    assert embedding.pooled is not None, "it has a picture"
    return Example("image", name, embedding.pooled, _fingerprint(archive))


def like_clip(archive: Archive, path: Path, span: Span | None, encoder: Encoder, *, name: str) -> Example:
    """A span of a file as an example, None being all of it. Loads torch.

    Args:
        encoder: the archive's own.

    Raises:
        UsageError: the archive has no vectors, or the span is longer than a clip or not in the file.
        MediaError: the file cannot be read as video, or has no picture there.
    """
    from savecli.archive.example import file_clip

    check_vectors(archive, "by example")
    record = archive.manifest.encoder
    reads_words = record is not None and (record.scoring is None or "said" in record.senses)
    found = file_clip(archive, path, span, needs=encoder.needs, reads_words=reads_words)
    (embedding,) = encoder.encode_clips([found.clip_input])
    assert embedding.pooled is not None, "it has a picture"
    place = found.clip_input.span
    own = [] if found.video_id is None else clips_within(archive, found.video_id, place.start_s, place.end_s)
    own_clips = frozenset(clip.clip_id for clip in own)
    return Example("clip", name, embedding.pooled, _fingerprint(archive), embedding.speech, own_clips=own_clips)


def clips_within(archive: Archive, video_id: str, start_s: float, end_s: float) -> list[ClipRow]:
    """The clips of a video that share time with a span."""
    return [
        clip
        for clip in archive.clip_rows(sql_in("video_id", [video_id]))
        if clip.start_s < end_s and start_s < clip.end_s
    ]


def check_vectors(archive: Archive, how: str) -> Any:
    """The vectors to search by.

    Args:
        how: "by example", for the error.

    Raises:
        UsageError: the archive has none.
    """
    encoder = archive.manifest.encoder
    table = archive.vector_table(encoder)
    if table is not None:
        return table
    fix = f"save index --archive {archive.folder}"
    why = "its vectors are not complete"
    if encoder is None or encoder.dimension == 0:
        fix = f"save models pull clip && save index --encoder clip --archive {archive.folder}"
        why = "it was indexed with the encoder `words`, which looks at no pictures"
    raise UsageError(f"this archive cannot be searched {how}", why=why, fix=fix)


def stored_vectors(table: Any, clips: Sequence[ClipRow]) -> tuple[Vector | None, Vector | None]:
    """Unit vectors along the means of what the clips' `seen` and `said` columns hold; None where they hold nothing."""
    where = f"{sql_in('video_id', {clip.video_id for clip in clips})} AND "
    where += sql_in("clip_id", [clip.clip_id for clip in clips])
    rows = table.search().where(where).select(["clip_id", "seen", "said"]).to_list()
    rows.sort(key=lambda row: str(row["clip_id"]))
    return _mean(rows, "seen"), _mean(rows, "said")


def _fingerprint(archive: Archive) -> str:
    assert archive.manifest.encoder is not None, "an archive with vectors has an encoder"
    return archive.manifest.encoder.fingerprint


def _mean(rows: Sequence[Mapping[str, Any]], column: str) -> Vector | None:
    held = [np.asarray(row[column], dtype=np.float32) for row in rows if row[column] is not None]
    return unit(np.sum([vector / np.linalg.norm(vector) for vector in held], axis=0)) if held else None


def _joined(parts: Sequence[tuple[Vector, float]]) -> QueryVector | None:
    if not any(weight > 0 for _, weight in parts):
        return None
    return QueryVector(np.stack([vector for vector, _ in parts]), np.array([weight for _, weight in parts], np.float32))


def unit(vector: Vector) -> Vector:
    """The vector at unit length."""
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)
