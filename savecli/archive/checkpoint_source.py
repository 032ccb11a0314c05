"""Where a checkpoint of ours lies and what it says of itself; loads torch, but no weights of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from savecli.archive.manifest import ScoringRecord, Sense
from savecli.core.errors import WeightsError
from savecli.core.records import InputNeeds
from savecli.features.log_mel import RATE_HZ
from savecli.model.checkpoint import PREPROCESS, checkpoint_fingerprint, checkpoint_logit_scale, read_config
from savecli.model.config import ModelConfig
from savecli.model.open_checkpoint import TINY_WORLD


@dataclass(frozen=True)
class CheckpointSource:
    """A folder that training or `save models import` wrote.

    Args:
        name: what an archive stores: `tiny-world`, or the whole path of the folder.
    """

    folder: Path
    name: str
    config: ModelConfig

    @property
    def label(self) -> str:
        """How it is shown: the preset, and where it lies."""
        return f"{self.config.name} ({self.name})"

    @property
    def dimension(self) -> int:
        return self.config.clip.dimension

    @property
    def needs(self) -> InputNeeds:
        """What each clip must bring."""
        return InputNeeds(
            num_frames=self.config.inputs.num_frames,
            short_side=self.config.clip.pixels.image_size,
            audio_rate_hz=None if self.config.audio is None else RATE_HZ,
        )

    @property
    def senses(self) -> tuple[Sense, ...]:
        """What the model makes of a clip holds."""
        heard: tuple[Sense, ...] = () if self.config.audio is None else ("heard",)
        said: tuple[Sense, ...] = ("said",) if self.config.has_speech else ()
        return ("seen", *heard, *said)

    @cached_property
    def fingerprint(self) -> str:
        """Of config, preprocessing and weights; reads all of them, once."""
        return checkpoint_fingerprint(self.folder)

    @cached_property
    def scoring(self) -> ScoringRecord:
        """What the model's similarity takes besides the vectors."""
        return ScoringRecord(
            kind=self.config.scoring,
            temperature=self.config.temperature,
            logit_scale=checkpoint_logit_scale(self.folder),
        )


def find_checkpoint(folder: Path, spec: str) -> CheckpointSource:
    """The checkpoint of a folder that `checkpoint_folder` gave for what a user wrote.

    Raises:
        UsageError: its config is of a later version.
        WeightsError: a file of it is missing or damaged.
    """
    config = read_config(folder)
    if not (folder / PREPROCESS).is_file():
        raise WeightsError(
            f"{folder} is not complete",
            why=f"there is no {PREPROCESS}",
            fix="copy the folder again, with all its files",
        )
    return CheckpointSource(folder, TINY_WORLD if spec == TINY_WORLD else str(folder), config)
