"""What a training run is: everything that decides its result, and one way to change any of it."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from savecli.core.errors import UsageError
from savecli.model.config import ModelConfig

# Which epoch is kept: best on validation, best on test (as some papers report; the report then says so), or the last.
Selection = Literal["val", "peak-test", "last"]
# What "best" is measured by, from captions to clips: R@1 as in the papers, or SumR, which moves also on small sets.
Measure = Literal["R@1", "SumR"]
RunPrecision = Literal["auto", "fp32", "medium", "bf16"]
Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How weights move.

    Args:
        kind: `published` is the authors' Adam (`PublishedAdam`), `adamw` has bias correction and one schedule for all.
        lr: of what is trained from scratch.
        tower_factor, query_factor: of `lr`, for pretrained towers and for the resampler's queries.
        warmup: share of the steps in which the rate rises.
        max_norm: of all gradients together.
    """

    kind: Literal["published", "adamw"] = "published"
    lr: float = 1e-4
    tower_factor: float = 1e-3
    query_factor: float = 100.0
    warmup: float = 0.1
    weight_decay: float = 0.2
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    max_norm: float = 1.0

    def __post_init__(self) -> None:
        _check_choice("optim.kind", self.kind, ("published", "adamw"))
        for name in ("lr", "tower_factor", "query_factor", "weight_decay", "eps", "max_norm"):
            _check_range(f"optim.{name}", getattr(self, name), 0, None)
        _check_range("optim.warmup", self.warmup, 0, 1)
        if len(self.betas) != 2:
            raise UsageError(
                f"`optim.betas` is {self.betas}", why="allowed: two numbers", fix="write e.g. `[0.9, 0.98]`"
            )
        for beta in self.betas:
            _check_range("optim.betas", beta, 0, 1)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A run's settings besides the model's; the defaults are those that SAVE was published with.

    Args:
        recipe: the name it began as.
        batch_size: pairs of a step, over all processes.
        chunk_size: pairs that are encoded at once; 0 is all. Saves memory, changes nothing else.
        distinct_clips: no clip comes twice in a batch, where its captions would be told apart from each other.
        frozen_audio_layers: of the audio encoder; -1 are all, and its tokens can be kept in a cache.
        frozen_stem: CLIP's embeddings and first norm stay as they are.
        frozen_layers: of each of CLIP's towers, from the input on.
        logit_scale: what it starts at; None keeps the model's.
        patience: epochs without a better one after which training ends; 0 never.
        patience_steps: the fewest steps that these epochs have together.
        precision: `auto` is what the device is fast in; weights and their updates are fp32 throughout.
        checkpointing: compute the towers' activations anew in the backward pass, for less memory.
        lora_rank: of the updates that the towers get instead of new weights; 0 trains the weights themselves.
    """

    recipe: str = "published"
    batch_size: int = 128
    chunk_size: int = 0
    num_epochs: int = 5
    seed: int = 0
    distinct_clips: bool = False
    frozen_audio_layers: int = -1
    frozen_stem: bool = True
    frozen_layers: int = 0
    logit_scale: float | None = None
    select: Selection = "val"
    measure: Measure = "R@1"
    patience: int = 0
    patience_steps: int = 0
    precision: RunPrecision = "auto"
    compile: bool = False
    checkpointing: bool = False
    lora_rank: int = 0
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        for name, lowest in (("batch_size", 1), ("num_epochs", 1), ("frozen_audio_layers", -1)):
            _check_range(name, getattr(self, name), lowest, None)
        for name in ("seed", "chunk_size", "patience", "patience_steps", "frozen_layers", "lora_rank"):
            _check_range(name, getattr(self, name), 0, None)
        if self.logit_scale is not None:
            _check_range("logit_scale", self.logit_scale, 0.01, 100)
        for name, kind in (("select", Selection), ("measure", Measure), ("precision", RunPrecision)):
            _check_choice(name, getattr(self, name), get_args(kind))


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A whole run, as `config.json` in its folder keeps it."""

    dataset: str
    train: TrainConfig
    model: ModelConfig


