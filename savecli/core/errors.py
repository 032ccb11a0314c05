"""Errors a person can act on: each says what happened, why, and what to do about it."""

from __future__ import annotations

import errno


class SaveError(Exception):
    """Something failed that the user can understand and mend; ends a command with exit code 1.

    Args:
        what: what failed, in one line, without a full stop.
        why: the cause, with the value seen and the values allowed.
        fix: what to do now, with the command where there is one.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return ": ".join(part for part in (self.what, self.why) if part)


def is_disk_full(error: OSError) -> bool:
    """Whether a write failed for want of space: a full disk, a quota, or a limit on the size of files."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UsageError(SaveError):
    """The command was called wrongly: exit code 2."""

    exit_code = 2


class MediaError(SaveError):
    """A file that cannot be read as video; an index run skips it with this as the reason."""


class WeightsError(SaveError):
    """Model weights that are neither here nor to be had."""
