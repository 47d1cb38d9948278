"""Which cores the process may use: one, but where a workload is about threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_can_pin = hasattr(os, "sched_setaffinity")
ALL = os.sched_getaffinity(0) if _can_pin else set()


def pin() -> str:
    """Keep the process (and every thread pool that a library is about to start) on one core; say which."""
    if not _can_pin:
        return f"not pinned, {os.cpu_count()} cores"
    core = max(ALL)
    os.sched_setaffinity(0, {core})
    return f"pinned to core {core} of {os.cpu_count()}"


@contextmanager
def all_cores() -> Iterator[None]:
    """Every core that the process began with."""
    if not _can_pin:
        yield
        return
    pinned = os.sched_getaffinity(0)
    os.sched_setaffinity(0, ALL)
    try:
        yield
    finally:
        os.sched_setaffinity(0, pinned)
