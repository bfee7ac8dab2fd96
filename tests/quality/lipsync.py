"""The lip-sync score: an aperture track against the phones of a recording.

- closure recall: share of p, b and m with an aperture below SHUT within 40 ms of them;
- false closures: share of separate stretches below SHUT of 40 ms and more, within speech, with no p, b or m
  (nor f or v) within 40 ms;
- openness: rank correlation of the mean aperture in the middle half of each vowel with the vowel's class;
- offset: lag of the best cross-correlation with the class track, positive where the mouth is late;
- silence: share of the time farther than 300 ms from any phone with an aperture below SHUT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SHUT = 0.15
STEP_S = 0.01
NEAR_S = 0.04
SILENCE_S = 0.3
LONGEST_LAG_S = 0.3
BILABIALS = frozenset({"P", "B", "M"})
LABIODENTALS = frozenset({"F", "V"})
VOWELS = {
    **dict.fromkeys(("AA", "AE", "AO", "AW", "AY"), 3.0),
    **dict.fromkeys(("EH", "AH", "ER", "EY", "OW", "OY"), 2.0),
    **dict.fromkeys(("IY", "IH", "UW", "UH"), 1.0),
}
Track = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Phone:
    """One spoken phone: ARPAbet name in capitals without stress, start and end in seconds."""

    name: str
    start_s: float
    end_s: float


@dataclass
class Score:
    """Counts of one or more recordings; add them up, then read the shares."""

    found: int = 0
    bilabials: int = 0
    false: int = 0
    closures: int = 0
    shut: int = 0
    silent: int = 0

    def __post_init__(self) -> None:
        self.apertures: list[float] = []
        self.classes: list[float] = []
        self.lags_ms: list[float] = []

    @property
    def openness(self) -> float:
        """Spearman's rank correlation."""
        a, b = _ranks(np.array(self.apertures)), _ranks(np.array(self.classes))
        return float(np.corrcoef(a, b)[0, 1])

    def row(self) -> dict[str, str]:
        """The figures as texts."""
        return {
            "closures found": f"{self.found} of {self.bilabials} ({self.found / max(self.bilabials, 1):.2f})",
            "false closures": f"{self.false} of {self.closures} ({self.false / max(self.closures, 1):.0%})",
            "openness": f"{self.openness:.3f}",
            "offset": f"{np.median(self.lags_ms):.0f} ms",
            "silence": f"{self.shut / self.silent:.3f}" if self.silent else "-",
        }

    def add(self, phones: Sequence[Phone], apertures: Sequence[float], fps: float) -> None:
        """One recording: frame k of the track stands from k / fps on."""
        duration_s = max(p.end_s for p in phones) + SILENCE_S
        t = np.arange(int(duration_s / STEP_S) + 1) * STEP_S
        index = np.clip(np.floor(t * fps + 1e-9).astype(int), 0, len(apertures) - 1)
        track = np.asarray(apertures, float)[index]
        for phone in phones:
            around = (t >= phone.start_s - NEAR_S) & (t <= phone.end_s + NEAR_S)
            if phone.name in BILABIALS:
                self.bilabials += 1
                self.found += bool(track[around].min() < SHUT)
            quarter_s = (phone.end_s - phone.start_s) / 4
            middle = (t >= phone.start_s + quarter_s) & (t <= phone.end_s - quarter_s)
            if phone.name in VOWELS and middle.any():
                self.apertures.append(float(track[middle].mean()))
                self.classes.append(VOWELS[phone.name])
        speech, far = _masks(t, phones, 0.1), ~_masks(t, phones, SILENCE_S)
        for start, stop in _runs(track < SHUT):
            start_s, end_s = t[start], t[stop - 1]
            if end_s - start_s >= NEAR_S - 1e-6 and speech[start:stop].all():
                self.closures += 1
                self.false += not any(
                    p.name in BILABIALS | LABIODENTALS
                    and p.start_s - NEAR_S <= end_s
                    and p.end_s + NEAR_S >= start_s
                    for p in phones
                )
        self.silent += int(far.sum())
        self.shut += int((far & (track < SHUT)).sum())
        self.lags_ms.append(_lag_s(t, track, phones) * 1000.0)


def _masks(t: Track, phones: Sequence[Phone], margin_s: float) -> npt.NDArray[np.bool_]:
    near = np.zeros(len(t), bool)
    for phone in phones:
        near |= (t >= phone.start_s - margin_s) & (t <= phone.end_s + margin_s)
    return near


def _runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and stop of every stretch that is true."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return list(zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True))


def _lag_s(t: Track, track: Track, phones: Sequence[Phone]) -> float:
    wanted = np.zeros(len(t))
    for phone in phones:
        level = 0.0 if phone.name in BILABIALS else VOWELS.get(phone.name, 0.5)
        wanted[(t >= phone.start_s) & (t < phone.end_s)] = level
    most = int(LONGEST_LAG_S / STEP_S)
    inner = slice(most, -most)
    if track[inner].std() == 0.0:
        return float("nan")
    match = [np.corrcoef(np.roll(wanted, k)[inner], track[inner])[0, 1] for k in range(-most, most + 1)]
    return (int(np.argmax(match)) - most) * STEP_S


def _ranks(values: Track) -> Track:
    """Ranks from 1, ties share their mean."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(1, len(values) + 1)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    means: Track = np.bincount(inverse, ranks) / counts
    return means[inverse]
