"""Where the weights of a CLIP model are, and how they get here. For the known pairs this loads no library."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from savecli.core.errors import UsageError, WeightsError
from savecli.core.progress import NoProgress, Progress
from savecli.model.clip_config import CONFIG_FILE, ClipConfig, clip_config, clip_fingerprint
from savecli.model.clip_spec import ClipSpec, known_clip
from savecli.model.hub import Hub

WEIGHTS_FILE = "open_clip_model.safetensors"
# What open_clip's own exports are called, best first.
_FOLDER_WEIGHTS = (
    WEIGHTS_FILE,
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
)
_WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_NO_PROGRESS = NoProgress()


@dataclass(frozen=True)
class ClipSource:
    """A CLIP model that can be had.

    Args:
        weights: the local file, or None while it is still on the hub.
        repo: hub repository, "" for local weights.
        filenames: what to ask the repository for, best first.
        download_bytes: about how much a download is, 0 when none is needed or the size is unknown.
    """

    spec: ClipSpec
    config: ClipConfig
    weights: Path | None
    repo: str = ""
    filenames: tuple[str, ...] = ()
    download_bytes: int = 0

    @cached_property
    def fingerprint(self) -> str:
        """See `clip_fingerprint`; the weights must be here. Read once, then kept."""
        if self.weights is None:
            raise ValueError(f"the weights of {self.spec.name} are not here yet")
        return clip_fingerprint(self.config, self.weights)


def find_clip(spec: ClipSpec, hub: Hub) -> ClipSource:
    """The model and where its weights are; downloads nothing and asks no network.

    Raises:
        UsageError: open_clip knows no such model.
        WeightsError: a local file or folder is not there, or holds no weights.
    """
    if spec.path is not None:
        return ClipSource(spec, clip_config(spec), _local_weights(spec))
    config = clip_config(spec)
    known = known_clip(spec)
    repo, filenames = (known.repo, (WEIGHTS_FILE,)) if known else _registry_files(spec)
    for filename in filenames:
        if weights := hub.cached(repo, filename):
            return ClipSource(spec, config, weights, repo, filenames)
    return ClipSource(spec, config, None, repo, filenames, known.size_bytes if known else 0)


def fetch_clip(source: ClipSource, hub: Hub, progress: Progress = _NO_PROGRESS) -> ClipSource:
    """The same model with its weights on this machine.

    Raises:
        WeightsError: they cannot be downloaded.
    """
    if source.weights is not None:
        return source
    return replace(source, weights=_download(source, hub, None, progress), download_bytes=0)


def export_clip(source: ClipSource, folder: Path, hub: Hub, progress: Progress = _NO_PROGRESS) -> ClipSource:
    """The model as a folder that stands by itself: `clip:FOLDER` on any machine, equal in fingerprint.

    Raises:
        WeightsError: the weights cannot be had, or the model also needs a tokenizer from the hub.
    """
    if source.config.needs_hub_tokenizer:
        raise WeightsError(
            f"{source.spec.name} cannot be put into a folder",
            why="its tokenizer lies on the hub besides its weights",
            fix="copy the hub's cache folder (`HF_HOME`), or choose a model with CLIP's own tokenizer",
        )
    if not source.repo:
        raise UsageError(
            f"{source.spec.name} is a local model", why="there is nothing to download", fix="copy it as it is"
        )
    folder.mkdir(parents=True, exist_ok=True)
    weights = _download(source, hub, folder, progress)
    text = json.dumps(source.config.folder_config(), indent=2, sort_keys=True)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    return ClipSource(ClipSpec("", path=folder.absolute()), source.config, weights)


def _download(source: ClipSource, hub: Hub, folder: Path | None, progress: Progress) -> Path:
    failure: WeightsError | None = None
    for filename in source.filenames:
        try:
            return hub.download(source.repo, filename, folder=folder, progress=progress)
        except WeightsError as error:
            failure = failure or error  # the first name is the one to tell of
    assert failure is not None
    raise failure


def _registry_files(spec: ClipSpec) -> tuple[str, tuple[str, ...]]:
    """Repository and file names of a pair outside our table, from open_clip's registry; loads open_clip."""
    import open_clip

    place = str(open_clip.get_pretrained_cfg(spec.architecture, spec.pretrained).get("hf_hub", ""))
    repo, _, filename = place.rpartition("/")
    if not repo:
        raise WeightsError(
            f"{spec.name} is not on the hub",
            why="its weights are offered by address only",
            fix=f"download them and write `{spec.name}=FILE`",
        )
    if not filename:
        return repo, (WEIGHTS_FILE, "open_clip_pytorch_model.bin")
    stem, dot, suffix = filename.rpartition(".")
    return repo, (filename,) if suffix == "safetensors" else (f"{stem}{dot}safetensors", filename)


def _local_weights(spec: ClipSpec) -> Path:
    path = spec.path
    assert path is not None
    if not path.exists():
        raise WeightsError(
            f"no CLIP weights at {path}", why="nothing is there", fix="check the path, or plug the drive in"
        )
    if not spec.architecture:
        return _weights_in(path)
    if path.is_dir():
        raise UsageError(
            f"`{spec.name}` names a folder", why="MODEL= goes with a weights file", fix=f"write `clip:{path}`"
        )
    if path.suffix not in _WEIGHT_SUFFIXES:
        raise WeightsError(
            f"cannot load {path}",
            why=f"it ends in `{path.suffix}`; allowed: {', '.join(_WEIGHT_SUFFIXES)}",
            fix="name another",
        )
    return path


def _weights_in(folder: Path) -> Path:
    for name in _FOLDER_WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    found = sorted(path for path in folder.iterdir() if path.suffix in _WEIGHT_SUFFIXES)
    if len(found) == 1:
        return found[0]
    raise WeightsError(
        f"no CLIP weights in {folder}",
        why=f"found {', '.join(path.name for path in found) or 'none'}; expected {WEIGHTS_FILE}",
        fix="copy the folder again, or name the file: `clip:MODEL=FILE`",
    )