def with_settings(config: RunConfig, settings: Iterable[str]) -> RunConfig:
    """The config with some values changed.

    Args:
        settings: `optim.lr=5e-5`, `batch_size=64`, `model.inputs.num_frames=32`: a path to a field of `TrainConfig`, or
            behind `model.` of `ModelConfig`, and its value as JSON or plain text.

    Raises:
        UsageError: no such field (the nearest is named), or a value of another kind.
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"cannot read `--set {setting}`", why="it has no `=`", fix="write e.g. `optim.lr=5e-5`")
        names = path.strip().split(".")
        is_model = names[0] == "model"
        part: Any = config.model if is_model else config.train
        changed = _changed(part, names[1:] if is_model else names, text.strip(), path)
        config = replace(config, model=changed) if is_model else replace(config, train=changed)
    return config


def train_config_json(config: TrainConfig) -> dict[str, Any]:
    """What `config.json` holds of the settings; `train_config_from_json` is its inverse."""
    return asdict(config)


def train_config_from_json(held: dict[str, Any]) -> TrainConfig:
    """The settings that `train_config_json` wrote.

    Raises:
        UsageError: a field is unknown.
    """
    optim = dict(held["optim"])
    optim["betas"] = tuple(optim["betas"])
    rest = {name: value for name, value in held.items() if name != "optim"}
    try:
        return TrainConfig(**rest, optim=OptimConfig(**optim))
    except TypeError as error:
        raise UsageError("cannot read the run's config", why=str(error), fix="use the version that wrote it") from error


def _changed(part: Record, names: list[str], text: str, path: str) -> Record:
    known = {item.name for item in fields(part)} if is_dataclass(part) else set()
    name = names[0] if names else ""
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            f"there is no setting `{path}`",
            why=f"allowed at this place: {', '.join(sorted(known)) or 'nothing'}",
            fix=f"write `{path.removesuffix(name)}{near[0]}`" if near else "choose one of these",
        )
    old: Any = getattr(part, name)
    if len(names) > 1:
        new: Any = _changed(old, names[1:], text, path)
    elif is_dataclass(old):
        raise UsageError(f"`{path}` has parts", why="one of them must be named", fix=f"write `{path}.NAME=VALUE`")
    else:
        new = _read(text, old, path, get_type_hints(type(part))[name])
    return replace(part, **{name: new})  # type: ignore[type-var]


def _read(text: str, old: Any, path: str, hint: Any) -> Any:
    """The value, of the kind that the field's annotation allows."""
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    kinds = _kinds(hint)
    if float in kinds and type(value) is int:
        value = float(value)
    if tuple in kinds and isinstance(value, list):
        value = tuple(value)
    if type(value) not in kinds:
        names = " or ".join("null" if kind is NoneType else kind.__name__ for kind in kinds)
        fix = "write a list, e.g. `[0.9,0.98]`" if tuple in kinds else f"give a value of type {names}"
        raise UsageError(f"`{path}` cannot be `{text}`", why=f"it holds {old!r}", fix=fix)
    return value


def _kinds(hint: Any) -> tuple[type, ...]:
    """The plain types that an annotation allows."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return tuple(kind for part in get_args(hint) for kind in _kinds(part))
    if origin is Literal:
        return tuple({type(value) for value in get_args(hint)})
    return (origin or hint,)


def _check_range(name: str, value: float, low: float, high: float | None) -> None:
    if (
        not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value < low
        or (high is not None and value > high)
    ):
        allowed = f"{low} or more" if high is None else f"{low} to {high}"
        raise UsageError(f"`{name}` is {value!r}", why=f"allowed: {allowed}", fix="choose a value in this range")


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"`{name}` is `{value}`", why=f"allowed: {', '.join(allowed)}", fix="choose one of these")
