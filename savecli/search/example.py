"""What stands in a query for something to be like: a hit of the archive, or a picture or clip from elsewhere.

An example of the archive is taken from its stored vectors, so that no model is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from savecli.archive.manifest import EncoderRecord
from savecli.archive.schema import ClipRow
from savecli.archive.store import Archive, VectorTables, sql_in
from savecli.core.errors import SaveError, UsageError

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Example:
    """Something to find the like of. Vectors are unit length; None is missing evidence.

    Args:
        kind: where it comes from.
        name: what the user calls it.
        seen: `(D,)`, as a clip's pooled vector.
        said: `(D,)`, as a clip's vector of its words.
        weight: against the other terms of the query; below 0 the hits are unlike it.
        own_clips: ids of the clips it was taken from, which are no answer.
    """

    kind: Literal["image", "clip", "hit"]
    name: str
    seen: Vector | None
    said: Vector | None = None
    weight: float = 1.0
    own_clips: frozenset[str] = frozenset()


def like_moment(archive: Archive, video_id: str, start_s: float, end_s: float, *, name: str = "") -> Example:
    """A moment of the archive as an example, by the mean of its clips' stored vectors.

    Raises:
        UsageError: the archive has no vectors.
        SaveError: the moment is not in the archive, or has no vector.
    """
    tables = check_examples(archive)
    clips = clips_within(archive, video_id, start_s, end_s)
    seen, said = stored_vectors(tables, clips)
    if seen is None:
        why = "its clips have no picture" if clips else "it was indexed anew or removed since, or is of another archive"
        raise SaveError(f"nothing can be compared with {name or 'this moment'}", why=why, fix="run the query again")
    return Example("hit", name, seen, said, own_clips=frozenset(clip.clip_id for clip in clips))


def clips_within(archive: Archive, video_id: str, start_s: float, end_s: float) -> list[ClipRow]:
    """The clips of a video that share time with a span."""
    return [
        clip
        for clip in archive.clip_rows(sql_in("video_id", [video_id]))
        if clip.start_s < end_s and start_s < clip.end_s
    ]


def check_examples(archive: Archive) -> VectorTables:
    """The vectors to compare an example with.

    Raises:
        UsageError: the archive has none.
    """
    encoder = archive.manifest.encoder
    tables = archive.vector_tables(encoder)
    if tables is not None:
        return tables
    raise UsageError(
        "this archive cannot be searched by example",
        why=_why_no_vectors(encoder),
        fix=f"save models pull clip && save index --encoder clip --rebuild --archive {archive.folder}",
    )


def stored_vectors(tables: VectorTables, clips: Sequence[ClipRow]) -> tuple[Vector | None, Vector | None]:
    """Unit vectors along the means of what the clips' `seen` and `said` columns hold; None where they hold nothing."""
    where = f"{sql_in('video_id', {clip.video_id for clip in clips})} AND "
    where += sql_in("clip_id", [clip.clip_id for clip in clips])
    rows = tables.vectors.search().where(where).select(["clip_id", "seen", "said"]).to_list()
    rows.sort(key=lambda row: str(row["clip_id"]))
    return _mean(rows, "seen"), _mean(rows, "said")


def _mean(rows: Sequence[Mapping[str, Any]], column: str) -> Vector | None:
    held = [np.asarray(row[column], dtype=np.float32) for row in rows if row[column] is not None]
    return unit(np.sum([vector / np.linalg.norm(vector) for vector in held], axis=0)) if held else None


def unit(vector: Vector) -> Vector:
    """The vector at unit length."""
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def _why_no_vectors(encoder: EncoderRecord | None) -> str:
    if encoder is not None and encoder.dimension:
        return "its vectors are not complete"
    return "it was indexed with the encoder `words`, which looks at no pictures"
