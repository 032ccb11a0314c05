"""What a frozen audio encoder makes of filter banks, in the form that a cache keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from savecli.core.errors import SaveError, UsageError
from savecli.model.audio import AudioBranch
from savecli.model.audio_names import audio_state
from savecli.model.build import build_model
from savecli.model.checkpoint import WEIGHTS
from savecli.model.clip_model import Unfilled
from savecli.model.config import AstConfig, ModelConfig
from savecli.model.convert import refuse_differences
from savecli.model.importing import read_state
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


def frozen_encoder(config: ModelConfig, path: Path) -> AudioBranch:
    """An audio branch whose encoder has the weights of a file, or of a folder that `save models import` wrote.

    Raises:
        UsageError: the model does not hear.
        WeightsError: the file is damaged, or of another encoder.
    """
    with Unfilled():
        branch = build_model(config).audio
    if branch is None:
        raise UsageError(
            f"`{config.name}` has no audio encoder", why="it does not hear", fix="leave out the encoder's weights"
        )
    state = audio_state(read_state(path / WEIGHTS if path.is_dir() else path))
    wanted = {name: value.shape for name, value in branch.state_dict().items() if not name.startswith("projection")}
    misfits = [name for name, shape in wanted.items() if name in state and state[name].shape != shape]
    missing = [name for name in wanted if name not in state or name in misfits]
    refuse_differences(missing, [name for name in state if name not in wanted], str(path))
    branch.load_state_dict(state, strict=False)
    return branch.eval()


def tokens_shape(config: ModelConfig) -> tuple[int, int]:
    """`(A, E)` of one filter bank; zeros for a model that does not hear."""
    audio = config.audio
    if audio is None:
        return 0, 0
    if isinstance(audio, AstConfig):
        across, along = ((n - audio.patch) // audio.stride + 1 for n in (audio.num_mel_bins, audio.num_rows))
        return 1 + across * along, audio.width
    return (audio.num_rows + 1) // 2, audio.width
