"""What `save data prepare` says on stderr: before it begins, and when it is done."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from savecli.cli.render import count, some_names
from savecli.core.sizes import size

if TYPE_CHECKING:
    from savecli.training.cache_plan import CachePlan, CacheRequest
    from savecli.training.prepare import CacheReport
    from savecli.training.session import OpenData


def plan_line(plan: CachePlan, opened: OpenData, request: CacheRequest, folder: Path) -> str:
    """How much there is to do, how much room it takes, how much there is."""
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    counts = _counts(
        f"{count(len(plan.todo), 'clip')} to prepare",
        (plan.num_changed, "of them as their files have changed since"),
        (plan.num_there, "there"),
        (len(plan.failed_before), "failed before"),
        (num_missing(opened), "without a file"),
    )
    sound = "tokens of the frozen encoder" if request.audio is not None else "filter banks"
    parts = [f"frames {size(plan.size.frames)}"]
    parts += [f"{sound} {size(plan.size.sound)}"] if plan.size.sound else []
    parts += [f"teacher {size(plan.size.teacher)}"] if plan.size.teacher else []
    space = f"at most about {size(plan.size.total)} ({', '.join(parts)}), {size(shutil.disk_usage(place).free)} free"
    return f"Plan: {counts} · {space} · for `{request.config.name}`"


def summary(report: CacheReport, opened: OpenData) -> str:
    """`9 000 clips prepared, 12 were there, 3 cannot be read.`"""
    counts = _counts(
        f"{count(report.num_made, 'clip')} prepared",
        (report.plan.num_there, "were there"),
        (report.num_kept, "were there, as only the time of their files is another"),
        (report.num_damaged, "damaged entries made anew"),
        (report.num_unheard, "with sound that nothing here recognises speech in"),
        (report.plan.num_untaught, "unknown to the teacher"),
        (len(report.failures), "cannot be read"),
        (num_missing(opened), "without a file"),
    )
    if not report.plan.failed_before:
        return f"{counts}."
    return f"{counts}. Not tried again (--retry-failed does): {some_names(list(report.plan.failed_before))}."


def _counts(first: str, *kinds: tuple[int, str]) -> str:
    return ", ".join([first, *(f"{number} {kind}" for number, kind in kinds if number)])


def num_missing(opened: OpenData) -> int:
    """Clips of all splits whose files are not there."""
    return sum(opened.num_missing.values())
