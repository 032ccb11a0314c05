"""The model hub: what of it is on this machine, whether it can be reached, and fetching from it."""

from __future__ import annotations

import os
import shutil
import threading
import urllib.error
import urllib.request
from functools import cached_property
from pathlib import Path
from typing import Any

from savecli.core.errors import WeightsError
from savecli.core.progress import NoProgress, Progress

DEFAULT_ENDPOINT = "https://huggingface.co"
# The whole answer, name lookup included; a person waits for it before every first run.
DEADLINE_S = 2.5
# Where a download into a folder grows until it is whole.
PART_FOLDER = ".save-download"
_NO_PROGRESS = NoProgress()


class Hub:
    """The hub as one run sees it: pass one around, so that it is asked at most once.

    Args:
        offline: never use the network, as `--offline` and `HF_HUB_OFFLINE=1` ask.
        endpoint: base address; None takes `HF_ENDPOINT`, else huggingface.co.
        cache_dir: where fetched files lie; None takes the hub library's own (`HF_HOME`, `HF_HUB_CACHE`).
    """

    def __init__(self, *, offline: bool = False, endpoint: str | None = None, cache_dir: Path | None = None) -> None:
        self.offline = offline
        self.endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
        self.cache_dir = cache_dir
        self._offline_variable = _truth(os.environ.get("HF_HUB_OFFLINE"))

    @property
    def reachable(self) -> bool:
        """Whether files can be fetched; the first call takes up to 3 seconds, later ones nothing."""
        return not self.obstacle

    @cached_property
    def obstacle(self) -> str:
        """Why the hub cannot be used, for people; "" when it can."""
        if self.offline:
            return "--offline forbids downloads"
        if self._offline_variable:
            return "HF_HUB_OFFLINE forbids downloads"
        return _obstacle_to(self.endpoint)

    def cached(self, repo: str, filename: str) -> Path | None:
        """Where the hub's cache holds a file of `repo`, or None; asks no network."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(repo, filename, cache_dir=self.cache_dir)
        return Path(found) if isinstance(found, str) else None

    def download(
        self, repo: str, filename: str, *, folder: Path | None = None, progress: Progress = _NO_PROGRESS
    ) -> Path:
        """Path of a file of `repo`, fetched into the cache, or into `folder` as a plain copy; resumes what was cut off.

        `progress` counts bytes.

        Raises:
            WeightsError: the hub cannot be used, has no such file, or the disk is full.
        """
        cached = self.cached(repo, filename)
        if cached is None and self.obstacle:
            raise WeightsError(f"cannot download {repo}", why=self.obstacle, fix=_by_hand())
        if folder is None:
            return cached or self._fetch(repo, filename, None, progress)
        # In a folder of our own inside the user's: the library leaves notes beside what it fetches, or half a file.
        part = folder / PART_FOLDER
        part.mkdir(parents=True, exist_ok=True)
        whole = shutil.copyfile(cached, part / filename) if cached else self._fetch(repo, filename, part, progress)
        path = Path(whole).replace(folder / filename)
        shutil.rmtree(part)
        return path

    def _fetch(self, repo: str, filename: str, folder: Path | None, progress: Progress) -> Path:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )

        try:
            path = hf_hub_download(
                repo,
                filename,
                endpoint=self.endpoint,
                cache_dir=self.cache_dir,
                local_dir=folder,
                tqdm_class=_byte_bar(progress, title=f"{repo}/{filename}"),
            )
        except GatedRepoError as error:
            why = "its owner asks for an account and consent"
            raise WeightsError(
                f"cannot download {repo}", why=why, fix=f"{self.endpoint}/{repo}, then `hf auth login`"
            ) from error
        except LocalEntryNotFoundError as error:  # a kind of the next one, but means a line that broke
            raise _broken_line(repo, error.__cause__ or error) from error
        except (RepositoryNotFoundError, EntryNotFoundError) as error:
            why = f"{self.endpoint} has no {repo}/{filename}"
            raise WeightsError(f"cannot download {repo}", why=why, fix="`save models` lists what can be had") from error
        except Exception as error:
            # Every kind of broken line has its own exception type, and the types change with the library's version.
            raise _broken_line(repo, error) from error
        return Path(path)


def _broken_line(repo: str, error: BaseException) -> WeightsError:
    why = f"{type(error).__name__}: {error}".splitlines()[0]
    return WeightsError(f"cannot download {repo}", why=why, fix=f"try again, it resumes; or {_by_hand()}")


def _by_hand() -> str:
    return "`save models pull NAME --dir FOLDER` where there is a connection, then copy the folder here"


def _truth(value: str | None) -> bool:
    """Whether an environment variable says yes, as the hub library reads it."""
    return (value or "").upper() in {"1", "ON", "YES", "TRUE"}


def _obstacle_to(endpoint: str) -> str:
    """Why `endpoint` does not answer, or "". Within `DEADLINE_S` whatever hangs.

    Timeouts of sockets do not cover name lookups, so the asking is left behind in a daemon thread when time is up.
    """
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(_ask(endpoint)), name="hub-reachable", daemon=True)
    asking.start()
    asking.join(DEADLINE_S)
    return answers[0] if answers else f"{endpoint} did not answer within {DEADLINE_S:g} seconds"


def _ask(endpoint: str) -> str:
    """One HEAD request through the user's proxies; any answer counts, except a refusal to let us through."""
    try:
        request = urllib.request.Request(endpoint, method="HEAD", headers={"User-Agent": "savecli"})
        with urllib.request.urlopen(request, timeout=DEADLINE_S):
            return ""
    except urllib.error.HTTPError as error:
        # A mirror's root may be a 404 and fine; these are walls: proxy login, filter, outage.
        return (
            f"{endpoint} answers {error.code} {error.reason}"
            if error.code in (403, 407, 451) or error.code >= 500
            else ""
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return f"{endpoint} cannot be reached: {reason}"


def _byte_bar(progress: Progress, *, title: str) -> type[Any]:
    """A tqdm class for the hub library that draws nothing and tells `progress` of the bytes."""
    from tqdm.std import tqdm

    class ByteBar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, total: float | None = None, initial: float = 0, **kwargs: Any) -> None:
            super().__init__(disable=True, total=total, initial=initial)
            progress.start(total or 0, unit="bytes", title=title)
            progress.advance(initial)

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            progress.advance(n or 0)

        def update_transfer(self, n: float) -> None:
            """Bytes on the line; having this method keeps the library from opening a second bar for them."""

    return ByteBar
