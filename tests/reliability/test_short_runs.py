"""Every measurement as a user starts it, for seconds: it ends by itself and finds no fault.

docs/reliability.md has the long runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.processes import ROOT
from tests.reliability.report import quantile

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc, Linux only")


def measured(name: str, *arguments: str, timeout_s: float = 180.0, goals: bool = True) -> dict[str, Any]:
    """The figures; `goals`: a busy machine may not miss them either."""
    ended = subprocess.run(
        [sys.executable, "-m", f"tests.reliability.{name}", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=timeout_s,
    )  # fmt: skip
    assert ended.returncode == 0 or not goals, ended.stdout + ended.stderr
    figures: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    assert figures["faults"] == [] or not goals
    return figures


@pytest.mark.parametrize("over", ["socket", "shared"])
def test_transport(over: str) -> None:
    figures = measured("transport", "--seconds", "3", "--width", "640", "--height", "360", "--over", over)
    assert figures["stalled"]["fresh_after_ms"] >= 0 and figures["stalled"]["frames_after_stall"] > 0
    assert figures["published_fps"] > 0 and figures["transport_cpu_cores"] > 0


def test_storm() -> None:
    figures = measured("storm", "--clients", "4", "--minutes", "0.05")
    assert figures["lives"] >= 4 and figures["utterances"] > 0
    assert figures["finished"] + figures["cancelled"] > 0
    assert figures["avatars_before_after"] == [1, 1]


def test_malformed() -> None:
    figures = measured("malformed", "--messages", "3000", "--minutes", "2")
    assert figures["messages"] == 3_000
    assert figures["done"] + figures["refused"] == figures["on_control"]
    memory = figures["memory_mib_quarters"]
    assert memory[-1] < memory[0] + 50


def test_restart() -> None:
    figures = measured("restart", "--rounds", "1")
    assert figures["told_while_down"] == 1


def test_drift() -> None:
    figures = measured("drift", "--hours", "0.02")
    assert figures["frames"] == pytest.approx(0.02 * 3_600 * 30, rel=0.02)
    assert abs(figures["drift_ms"]) < 33


def test_barge_in() -> None:
    figures = measured("barge_in", "--rounds", "3", goals=False)
    assert figures["rounds"] >= 1
    assert "frames of the old epoch after the answer" not in figures["faults"]
    assert figures["first_new_ms_median_p95_max"][0] > 0


def test_footprint() -> None:
    figures = measured("footprint", "--starts", "1", "--seconds", "1", goals=False)
    assert 0 < figures["4_watched idle"]["memory_mb"] < 600
    assert figures["one_watched idle"]["fps"] > 0 and figures["one_unwatched idle"]["fps"] == 0


def test_lengths_are_bounded() -> None:
    for name, words in (("storm", ["--clients", "65"]), ("drift", ["--hours", "100"])):
        ended = subprocess.run(
            [sys.executable, "-m", f"tests.reliability.{name}", *words],
            cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert ended.returncode == 2 and "is not within" in ended.stderr


def test_quantiles() -> None:
    assert quantile([], 0.5) == 0
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2
    assert quantile(list(map(float, range(100))), 0.99) == 99
