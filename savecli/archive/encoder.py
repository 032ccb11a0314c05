"""Which encoder an archive uses: chosen without loading a model, loaded when there is work. Importing this is light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from savecli.archive.manifest import EncoderRecord
from savecli.core.encoder import Encoder
from savecli.core.errors import SaveError, UsageError, WeightsError
from savecli.core.progress import NoProgress, Progress
from savecli.core.records import ClipInput, InputNeeds
from savecli.model.clip_config import CONFIG_FILE
from savecli.model.clip_spec import DEFAULT_CLIP, SPELLINGS, parse_clip_spec
from savecli.model.clip_weights import ClipSource, fetch_clip, find_clip
from savecli.model.hub import Hub

if TYPE_CHECKING:
    from savecli.archive.checkpoint_source import CheckpointSource
    from savecli.archive.clip_encoder import TextEncoder

# As CLIP4Clip samples a clip (Luo et al. 2022, section 4.1), and SAVE after it.
FRAMES_PER_CLIP = 12
WORDS_NEEDS = InputNeeds(num_frames=0)
_NO_PROGRESS = NoProgress()


@dataclass(frozen=True)
class EncoderChoice:
    """An encoder that can be had, and why it was taken.

    Args:
        name: as the user spells it and an archive stores it: `words`, `clip:ViT-B-32/openai`, `clip:/models/mine`,
            `tiny-world`, `/runs/mine/best`.
        label: for the plan line: `clip ViT-B-32 (openai)`.
        reason: why this one; "" when it was asked for by name and needs no explanation.
        better: how to get a better one; "" when there is none.
        needs: what each clip must bring.
        dimension: width of its vectors; 0 for `words`.
        clip: where its weights are; None for other encoders.
        checkpoint: the same of a model of ours.
    """

    name: str
    label: str
    reason: str
    better: str
    needs: InputNeeds
    dimension: int
    clip: ClipSource | None = None
    checkpoint: CheckpointSource | None = None

    @property
    def download_bytes(self) -> int:
        """About how much must be downloaded first; 0 when nothing, or the size is unknown."""
        return self.clip.download_bytes if self.clip else 0

    @property
    def is_here(self) -> bool:
        """Whether it can be loaded without a download."""
        return self.clip is None or self.clip.weights is not None


class WordsEncoder:
    """No vectors: the archive is searched by its words alone. Needs no weights."""

    name = "words"
    fingerprint = "words-1"
    dimension = 0
    needs = WORDS_NEEDS
    batch_size = 1

    def encode_clips(self, clips: Sequence[ClipInput]) -> NoReturn:
        raise AssertionError("the `words` encoder has no vectors; ask `dimension` first")

    def encode_text(self, texts: Sequence[str]) -> NoReturn:
        raise AssertionError("the `words` encoder has no vectors; ask `dimension` first")


def resolve_encoder(spec: str, *, hub: Hub, imported: Path | None = None) -> EncoderChoice:
    """The encoder that `spec` asks for; loads no model and downloads nothing, but may ask whether the hub is there.

    Args:
        spec: `auto`, `words`, a CLIP spelling (see `savecli.model.clip_spec`), or a model of ours: `tiny-world`, the
            name of an imported one, or a folder.
        imported: folder of imported models, one folder each.

    Raises:
        UsageError: no such encoder.
        WeightsError: it was asked for by name and its weights are neither here nor to be had.
    """
    if spec == "auto":
        return _auto_choice(hub)
    if spec == "words":
        return _words_choice(reason="", better="")
    if spec.partition(":")[0] != "clip":
        return _checkpoint_choice(spec, hub, imported)
    source = find_clip(parse_clip_spec(spec), hub)
    if source.weights is None and not hub.reachable:
        raise WeightsError(
            f"the weights of {source.spec.name} are not on this machine",
            why=hub.obstacle,
            fix=_how_to_bring(source),
        )
    return _clip_choice(source, reason="")


def encoder_record(choice: EncoderChoice) -> EncoderRecord:
    """What an archive stores of an encoder whose weights are here; hashes them, and loads no model."""
    ours = choice.checkpoint
    if ours is not None:
        return EncoderRecord(
            name=choice.name,
            label=choice.label,
            fingerprint=ours.fingerprint,
            dimension=choice.dimension,
            senses=ours.senses,
            scoring=ours.scoring,
        )
    fingerprint = WordsEncoder.fingerprint if choice.clip is None else choice.clip.fingerprint
    return EncoderRecord(name=choice.name, label=choice.label, fingerprint=fingerprint, dimension=choice.dimension)


def fetch_encoder(choice: EncoderChoice, *, hub: Hub, progress: Progress = _NO_PROGRESS) -> EncoderChoice:
    """The same choice with its weights on this machine.

    Raises:
        WeightsError: they cannot be downloaded.
    """
    return choice if choice.clip is None else replace(choice, clip=fetch_clip(choice.clip, hub, progress))


def load_encoder(
    choice: EncoderChoice,
    *,
    hub: Hub,
    device: str = "auto",
    batch_size: int | None = None,
    num_threads: int | None = None,
    progress: Progress = _NO_PROGRESS,
) -> Encoder:
    """The encoder, its weights downloaded if need be and loaded.

    Args:
        device: `auto`, `cpu`, `cuda` or `mps`.
        batch_size: clips at a time; None lets the device decide.
        num_threads: CPU threads of the whole process from now on; None leaves them alone.
        progress: counts the bytes of a download.

    Raises:
        UsageError: no such device.
        WeightsError: weights that cannot be had or loaded.
    """
    choice = fetch_encoder(choice, hub=hub, progress=progress)
    if choice.checkpoint is not None:
        from savecli.archive.save_encoder import load_save_encoder  # loads torch

        return load_save_encoder(choice.checkpoint, device=device, batch_size=batch_size, num_threads=num_threads)
    if choice.clip is None:
        return WordsEncoder()
    from savecli.archive.clip_encoder import load_clip_encoder  # loads torch

    return load_clip_encoder(choice.clip, hub=hub, device=device, batch_size=batch_size, num_threads=num_threads)


def reopen_encoder(record: EncoderRecord, *, hub: Hub) -> EncoderChoice:
    """The encoder an archive was made with; loads no model.

    Raises:
        WeightsError: its weights are gone, or are not the ones the archive was made with.
    """
    if record.name == WordsEncoder.name:
        return _words_choice(reason="the archive's own", better="")
    try:
        choice = resolve_encoder(record.name, hub=hub)
    except SaveError as error:
        raise WeightsError(
            f"the archive's encoder `{record.name}` cannot be opened",
            why=str(error),
            fix=f"bring its weights back, or encode anew with `save index --encoder NAME --rebuild`; {error.fix}",
        ) from error
    if choice.is_here:
        _check_same(record, choice)
    return replace(choice, reason="the archive's own")


def load_text_encoder(
    record: EncoderRecord, *, hub: Hub, device: str = "cpu", progress: Progress = _NO_PROGRESS
) -> TextEncoder:
    """The query side of an archive's encoder, in torch; `savecli.search.text_encoder` does without where it can.

    The CPU by default: one query takes it less time than waking a GPU.

    Raises:
        WeightsError: see `reopen_encoder`.
    """
    choice = reopen_encoder(record, hub=hub)
    if not choice.is_here:
        choice = fetch_encoder(choice, hub=hub, progress=progress)
        _check_same(record, choice)
    if choice.checkpoint is not None:
        from savecli.archive.save_encoder import load_save_text_encoder  # loads torch

        return load_save_text_encoder(choice.checkpoint, device=device)
    if choice.clip is None:
        raise AssertionError("the `words` encoder has no vectors; ask `dimension` first")
    from savecli.archive.clip_encoder import load_clip_text_encoder  # loads torch

    return load_clip_text_encoder(choice.clip, hub=hub, device=device)


def _check_same(record: EncoderRecord, choice: EncoderChoice) -> None:
    if encoder_record(choice).fingerprint == record.fingerprint:
        return
    changed = choice.clip.weights if choice.clip else choice.checkpoint.folder if choice.checkpoint else record.label
    raise WeightsError(
        f"the weights of `{record.name}` are not the ones this archive was made with",
        why=f"{changed} or its settings have changed since",
        fix=f"bring the old weights back, or encode anew: `save index --encoder {record.name} --rebuild`",
    )


def _auto_choice(hub: Hub) -> EncoderChoice:
    source = find_clip(DEFAULT_CLIP, hub)
    if source.weights is not None:
        return _clip_choice(source, reason="its weights are on this machine")
    if hub.reachable:
        return _clip_choice(source, reason=f"its weights will be downloaded ({_megabytes(source.download_bytes)})")
    return _words_choice(
        reason=f"CLIP weights are not here and the hub cannot be reached ({hub.obstacle})",
        better="to search what is seen as well: `save models pull clip`, then `save index --encoder clip`",
    )


def _checkpoint_choice(spec: str, hub: Hub, imported: Path | None) -> EncoderChoice:
    """A model of ours, or a folder that turns out to hold a CLIP."""
    from savecli.archive.checkpoint_source import find_checkpoint  # loads torch
    from savecli.model.open_checkpoint import checkpoint_folder

    try:
        if not spec:
            raise UsageError("no name was given")
        folder = checkpoint_folder(spec, imported=imported).absolute()
    except UsageError as error:
        allowed = f"`auto`, `words`, {SPELLINGS}, `tiny-world`, the name of an imported model, or a model's folder"
        raise UsageError(f"unknown encoder `{spec}`", why=f"{error}; allowed: {allowed}", fix=error.fix) from error
    if (folder / CONFIG_FILE).is_file():
        return resolve_encoder(f"clip:{folder}", hub=hub)
    source = find_checkpoint(folder, spec)
    return EncoderChoice(source.name, source.label, "", "", source.needs, source.dimension, checkpoint=source)


def _clip_choice(source: ClipSource, *, reason: str) -> EncoderChoice:
    needs = InputNeeds(num_frames=FRAMES_PER_CLIP, short_side=source.config.pixels.image_size)
    return EncoderChoice(source.spec.name, source.spec.label, reason, "", needs, source.config.dimension, source)


def _words_choice(*, reason: str, better: str) -> EncoderChoice:
    return EncoderChoice(WordsEncoder.name, WordsEncoder.name, reason, better, WORDS_NEEDS, 0)


def _how_to_bring(source: ClipSource) -> str:
    return (
        f"`save models pull {source.spec.name} --dir FOLDER` where there is a connection, copy FOLDER here, "
        f"then `--encoder clip:FOLDER`; a file you have: `--encoder clip:{source.spec.architecture}=FILE`"
    )


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"
