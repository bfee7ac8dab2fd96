from __future__ import annotations

import json
import subprocess
import sys

import pytest

from engine.runtime.threads import compute_threads


def test_threads_that_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert [compute_threads(n) for n in (None, 1, 2, 6, 64)] == [8, 1, 2, 6, 8]


def test_no_librarys_threads_compute_beside_ours() -> None:
    """In a process of its own, which has called neither before."""
    program = (
        "import cv2, threadpoolctl; from engine.runtime.threads import silence_libraries;"
        "silence_libraries();"
        "print(cv2.getNumThreads(), [p['num_threads'] for p in threadpoolctl.threadpool_info()])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    cv_threads, blas = told.split(" ", 1)
    assert cv_threads == "1"
    assert set(json.loads(blas)) == {1}
