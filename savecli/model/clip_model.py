"""Building an open_clip model and its two branches."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from savecli.core.errors import UsageError, WeightsError
from savecli.model.clip_checkpoint import load_weights
from savecli.model.clip_config import ClipConfig
from savecli.model.clip_weights import ClipSource
from savecli.model.hub import Hub
from savecli.model.precision import Precision, cast_weights
from savecli.model.text import TextBranch, Tokenizer
from savecli.model.vision import VisionBranch


@dataclass(frozen=True)
class ClipModel:
    """Both branches of a CLIP, in evaluation mode, on `device`."""

    vision: VisionBranch
    text: TextBranch
    device: torch.device
    precision: Precision


def load_clip(source: ClipSource, *, device: torch.device, precision: Precision, hub: Hub | None = None) -> ClipModel:
    """The model of `source`, whose weights are on this machine.

    Some towers from outside open_clip also have a tokenizer or settings on the hub; None forbids fetching these.

    Raises:
        WeightsError: the file is damaged, holds another architecture, or asks for unsafe unpickling.
    """
    model = _loaded(source, device, precision, leave_out="", hub=hub)
    vision = VisionBranch(cast(nn.Module, model.visual))
    del model.visual  # the text branch keeps the rest
    return ClipModel(vision, TextBranch(model, build_tokenizer(source, hub)), device, precision)


def load_text_branch(
    source: ClipSource, *, device: torch.device, precision: Precision, hub: Hub | None = None
) -> TextBranch:
    """The text half of the model, without the time and memory of the vision half. Raises as `load_clip`."""
    model = _loaded(source, device, precision, leave_out="visual.", hub=hub)
    del model.visual
    return TextBranch(model, build_tokenizer(source, hub))


def build_clip(source: ClipSource) -> nn.Module:
    """The architecture of `source` in fp32 on the CPU, its weights still random."""
    import open_clip

    with _quiet():
        model = open_clip.create_model(
            _open_clip_name(source),
            load_weights=False,
            pretrained_text=False,  # the whole model's weights follow: do not fetch a tower's from the hub
            force_quick_gelu=source.config.quick_gelu,
        )
    return cast(nn.Module, model)


def build_towers(config: ClipConfig) -> nn.Module:
    """A CLIP with random weights, from its config alone.

    Raises:
        UsageError: the towers are not those of a plain CLIP, whose text tower reads tokens one after the other.
    """
    from open_clip.model import CLIP

    settings = dict(config.model)
    if settings.pop("custom_text", False) or config.needs_hub_settings or "multimodal_cfg" in settings:
        raise UsageError(
            "this CLIP cannot be the base of a model of the SAVE family",
            why="its text tower is not CLIP's own, which speech is read with",
            fix="choose another, e.g. ViT-B-32 or ViT-B-16",
        )
    with _quiet():
        return cast(nn.Module, CLIP(**settings))


def build_tokenizer(source: ClipSource, hub: Hub | None = None) -> Tokenizer:
    """What cuts texts into the model's tokens; asks `hub` only for a tokenizer that lies there and is not here yet.

    Raises:
        WeightsError: the tokenizer cannot be had.
    """
    import open_clip

    name = _open_clip_name(source)
    if not source.config.needs_hub_tokenizer:
        return cast(Tokenizer, open_clip.get_tokenizer(name))
    try:
        try:
            return cast(Tokenizer, open_clip.get_tokenizer(name, local_files_only=True))
        except OSError:
            if hub is None or not hub.reachable:
                raise
            return cast(Tokenizer, open_clip.get_tokenizer(name))
    except (OSError, ImportError) as error:
        raise WeightsError(
            f"cannot load the tokenizer of {source.spec.name}",
            why=str(error).strip().splitlines()[0],
            fix="pip install transformers, and run once with a connection; or choose a model with CLIP's own tokenizer",
        ) from error


def _loaded(
    source: ClipSource, device: torch.device, precision: Precision, *, leave_out: str, hub: Hub | None
) -> nn.Module:
    """The whole model; parameters whose names begin with `leave_out` may hold anything.

    Cast before loading, so that numbers go from the file to their last form and fp32 is never held whole.
    """
    if source.config.needs_hub_settings and (hub is None or not hub.reachable):
        raise WeightsError(
            f"cannot build {source.spec.name}",
            why=f"its text tower is described on the hub; {hub.obstacle if hub else 'the hub was not to be asked'}",
            fix="go online, or choose a model whose text tower is open_clip's own",
        )
    with Unfilled():
        model = build_clip(source)
    cast_weights(model, precision)
    load_weights(model, cast(Path, source.weights), name=source.spec.name, leave_out=leave_out)
    return model.to(device).eval()


class Unfilled(TorchFunctionMode):
    """New parameters stay as allocated, since a checkpoint replaces all of them.

    Filling ViT-B/32 with random numbers takes a second and 600 MB, memory that is never touched takes neither.
    """

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        if func in (torch.Tensor.normal_, torch.Tensor.uniform_):
            return args[0]
        return func(*args, **kwargs)


def _open_clip_name(source: ClipSource) -> str:
    return source.spec.architecture or f"local-dir:{source.spec.path}"


@contextmanager
def _quiet() -> Iterator[None]:
    """open_clip logs to the root logger, which sets up logging for the whole process, and warns of what we decided."""
    root, handler = logging.getLogger(), logging.NullHandler()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
