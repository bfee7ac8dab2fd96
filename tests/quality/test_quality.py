"""Every measurement as a user starts it, for seconds; docs/benchmarks.md has the long runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.quality import motion
from tests.quality.life import LIDS
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


def swing(amplitude: float, hz: float, frames: int = 250) -> motion.Float:
    """A run [frames, 21] whose controls all swing at one rate, 25 frames a second."""
    wave = amplitude * np.sin(2.0 * np.pi * hz * np.arange(frames) / 25.0)
    return np.repeat(wave[:, None], 21, axis=1).astype(np.float32)


def test_spread_and_jitter_of_a_swing() -> None:
    runs = [swing(0.4, 1.0), swing(0.2, 1.0)]
    assert motion.spread(runs, [0, 5]) == pytest.approx(0.3 / np.sqrt(2.0), rel=1e-3)
    assert motion.jitter([np.outer(np.arange(9.0), np.ones(21))], [0]) == 0.0
    assert motion.jitter([swing(0.1, 12.5 / 2)], [3]) == pytest.approx(0.1, rel=0.02)
    assert motion.jitter([swing(0.2, 2.0)], [3]) == pytest.approx(2.0 * motion.jitter([swing(0.1, 2.0)], [3]))


def test_blinks_are_counted_once_each() -> None:
    run = np.zeros((250, 21), np.float32)
    for start in (20, 100, 200):
        run[start : start + 5, LIDS] = 0.9
    run[150:155, LIDS[0]] = 0.9
    assert motion.blinks_per_min([run, np.zeros_like(run)]) == pytest.approx(9.0)


def test_spectra_differ_in_the_band_that_differs() -> None:
    rng = np.random.default_rng(0)
    truth = [swing(0.3, 1.0) + swing(0.1, 4.0) + rng.normal(0, 1e-2, (250, 21)) for _ in range(4)]
    made = [run + swing(0.1, 4.0) for run in truth]
    assert motion.spectrum_apart_db(truth, truth, [0, 1], 0.2, 6.0) == 0.0
    assert motion.spectrum_apart_db(made, truth, [0, 1], 0.2, 2.0) < 0.1
    assert motion.spectrum_apart_db(made, truth, [0, 1], 3.9, 4.1) == pytest.approx(20 * np.log10(2), abs=0.3)
    doubled = [2.0 * run for run in truth]
    assert motion.spectrum_apart_db(doubled, truth, [2], 0.2, 6.0) == pytest.approx(6.02, abs=0.01)


def test_jumps_at_borders_and_drift() -> None:
    run = np.repeat(np.arange(40, dtype=np.float32)[:, None], 21, axis=1) * np.float32(0.01)
    run[8:] += 0.02
    run[16:] += 0.02
    assert motion.border_jump(run, (0, 8, 16), [0, 3]) == pytest.approx(3.0, rel=1e-4)
    assert np.isnan(motion.border_jump(run, range(40), [0]))
    assert motion.drift(run, [0, 3]) == pytest.approx(0.336, rel=1e-4)
    assert motion.drift(swing(0.5, 1.0, 400), [0]) == pytest.approx(0.0, abs=1e-6)


def test_psnr_of_pictures_counts_what_is_opaque() -> None:
    picture = np.full((4, 4, 4), 255, np.uint8)
    other = picture.copy()
    other[..., 0] = 204
    assert motion.psnr_db(picture, picture) == float("inf")
    assert motion.psnr_db(other, picture) == pytest.approx(20.0, abs=0.01)
    picture[..., 3] = other[..., 3] = 0
    assert motion.psnr_db(other, picture) == float("inf")


def test_ablations() -> None:
    table = measured("ablations", "long", "--minutes", "0.2")["long"]
    jumps = {name: float(row["jump at borders"]) for name, row in table.items()}
    assert jumps["as the engine"] < 1.5 < jumps["no motion frames"]


@pytest.mark.program("flite")
def test_lips() -> None:
    row = measured("lips", "--voices", "2")["as recorded"]
    assert float(row["closures found"].split("(")[1][:-1]) > 0.6
    assert float(row["openness"]) > 0.4
    assert abs(int(row["offset"].split()[0])) <= 40


@pytest.mark.program("espeak-ng")
def test_lips_in_another_language() -> None:
    row = measured("lips", "--language", "es")["as recorded"]
    assert int(row["closures found"].split()[2]) == 75  # five sentences, three voices
    assert float(row["closures found"].split("(")[1][:-1]) > 0.5
    assert float(row["openness"]) > 0.3


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
