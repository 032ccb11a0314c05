"""Tiny checkpoints of ours with random weights, in the real format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from savecli.model.checkpoint import save_checkpoint
from tests.model.random_batch import random_model

# Few enough frames that tests decode little, and more than one.
NUM_FRAMES = 4


def make_checkpoint(folder: Path, preset: str = "save-plus", *, seed: int = 0) -> Path:
    """The folder, with a reduced model of the preset whose gates are open (2 MB, under a second)."""
    model, config = random_model(preset, seed=seed)
    config = replace(config, inputs=replace(config.inputs, num_frames=NUM_FRAMES))
    save_checkpoint(model, config, folder, replace=True)
    return folder
