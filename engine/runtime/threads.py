"""Which threads compute: the engine's own, and no library's beside them."""

from __future__ import annotations

import os
from functools import cache

import cv2
from threadpoolctl import threadpool_limits


def compute_threads(threads: int | None) -> int:
    """How many threads compute.

    Args:
        threads: cap on them; None: as many as this process may use cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if threads is None else min(threads, cores)


@cache
def silence_libraries() -> None:
    """Keeps OpenCV and numpy's BLAS, in the whole process, to the thread that calls them.

    OpenBLAS's threads spin while they wait for the next small product: that cost 0.8 of a core.
    """
    cv2.setNumThreads(1)
    threadpool_limits(limits=1, user_api="blas")
