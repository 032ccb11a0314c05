"""The protocol between the archive and whatever turns clips and queries into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from savecli.core.records import ClipEmbedding, ClipInput, InputNeeds


class Encoder(Protocol):
    """Clips and query texts to unit vectors of one shared space.

    `encode_clips` never sees a query: encode once, search forever. An encoder without vectors
    (`words`) has `dimension` 0 and is never asked to encode.
    """

    @property
    def name(self) -> str:
        """What the user calls it, e.g. `clip:ViT-B-32/openai`."""

    @property
    def fingerprint(self) -> str:
        """Hash of config, weights and preprocessing; equal fingerprints give equal vectors."""

    @property
    def dimension(self) -> int:
        """Width `D` of every vector; 0 for an encoder without vectors."""

    @property
    def needs(self) -> InputNeeds:
        """What each clip must bring."""

    @property
    def batch_size(self) -> int:
        """Clips per call of `encode_clips` that keep the device busy."""

    def encode_clips(self, clips: Sequence[ClipInput]) -> list[ClipEmbedding]:
        """One embedding per clip, in order; a clip's embedding does not depend on its neighbours."""

    def encode_text(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """`(N, D)` unit vectors for queries."""
