"""Every measurement as a user starts it, for seconds; docs/benchmarks.md has the long runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.quality.lipsync import Phone, Score
from tests.quality.timeline import Span, chart, overlap

ROOT = Path(__file__).parents[2]


def measured(name: str, *arguments: str) -> dict[str, Any]:
    """The line of JSON at the end, whatever faults it tells: short runs cannot judge."""
    ended = subprocess.run(
        [sys.executable, "-m", f"tests.quality.{name}", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ended.stdout, ended.stderr
    figures: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return figures


def test_the_score_of_a_track_made_by_hand() -> None:
    phones = [Phone(*p) for p in (("HH", 0.5, 0.6), ("AA", 0.6, 1.0), ("M", 1.0, 1.1), ("IY", 1.1, 1.5))]
    frames = np.arange(60) / 25
    track = np.zeros(60)
    for level, start_s, end_s in ((0.5, 0.5, 0.6), (1.0, 0.6, 1.0), (0.4, 1.1, 1.5)):
        track[(frames >= start_s - 1e-6) & (frames < end_s - 1e-6)] = level
    score = Score()
    score.add(phones, track.tolist(), 25)
    assert (score.found, score.bilabials, score.false, score.closures) == (1, 1, 0, 1)
    assert (score.openness, score.lags_ms) == (pytest.approx(1.0), [0.0])
    assert score.shut == score.silent > 0


def test_the_score_sees_what_is_wrong() -> None:
    phones = [Phone("AA", 0.5, 1.0), Phone("M", 1.0, 1.1), Phone("AE", 1.1, 1.9)]
    score = Score()
    track = np.full(60, 0.8)
    track[34:37] = 0.0
    score.add(phones, track.tolist(), 25)
    assert (score.found, score.bilabials, score.false, score.closures) == (0, 1, 1, 1)
    assert score.silent > 0 and score.shut == 0


@pytest.mark.program("flite")
def test_lips() -> None:
    row = measured("lips", "--voices", "2")["as recorded"]
    assert float(row["closures found"].split("(")[1][:-1]) > 0.6
    assert float(row["openness"]) > 0.4
    assert abs(int(row["offset"].split()[0])) <= 40


def test_life() -> None:
    figures = measured("life", "--seconds", "12")
    assert figures["listening"]["mouth shut"] > 0.95 and figures["idle"]["mouth shut"] > 0.95
    assert figures["idle"]["frozen frames"] < 0.05
    assert figures["motion at a switch, medians of that elsewhere"] < 4.0
    assert figures["two runs apart, of their deviation"] > 0.1


@pytest.mark.parametrize("way", [(), ("--chained",)])
def test_hours(way: tuple[str, ...]) -> None:
    figures = measured("hours", "--hours", "0.01", "--every", "50", *way)
    assert figures["frames"] >= 880
    assert max(figures["identity distance, first and last tenth"]) < 1.0


def test_the_timeline_shows_what_ran_when() -> None:
    spans = [Span("denoiser", 1, 0.0, 0.006), Span("mouth", 2, 0.002, 0.004), Span("eyes", 2, 0.0081, 0.0119)]
    assert chart(spans, 7) == ["DDD....", ".m..ee."]
    assert overlap(spans) == pytest.approx(0.002 / 0.0098)
    assert overlap([]) == 0.0
