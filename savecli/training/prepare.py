"""Filling a cache: every clip decoded once, frozen networks run once, and a run that was killed goes on."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from savecli.core.errors import SaveError
from savecli.core.progress import NoProgress, Progress
from savecli.core.sizes import size
from savecli.datasets.base import Dataset
from savecli.datasets.locate import Located
from savecli.features.inputs import Transcriber
from savecli.model.audio import AudioBranch
from savecli.model.config import ModelConfig
from savecli.model.teachers import Teacher
from savecli.training.cache import cache_size
from savecli.training.cache_clip import ClipMaker, encoded
from savecli.training.cache_compact import compact, restore_all
from savecli.training.cache_keys import PartKey, PartKind, Stamps
from savecli.training.cache_parts import teacher_keys
from savecli.training.cache_plan import CachePlan, CacheRequest, plan_of
from savecli.training.cache_store import PartWriter, damaged_entries, make_part
from savecli.training.files import FileSource
from savecli.training.loader import ahead

_log = logging.getLogger(__name__)

_NO_PROGRESS = NoProgress()
# Clips whose sound is encoded together.
_ENCODED_TOGETHER = 8


@dataclass(frozen=True)
class CacheReport:
    """What was done.

    Args:
        failures: by clip id, why it cannot be read, now or in a run before.
        num_damaged: entries whose checksum was wrong; they have been made anew.
        num_kept: clips whose files have another time of change, and the same content: all is there.
        num_with_sound, num_with_speech: among the clips that were made now.
        num_unheard: clips whose speech is not kept, as they have no subtitles and nothing here recognises speech.
    """

    plan: CachePlan
    num_made: int
    num_kept: int
    num_with_sound: int
    num_with_speech: int
    failures: Mapping[str, str]
    num_damaged: int
    num_unheard: int


def prepare_cache(
    dataset: Dataset,
    located: Located,
    config: ModelConfig,
    folder: Path,
    *,
    audio_branch: AudioBranch | None = None,
    teacher: Teacher | None = None,
    teacher_name: str = "",
    teacher_fingerprint: str = "",
    speech: Mapping[str, str] | None = None,
    transcriber: Transcriber | None = None,
    retry_failed: bool = False,
    verify: bool = False,
    progress: Progress = _NO_PROGRESS,
    num_workers: int = 2,
) -> CacheReport:
    """Fill a cache with what a model of `config` needs of a dataset's clips; see `CacheRequest` and `prepare_request`.

    Raises:
        SaveError: as `prepare_request`.
    """
    request = CacheRequest(
        config,
        audio=audio_branch,
        speech=speech,
        transcriber=transcriber,
        teacher=teacher,
        teacher_name=teacher_name,
        teacher_fingerprint=teacher_fingerprint,
    )
    return prepare_request(
        dataset,
        located,
        request,
        folder,
        retry_failed=retry_failed,
        verify=verify,
        progress=progress,
        num_workers=num_workers,
    )


def prepare_request(
    dataset: Dataset,
    located: Located,
    request: CacheRequest,
    folder: Path,
    *,
    retry_failed: bool = False,
    verify: bool = False,
    progress: Progress = _NO_PROGRESS,
    num_workers: int = 2,
) -> CacheReport:
    """Fill a cache with what is asked for and not there yet.

    What is there stays, unless the content of its file has changed. A clip that cannot be read is remembered with the
    reason. A part that holds more of what counts no longer than of what counts is written anew without it.

    Args:
        retry_failed: also try clips again that could not be read before.
        verify: compare all checksums first, and make anew what is damaged.

    Raises:
        SaveError: the disk is full, another process fills the cache, or a model cannot be loaded.
    """
    with writing(folder):
        restore_all(folder)
        parts: dict[PartKind, PartWriter] = {}
        with ExitStack() as stack:
            for kind, key in request.keys.items():
                parts[kind] = stack.enter_context(PartWriter(make_part(folder, key.name, key.settings)))
                if kind == "teacher":
                    _remove_replaced(folder, key)
            num_damaged = _drop_damaged(parts.values()) if verify else 0
            plan = plan_of(dataset, located, request, parts, retry_failed=retry_failed)
            _check_space(folder, plan, request.config)
            report = _fill(plan, located, request, parts, num_damaged, progress, num_workers)
        for part in parts.values():
            compact(part.folder)
        return report


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the cache's write lock, which is the operating system's and ends with its process.

    Raises:
        SaveError: somebody else holds it, or the folder cannot be made.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "write.lock", blocking=False)
        lock.acquire()
    except Timeout as error:
        raise SaveError(
            f"the cache {folder} is busy",
            why="another `save` is filling it",
            fix="wait until it is done, then run the same command again; reading from it is possible meanwhile",
        ) from error
    except OSError as error:
        why = f"{folder}: {(error.strerror or str(error)).lower()}"
        raise SaveError("the cache cannot be written", why=why, fix="choose another place with `--cache`") from error
    try:
        yield
    finally:
        lock.release()


def _check_space(folder: Path, plan: CachePlan, config: ModelConfig) -> None:
    """Refuse what is certain not to fit: frames of new clips. Of sound it is not known how much there is."""
    num_new = sum("frames" in missing for _, missing in plan.todo) - plan.num_changed
    least = cache_size(num_new, config, with_tokens=False).frames
    free = shutil.disk_usage(folder).free
    if least > free:
        raise SaveError(
            "the disk has no room for the cache",
            why=f"{folder}: frames alone need about {size(least)}, {size(free)} are free",
            fix="free some space, or choose another disk with `--cache`",
        )


def _remove_replaced(folder: Path, key: PartKey) -> None:
    """Remove what a teacher of this name said with weights or files that have been replaced since."""
    for other in teacher_keys(folder):
        if other.settings["teacher"] == key.settings["teacher"] and other.name != key.name:
            _log.info("%s: vectors of `%s` as it was before are removed", folder, key.settings["teacher"])
            shutil.rmtree(folder / other.name, ignore_errors=True)


def _drop_damaged(parts: Iterable[PartWriter]) -> int:
    num_damaged = 0
    for part in parts:
        for name in damaged_entries(part):
            part.drop(name)
            num_damaged += 1
    return num_damaged


def _fill(
    plan: CachePlan,
    located: Located,
    request: CacheRequest,
    parts: Mapping[PartKind, PartWriter],
    num_damaged: int,
    progress: Progress,
    num_workers: int,
) -> CacheReport:
    files = FileSource(
        located.paths,
        request.config,
        speech=request.speech,
        teacher=request.teacher,
        transcriber=request.listener if "speech" in request.keys else None,
    )
    failures = dict(plan.failed_before)
    num_made = num_kept = num_sound = num_speech = num_unheard = 0
    progress.start(len(plan.todo), unit="clips", title="Preparing")
    maker = ClipMaker(files, Stamps(located.paths), parts)
    read = ahead(maker.made, plan.todo, num_threads=num_workers)
    together = _ENCODED_TOGETHER if request.audio is not None else 1
    while chunk := list(islice(read, together)):
        for made in encoded(chunk, request.audio):
            name, path = made.clip.clip_id, located.paths[made.clip.clip_id]
            if made.failure:
                failures[name] = made.failure
                progress.skip(path, made.failure)
            if made.is_broken:
                parts["frames"].fail(name, made.stamps["frames"], made.failure)
            for kind in made.kept:
                parts[kind].restamp(name, made.stamps[kind])
            for kind, arrays in made.arrays.items():
                parts[kind].add(name, made.stamps[kind], arrays)
            num_made += bool(made.arrays)
            num_kept += bool(made.kept and not made.arrays)
            num_sound += made.sound is not None
            num_speech += bool(made.arrays.get("speech"))
            num_unheard += made.is_unheard
            progress.advance(1)
    return CacheReport(plan, num_made, num_kept, num_sound, num_speech, failures, num_damaged, num_unheard)
