"""Keeps the daemon to a few of the machine's cores, so that a game beside it has the others."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from bridge.config import Settings


def cap_threads(settings: Settings) -> Settings:
    """The settings with no more threads that compute than `daemon.cores`."""
    cores, threads = settings.daemon.cores, settings.engine.threads
    if not cores or (threads is not None and threads <= cores):
        return settings
    return replace(settings, engine=replace(settings.engine, threads=cores))


def keep_to_cores(count: int) -> None:
    """Lets all threads of this process run on the last `count` cores only, of those that it may use.

    Games begin with the first ones. Nothing happens where the system has no such call (Windows, macOS): there
    the cap on the threads that compute has to do.

    Args:
        count: 0 for every core.
    """
    if not count or sys.platform != "linux":
        return
    cores = sorted(os.sched_getaffinity(0))[-count:]
    for task in Path("/proc/self/task").iterdir():
        try:
            os.sched_setaffinity(int(task.name), cores)
        except ProcessLookupError:  # it has just ended
            continue
