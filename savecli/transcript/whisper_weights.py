"""Whisper's weights: which there are, whether they are on this machine, and fetching them.

Light: nothing here imports a recogniser, so `save models` and `save doctor` can ask at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from savecli.core.errors import UsageError, WeightsError
from savecli.core.progress import NoProgress, Progress

_NO_PROGRESS = NoProgress()
_NAME_PREFIX = "whisper-"
# What faster-whisper reads; `vocabulary` is .txt or .json, and older models have no preprocessor_config.json.
_NEEDED_FILES = ("config.json", "model.bin", "tokenizer.json")
_WANTED_FILES = (*_NEEDED_FILES, "preprocessor_config.json", "vocabulary.*")


@dataclass(frozen=True)
class WhisperModel:
    """A published size of Whisper in CTranslate2 form."""

    repo: str
    size_bytes: int
    purpose: str


def _systran(size: str, size_mb: int, purpose: str) -> WhisperModel:
    return WhisperModel(f"Systran/faster-whisper-{size}", size_mb * 1_000_000, purpose)


WHISPER_MODELS: Mapping[str, WhisperModel] = MappingProxyType(
    {
        "tiny": _systran("tiny", 78, "speech, any language: fastest, many errors"),
        "tiny.en": _systran("tiny.en", 78, "speech, English only: fastest"),
        "base": _systran("base", 148, "speech, any language: 20 times faster than it is spoken, on one core"),
        "base.en": _systran("base.en", 148, "speech, English only"),
        "small": _systran("small", 486, "speech, any language: better names and accents, 8 times faster than spoken"),
        "small.en": _systran("small.en", 486, "speech, English only: better names and accents"),
        "medium": _systran("medium", 1_530, "speech, any language: for a GPU or patience"),
        "large-v3": _systran("large-v3", 3_090, "speech, any language: best, for a GPU"),
        "distil-large-v3": WhisperModel(
            "Systran/faster-distil-whisper-large-v3", 1_515_000_000, "speech, English: near the best, for a GPU"
        ),
        "turbo": WhisperModel(
            "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
            1_620_000_000,
            "speech, any language: near the best, for a GPU",
        ),
    }
)


def whisper_size(name: str) -> str:
    """`base` for `base` and `whisper-base`.

    Raises:
        UsageError: there is no such size.
    """
    size = name.removeprefix(_NAME_PREFIX)
    if size not in WHISPER_MODELS:
        raise UsageError(
            f"no Whisper model `{name}`",
            why=f"there is no such folder, and the sizes are: {', '.join(WHISPER_MODELS)}",
            fix="name one of these, or a folder that holds a model in CTranslate2 format",
        )
    return size


def whisper_folder(name: str) -> Path | None:
    """The folder that `name` means, or None for the name of a size, even where a folder happens to be called so."""
    folder = Path(name).expanduser()
    return folder if name.removeprefix(_NAME_PREFIX) not in WHISPER_MODELS and folder.is_dir() else None


def find_whisper(name: str) -> Path | None:
    """Folder with complete weights for a size (`base`, `whisper-base`) or for a folder's path; None when not here.

    Raises:
        UsageError: `name` is neither a known size nor a folder.
    """
    folder = whisper_folder(name)
    if folder is not None:
        return folder if _is_complete(folder) else None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(WHISPER_MODELS[whisper_size(name)].repo, "model.bin")
    return Path(cached).parent if isinstance(cached, str) and _is_complete(Path(cached).parent) else None


def download_whisper(name: str, *, directory: Path | None = None, progress: Progress = _NO_PROGRESS) -> Path:
    """Folder with the weights, fetched into the hub's cache or as plain files into `directory`; resumes what is there.

    `progress` counts bytes.

    Raises:
        UsageError: there is no such size.
        WeightsError: the hub cannot be reached, or the disk is full.
    """
    size = whisper_size(name)
    model = WHISPER_MODELS[size]
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(
                model.repo,
                allow_patterns=list(_WANTED_FILES),
                local_dir=directory,
                tqdm_class=_byte_bar(progress, title=f"whisper {size}", total=model.size_bytes),
            )
        )
    except Exception as error:
        # The library raises its own, its HTTP client's and the system's errors, and other ones in other versions.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"cannot download Whisper {size}", why=reason, fix=f"try again: `save models pull {_NAME_PREFIX}{size}`"
        ) from error
    if not _is_complete(folder):
        raise WeightsError(
            f"the weights of Whisper {size} are incomplete",
            why=f"{folder} lacks {', '.join(_missing(folder))}",
            fix=f"`save models pull {_NAME_PREFIX}{size}` again",
        )
    return folder


def _is_complete(folder: Path) -> bool:
    return not _missing(folder)


def _missing(folder: Path) -> list[str]:
    missing = [name for name in _NEEDED_FILES if not (folder / name).is_file()]
    return missing if any(folder.glob("vocabulary.*")) else [*missing, "vocabulary.json"]


def _byte_bar(progress: Progress, *, title: str, total: int) -> type[Any]:
    """A tqdm class for the hub library that draws nothing and tells `progress` of the bytes.

    Depending on its version the library opens one or two bars of bytes (received and written) and one of files;
    `progress` follows the byte bar that is ahead.
    """
    from tqdm.std import tqdm

    done = 0.0
    progress.start(total, unit="bytes", title=title)

    class ByteBar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._counts_bytes = kwargs.get("unit") == "B"
            self._own = float(kwargs.get("initial") or 0)
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            nonlocal done
            self._own += n or 0
            if self._counts_bytes and self._own > done:
                progress.advance(self._own - done)
                done = self._own

    return ByteBar
