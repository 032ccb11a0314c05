"""What a frozen audio encoder makes of filter banks, in the form that a cache keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from savecli.core.errors import SaveError
from savecli.model.audio import AudioBranch
from savecli.model.config import AstConfig, ModelConfig
from savecli.model.precision import Batches, choose_precision, computing

# Windows of sound at a time; a CPU gains nothing beyond a few.
_ON_CPU, _ON_GPU = 4, 64

Bank = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.float16]


def sound_tokens(audio: AudioBranch, banks: Sequence[Bank]) -> list[Tokens]:
    """`(W, A, E)` of each clip's `(W, T, M)`, from the encoder where it lies.

    Raises:
        SaveError: the encoder gives numbers that half precision does not hold, or the memory does not suffice.
    """
    if not banks:
        return []
    device = next(audio.encoder.parameters()).device
    batches = Batches(_ON_CPU if device.type == "cpu" else _ON_GPU)
    with computing(device, choose_precision(device)):
        rows = batches.run(lambda some: audio.encoder(some.to(device)), torch.from_numpy(np.concatenate(banks)))
    kept = rows.half()
    if not bool(kept.isfinite().all()):
        raise SaveError(
            "the audio encoder's output cannot be kept",
            why=f"its largest number is {float(rows.abs().max()):.3g}; half precision ends at 65504",
            fix="look at the encoder's weights; filter banks alone can be kept without `--checkpoint`",
        )
    ends = np.cumsum([len(bank) for bank in banks])[:-1]
    return list(np.split(kept.numpy(), ends))


def tokens_shape(config: ModelConfig) -> tuple[int, int]:
    """`(A, E)` of one filter bank; zeros for a model that does not hear."""
    audio = config.audio
    if audio is None:
        return 0, 0
    if isinstance(audio, AstConfig):
        across, along = ((n - audio.patch) // audio.stride + 1 for n in (audio.num_mel_bins, audio.num_rows))
        return 1 + across * along, audio.width
    return (audio.num_rows + 1) // 2, audio.width
