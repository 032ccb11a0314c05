"""Runs as people ask for them: a dataset and a preset in, a run folder and its numbers out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from savecli.core.errors import UsageError
from savecli.core.progress import NoProgress, Progress
from savecli.model.build import build_model
from savecli.model.checkpoint import load_checkpoint, read_config
from savecli.model.clip_model import Unfilled
from savecli.model.config import ModelConfig
from savecli.model.convert import refuse_differences
from savecli.model.hub import Hub
from savecli.model.presets import DRAWN, PRESETS, find_preset
from savecli.model.save_model import SaveModel
from savecli.training.cache import CacheSource, kept_clips
from savecli.training.cache_parts import EntryState, teachers_in
from savecli.training.config import RunConfig, Selection, with_settings
from savecli.training.loop import Watch
from savecli.training.recipes import default_recipe, find_recipe
from savecli.training.records import ClipSource, dropped_text
from savecli.training.run_dir import RunData, RunDir, path_or_none
from savecli.training.session import OpenData, cache_beside, needs_teacher, open_data, open_source, run_splits
from savecli.training.start import keeps_sound_tokens, prepare_for_training, pretrained_model, random_model
from savecli.training.training_run import Machine, Outcome, RunSplits, check_sizes, run

PRETRAINED, SCRATCH = "pretrained", "scratch"
DEFAULT_PRESET = "save"
# Of what a cache does not give, what is told.
_FROM_FILES: tuple[tuple[EntryState, str], ...] = (
    ("absent", "that are not in it"),
    ("changed", "whose files have changed since (`save data prepare` looks at them again)"),
)
# Random towers learn nothing at a smaller share of the rate.
_SCRATCH_FACTOR = 0.1
_NO_PROGRESS = NoProgress()


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A new run.

    Args:
        preset: None is `save`, or what the checkpoint is.
        start: `pretrained` towers, `scratch`, or the folder of a checkpoint to go on from, which decides the preset.
        recipe: None is the preset's own.
        settings: as `with_settings` reads them, applied last.
        seed, select: None leaves them to the recipe.
        clip, audio: which pretrained weights; see `pretrained_model`.
        teacher: folder with the vectors of a teacher, where the alignment loss needs one.
        is_finetuning: it ends in a comparison with `start`; see `finetune`.
    """

    dataset: str
    root: Path
    out: Path
    preset: str | None = None
    start: str = PRETRAINED
    recipe: str | None = None
    settings: Sequence[str] = ()
    seed: int | None = None
    select: Selection | None = None
    clip: str | None = None
    audio: Path | None = None
    videos: Path | None = None
    cache: Path | None = None
    asr: Path | None = None
    teacher: Path | None = None
    is_finetuning: bool = False


@dataclass(frozen=True)
class Surroundings:
    """What a run is told from outside besides what it is."""

    machine: Machine
    hub: Hub
    watch: Watch
    should_stop: Callable[[], bool] = lambda: False
    progress: Progress = _NO_PROGRESS


def resolved(request: RunRequest) -> RunConfig:
    """The whole config of a run: preset, then recipe, then single settings.

    Raises:
        UsageError: no such preset, recipe or setting.
    """
    request = _completed(request)
    model = _start_config(request)
    config = find_recipe(request.recipe or default_recipe(model))(request.dataset, model)
    config = with_settings(config, request.settings)
    train = config.train
    if request.seed is not None:
        train = replace(train, seed=request.seed)
    if request.select is not None:
        train = replace(train, select=request.select)
    return replace(config, train=train)


def start_run(request: RunRequest, around: Surroundings) -> Outcome:
    """A new run, from its first step to its numbers.

    Raises:
        SaveError: see `run`, `open_data` and `pretrained_model`.
    """
    request = _completed(request)
    config, data = resolved(request), _run_data(request)
    # What is cheap to find wrong comes first, weights that may have to be fetched last.
    run_dir = RunDir(request.out)
    run_dir.check_new()
    held = _opened(config, data)
    splits = run_splits(held, config.train.select)
    check_sizes(config.train, splits, around.machine.workers)
    _check_teacher(config, data)
    model = _start_model(request, config, around)
    prepare_for_training(model, config.train)
    source = _source(config, data, held, model, around)
    if request.start == SCRATCH and config.train.optim.tower_factor < _SCRATCH_FACTOR:
        around.progress.note(
            f"the towers begin at random and learn at {config.train.optim.lr * config.train.optim.tower_factor:.0e}, "
            "which is meant for pretrained ones: `--recipe world`, or `--set optim.tower_factor=1`, lets them learn"
        )
    if around.machine.workers.leads:
        run_dir.create(config, data)
    around.machine.workers.wait()
    return _go(run_dir, config, splits, source, model, around, is_resumed=False)


def resume_run(folder: Path, around: Surroundings) -> Outcome:
    """The rest of a run; one that has ended is only scored again.

    Raises:
        SaveError: the folder holds no run, or the state is damaged, and see `run`.
    """
    run_dir = RunDir(folder)
    config, data = run_dir.read_config()
    if not run_dir.has_state:
        raise UsageError(
            f"{folder} cannot be gone on with",
            why="the run ended before its first save",
            fix="begin it anew by the command that began it; of several seeds, `--resume` the folder of all",
        )
    with Unfilled():
        model = build_model(config.model)
    if model.audio is not None:
        # What a cache holds of a frozen encoder is found by its weights.
        _, state = run_dir.load_state()
        sound = {name: value for name, value in state["model"].items() if name.startswith("audio.")}
        model.load_state_dict(sound, strict=False)
    prepare_for_training(model, config.train)
    held = _opened(config, data)
    splits = run_splits(held, config.train.select)
    source = _source(config, data, held, model, around)
    return _go(run_dir, config, splits, source, model, around, is_resumed=True)


