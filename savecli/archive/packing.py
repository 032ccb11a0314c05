"""Vectors of one clip as an archive keeps them: a byte a number, as what tells them from the clip's pooled vector.

The frames of a clip resemble each other, so each is its share of the pooled vector, kept in half precision, and a
remainder whose numbers are rounded to 191 steps. Compressed as the table compresses them, 12 frames of 512 numbers take
about 5.2 KB instead of 12. Rounding moves a cosine with any query by some 1e-4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# Steps on either side of 0. Half as many would save 0.8 KB a clip and err twice as much.
_NUM_STEPS = 95
_NUM_SCALES = 2  # share of the base, size of a step
_SCALE = np.dtype("<f2")


def pack_vectors(vectors: Floats, base: Floats) -> bytes:
    """Rows of `(N, D)` beside the base `(D,)`, which is kept elsewhere: two half-precision scales and D bytes each."""
    shares = (vectors @ base / max(float(base @ base), 1e-12)).astype(_SCALE)
    remainders = vectors - shares.astype(np.float32)[:, None] * base
    steps = (np.abs(remainders).max(axis=1, initial=0.0) / _NUM_STEPS).astype(_SCALE)
    sizes = np.where(steps > 0, steps, 1).astype(np.float32)
    codes = np.clip(np.rint(remainders / sizes[:, None]), -127, 127).astype(np.int8)
    scales = np.stack([shares, steps], axis=1)
    return np.hstack([scales.view(np.int8), codes]).tobytes()


def unpack_vectors(packed: bytes, base: Floats) -> Floats:
    """`(N, D)` as they were, but for rounding."""
    shares, steps, codes = _parts(packed, len(base))
    return np.asarray(shares[:, None] * base + steps[:, None] * codes, dtype=np.float32)


def packed_products(packed: bytes, with_base: Floats, query: Floats) -> Floats:
    """`(N,)` products of packed rows with a query `(D,)`, without unpacking them.

    Args:
        packed: rows of one clip, or of many joined.
        with_base: `(N,)`, the product of the query with the base of each row.
    """
    shares, steps, codes = _parts(packed, len(query))
    return np.asarray(shares * with_base + steps * (codes.astype(np.float32) @ query), dtype=np.float32)


@dataclass(frozen=True)
class PackedClip:
    """Packed rows of one clip: its frames, and one row each of what sound and speech add, where it has them."""

    frames: bytes
    audio: bytes = b""
    speech: bytes = b""

    def joined(self) -> bytes:
        """As one value, which is read in one go: the rows, and a byte that says which of the two parts are there."""
        flags = bool(self.audio) + 2 * bool(self.speech)
        return b"".join((self.frames, self.audio, self.speech, bytes([flags])))


def split_clip(joined: bytes, dimension: int) -> PackedClip:
    """What `PackedClip.joined` gave."""
    row = dimension + _NUM_SCALES * _SCALE.itemsize
    flags, end = joined[-1], len(joined) - 1
    speech = joined[end - row : end] if flags & 2 else b""
    end -= len(speech)
    audio = joined[end - row : end] if flags & 1 else b""
    return PackedClip(joined[: end - len(audio)], audio, speech)


def num_packed(packed: bytes, dimension: int) -> int:
    """How many vectors are in there."""
    return len(packed) // (dimension + _NUM_SCALES * _SCALE.itemsize)


def _parts(packed: bytes, dimension: int) -> tuple[Floats, Floats, npt.NDArray[np.int8]]:
    """Shares `(N,)`, steps `(N,)` and codes `(N, D)`."""
    width = _NUM_SCALES * _SCALE.itemsize
    rows = np.frombuffer(packed, np.int8).reshape(num_packed(packed, dimension), width + dimension)
    scales = np.ascontiguousarray(rows[:, :width]).view(_SCALE).astype(np.float32)
    return scales[:, 0], scales[:, 1], rows[:, width:]
