"""A pytest plugin: tests name the system programs and hardware they need.

Without them a test is skipped and says why. Where LLIA_REQUIRE_ALL=1 (continuous integration) a missing
program is a failure: nothing is passed over in silence there. A missing graphics card is always a skip.
"""

from __future__ import annotations

import os
import shutil

import onnxruntime
import pytest


def require_program(*names: str) -> None:
    """Skips (or fails, where LLIA_REQUIRE_ALL=1) the calling test or module if a program is not installed."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        skip_for_want_of(", ".join(missing))


def skip_for_want_of(what: str) -> None:
    """Skips (or fails, where LLIA_REQUIRE_ALL=1) the calling test or module: `what` is not installed."""
    reason = f"not installed: {what} (.ci/run lists the packages)"
    if os.environ.get("LLIA_REQUIRE_ALL") == "1":
        pytest.fail(f"LLIA_REQUIRE_ALL=1, but {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("program"):
        require_program(*marker.args)
    if (
        item.get_closest_marker("gpu")
        and "CUDAExecutionProvider" not in onnxruntime.get_available_providers()
    ):
        pytest.skip("needs an NVIDIA card and onnxruntime-gpu")