def _opened(config: RunConfig, data: RunData) -> OpenData:
    kept = partial(kept_clips, path_or_none(data.cache), config.model)
    return open_data(
        config.dataset, Path(data.root), videos=path_or_none(data.videos), asr=path_or_none(data.asr), kept=kept
    )


def _source(config: RunConfig, data: RunData, held: OpenData, model: SaveModel, around: Surroundings) -> ClipSource:
    """Where the clips come from; tells what is missing of them, and whether the cache fits."""
    cache = path_or_none(data.cache)
    source = open_source(
        held,
        config.model,
        cache=cache,
        teacher=path_or_none(data.teacher),
        frozen_audio=model.audio if keeps_sound_tokens(model) else None,
    )
    for split in held.dataset.splits:
        if missing := held.num_missing[split.name]:
            around.progress.note(f"{split.name}: {missing} of {missing + len(split.clips)} clips are missing, left out")
        if split.dropped:
            around.progress.note(f"{split.name}: of the annotations left out: {dropped_text(split.dropped)}")
    train = held.dataset.train
    if isinstance(source, CacheSource) and train is not None:
        states = source.states(train.clips)
        if slow := [f"{states[state]} {why}" for state, why in _FROM_FILES if states[state]]:
            around.progress.note(
                f"cache: {states['there']} of {len(train.clips)} clips of {train.name} are in {cache} for this model; "
                f"{' and '.join(slow)} are read from their files, which is slower"
            )
    return source


def _go(
    run_dir: RunDir,
    config: RunConfig,
    splits: RunSplits,
    source: ClipSource,
    model: SaveModel,
    around: Surroundings,
    *,
    is_resumed: bool,
) -> Outcome:
    return run(
        run_dir,
        config,
        model,
        splits,
        source,
        machine=around.machine,
        watch=around.watch,
        is_resumed=is_resumed,
        should_stop=around.should_stop,
        progress=around.progress,
    )


def drawn_preset(name: str | None) -> str:
    """The preset of this name in the size of the drawn world; one that has another size already stays."""
    name = name or DEFAULT_PRESET
    return name + DRAWN if name in PRESETS else name


def _completed(request: RunRequest) -> RunRequest:
    """The request with what follows from its dataset where nothing else was asked for."""
    if request.start not in (PRETRAINED, SCRATCH):
        for name in ("clip", "audio"):
            if getattr(request, name) is not None:
                raise UsageError(
                    f"`{request.start}` is a checkpoint, which has all its weights",
                    why=f"`--{name}` names others",
                    fix=f"leave `--{name}` out, or begin with `--start pretrained`",
                )
        if request.preset is not None:
            raise UsageError(
                f"`{request.start}` is a checkpoint, which decides its own preset",
                why=f"`{request.preset}` was asked for as well",
                fix="leave `--preset` out, or begin with `--start pretrained`",
            )
    elif request.dataset == "synthetic":
        # The drawn world is learned by small models, which nobody has trained before.
        request = replace(request, preset=drawn_preset(request.preset), start=SCRATCH)
    beside = request.root / "teacher"
    if request.teacher is None and beside.is_dir():
        request = replace(request, teacher=beside)
    return replace(request, cache=cache_beside(request.root, request.cache))


def _start_config(request: RunRequest) -> ModelConfig:
    if request.start in (PRETRAINED, SCRATCH):
        return find_preset(request.preset or DEFAULT_PRESET)
    return read_config(Path(request.start))


def _start_model(request: RunRequest, config: RunConfig, around: Surroundings) -> SaveModel:
    seed = config.train.seed
    if request.start == SCRATCH:
        return random_model(config.model, seed=seed)
    if request.start == PRETRAINED:
        return pretrained_model(
            config.model, clip=request.clip, audio=request.audio, hub=around.hub, seed=seed, progress=around.progress
        )
    held = load_checkpoint(Path(request.start)).model.state_dict()
    model = random_model(config.model, seed=seed)
    wanted = model.state_dict()
    misfits = [name for name in wanted if name in held and held[name].shape != wanted[name].shape]
    missing = [name for name in wanted if name not in held or name in misfits]
    refuse_differences(missing, [name for name in held if name not in wanted], request.start)
    model.load_state_dict(held)
    return model


def _run_data(request: RunRequest) -> RunData:
    def kept(path: Path | None) -> str | None:
        return None if path is None else str(path.absolute())

    start = request.start if request.start in (PRETRAINED, SCRATCH) else kept(Path(request.start))
    return RunData(
        root=str(request.root.absolute()),
        videos=kept(request.videos),
        cache=kept(request.cache),
        asr=kept(request.asr),
        teacher=kept(request.teacher),
        start=start,
        is_finetuning=request.is_finetuning,
    )


def _check_teacher(config: RunConfig, data: RunData) -> None:
    has = data.teacher is not None or (data.cache is not None and teachers_in(Path(data.cache)))
    if needs_teacher(config.model) and not has:
        raise UsageError(
            f"the alignment loss of `{config.model.name}` needs a teacher",
            why="it learns from how alike a teacher finds the sights and sounds of a batch",
            fix="give `--teacher DIR`, keep its vectors in the cache with `save data prepare --teacher pe-av`, "
            "or leave the loss out: `--set model.loss.alignment=null`",
        )
