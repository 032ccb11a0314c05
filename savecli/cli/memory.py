"""Settings of the process's memory that only the C library takes."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1  # of glibc's malloc.h
_TRIM_BYTES = 1 << 16


def return_freed_memory() -> None:
    """Have the C library give freed memory back to the system at once; does nothing where it is not glibc.

    Frames come and go by the thousand, and glibc would keep the room of the most it ever saw: about 100 MB here.
    """
    try:
        ctypes.CDLL(None).mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
    except (AttributeError, OSError, TypeError):
        return
