"""A model by whatever a person calls it.

Spellings:
    FOLDER            what training or `save models import` wrote: a checkpoint, a run with `best/` in it, or a CLIP
    NAME              of an imported model
    tiny-world        the small model that comes with the package
    clip:…            a CLIP as it is, zero-shot; spelled as in `clip_spec.py`
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import cast

import torch

from savecli.core.errors import UsageError, WeightsError
from savecli.core.progress import NoProgress, Progress
from savecli.model.build import build_model
from savecli.model.checkpoint import CONFIG, WEIGHTS, Checkpoint, load_checkpoint
from savecli.model.clip_config import CONFIG_FILE
from savecli.model.clip_model import Unfilled
from savecli.model.clip_spec import parse_clip_spec
from savecli.model.clip_weights import fetch_clip, find_clip
from savecli.model.hub import Hub
from savecli.model.importing import read_state
from savecli.model.initial import fill_towers
from savecli.model.presets import clip4clip_meanp

TINY_WORLD = "tiny-world"
# Where a run keeps its best checkpoint.
_BEST = "best"
# What tells a folder that holds a run for each of several seeds.
SEEDS = "seeds.json"
_NO_PROGRESS = NoProgress()


def open_checkpoint(
    spec: str,
    *,
    hub: Hub,
    device: torch.device | str = "cpu",
    imported: Path | None = None,
    progress: Progress = _NO_PROGRESS,
) -> Checkpoint:
    """The model that `spec` names, in evaluation mode.

    Args:
        imported: folder of imported models, one folder each.
        progress: of a download.

    Raises:
        UsageError: no such model; names that come near are told.
        WeightsError: its weights cannot be had, are damaged, or are no model of the family.
    """
    if spec == "clip" or spec.startswith("clip:"):
        return _zero_shot_clip(spec, hub, device, progress)
    if spec == TINY_WORLD:
        progress.note(f"{TINY_WORLD} knows the drawn world only: of real videos it understands nothing.")
    folder = checkpoint_folder(spec, imported=imported)
    if (folder / CONFIG_FILE).is_file():
        return _zero_shot_clip(f"clip:{folder.absolute()}", hub, device, progress)
    return load_checkpoint(folder, device=device)


def checkpoint_folder(spec: str, *, imported: Path | None = None) -> Path:
    """The folder that `spec` names, of a run that of its best checkpoint. A name comes before a folder that is here.

    Raises:
        UsageError, WeightsError: there is none.
    """
    if spec == TINY_WORLD:
        return _tiny_world()
    path = Path(spec).expanduser()
    is_name = path.name == spec and spec not in (".", "..")
    if is_name and imported is not None and (imported / spec).is_dir():
        return imported / spec
    if path.is_file():
        raise UsageError(
            f"{spec} is a file",
            why="a checkpoint is a folder",
            fix=f"`save models import {spec} --as NAME` makes one of an authors' file",
        )
    if not path.is_dir():
        raise _no_such_model(spec, path, imported, is_name=is_name)
    refuse_several(path)
    if (path / _BEST / CONFIG).is_file():
        return path / _BEST
    if (path / CONFIG).is_file() and not (path / WEIGHTS).is_file():
        raise WeightsError(
            f"{spec} has no checkpoint yet",
            why=f"neither {_BEST}/ nor {WEIGHTS} is in it",
            fix="a run writes its first when an epoch is done; copy the folder again if it is a model's",
        )
    return path


def refuse_several(folder: Path) -> None:
    """Refuse a folder of `save train --seeds` where a single run is asked for.

    Raises:
        UsageError: it is one; a run in it is named.
    """
    if (folder / SEEDS).is_file():
        run = min(folder.glob("seed[0-9]*"), default=folder / "seed0")
        raise UsageError(f"{folder} holds runs of several seeds", why="one is asked for", fix=f"name one: `{run}`")


def _zero_shot_clip(spec: str, hub: Hub, device: torch.device | str, progress: Progress) -> Checkpoint:
    """A CLIP that nothing was added to: the mean of its frames, as `clip4clip-meanp` begins."""
    asked = parse_clip_spec(spec)
    source = fetch_clip(find_clip(asked, hub), hub, progress)
    config = replace(clip4clip_meanp(source.config), name=asked.name)
    with Unfilled():
        model = build_model(config)
    try:
        fill_towers(model, clip=read_state(cast(Path, source.weights)))
    except RuntimeError as error:
        raise WeightsError(
            f"the weights of {asked.name} do not fit its config",
            why=" ".join(line.strip() for line in str(error).splitlines()[:2])[:300],
            fix="name the right architecture: `clip:MODEL=FILE`; or fetch the file again",
        ) from error
    return Checkpoint(model.to(device).eval(), config)


def _tiny_world() -> Path:
    folder = Path(str(resources.files("savecli.model") / "tiny_world"))
    if not (folder / CONFIG).is_file():
        raise WeightsError(
            f"`{TINY_WORLD}` did not come with this installation",
            why=f"there is no {folder / CONFIG}",
            fix="install savecli again, or train one: `save train --dataset synthetic`",
        )
    return folder


def _no_such_model(spec: str, path: Path, imported: Path | None, *, is_name: bool) -> UsageError:
    names = [TINY_WORLD, *_folders_in(imported)]
    beside = _folders_in(path.parent)
    near = difflib.get_close_matches(spec, names, n=3) if is_name else []
    near += [str(path.with_name(name)) for name in difflib.get_close_matches(path.name, beside, n=3)]
    what = "there is no folder and no imported model of this name" if is_name else "there is no such folder"
    fix = f"did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else "`save models` lists what is here"
    return UsageError(
        f"no model `{spec}`",
        why=what,
        fix=f"{fix} Also: a folder that training wrote, `{TINY_WORLD}`, or `clip:MODEL/PRETRAINED`",
    )


def _folders_in(folder: Path | None) -> Sequence[str]:
    if folder is None or not folder.is_dir():
        return ()
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
