"""Figures of motion: runs of controls, each [n, 21] at 25 frames a second, beside those of the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tests.quality.life import FPS, blinks

Float = npt.NDArray[np.float32]
Runs = Sequence[Float]


def spread(runs: Runs, which: list[int]) -> float:
    """Standard deviation in time of some controls, the mean of all runs."""
    return float(np.mean([run[:, which].std(axis=0) for run in runs]))


def jitter(runs: Runs, which: list[int]) -> float:
    """Mean absolute second difference of some controls: what trembles, whatever its pace."""
    return float(np.mean([np.abs(np.diff(run[:, which], n=2, axis=0)).mean() for run in runs]))


def blinks_per_min(runs: Runs) -> float:
    """How often the lids fall in a minute, as `tests.quality.life` counts it."""
    frames = sum(map(len, runs))
    return sum(len(blinks(run)) for run in runs) * 60.0 * FPS / frames


def power(runs: Runs, which: list[int]) -> npt.NDArray[np.float64]:
    """Power spectrum [n // 2 + 1, controls] of runs of equal length: mean of Hann-windowed periodograms."""
    window = np.hanning(len(runs[0]))[:, None]
    tracks = [run[:, which] - run[:, which].mean(axis=0) for run in runs]
    spectrum: npt.NDArray[np.float64] = np.mean(
        [np.abs(np.fft.rfft(track * window, axis=0)) ** 2 for track in tracks], axis=0
    )
    return spectrum


def spectrum_apart_db(made: Runs, truth: Runs, which: list[int], low_hz: float, high_hz: float) -> float:
    """Mean absolute difference in dB of two power spectra within a band; runs of one length."""
    hz = np.fft.rfftfreq(len(truth[0]), 1.0 / FPS)
    band = (hz >= low_hz) & (hz < high_hz)
    ratio = (power(made, which)[band] + 1e-12) / (power(truth, which)[band] + 1e-12)
    return float(np.abs(10.0 * np.log10(ratio)).mean())


def border_jump(run: Float, starts: Sequence[int], which: list[int]) -> float:
    """Motion into the first frame of each clip, in means of the motion elsewhere; NaN without elsewhere."""
    motion = np.abs(np.diff(run[:, which], axis=0)).mean(axis=1)
    border = np.zeros(len(motion), bool)
    border[[start - 1 for start in starts if start > 0]] = True
    return float(motion[border].mean() / motion[~border].mean()) if not border.all() else float("nan")


def drift(run: Float, which: list[int]) -> float:
    """How far the mean of the last quarter lies from that of the first: the control that went farthest."""
    quarter = len(run) // 4
    return float(np.abs(run[-quarter:, which].mean(axis=0) - run[:quarter, which].mean(axis=0)).max())


def psnr_db(made: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8]) -> float:
    """PSNR of two pictures with straight alpha [S, S, 4], premultiplied; infinite where they are the same."""
    a, b = (p.astype(np.float64) / 255.0 for p in (made, truth))
    for picture in (a, b):
        picture[..., :3] *= picture[..., 3:]
    error = np.mean((a - b) ** 2)
    return float(-10.0 * np.log10(error)) if error > 0.0 else float("inf")
