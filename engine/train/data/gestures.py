"""Head, gaze, lids and brows of a performance, at video rate and with natural randomness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.types import AvatarState

Track = npt.NDArray[np.float64]
NOD_GAP_S = 1.2
_BLINKS = ((0.6, 1.0, 0.5), (0.45, 1.0, 0.85, 0.3), (0.7, 1.0, 0.6, 0.2), (0.4, 1.0, 1.0, 0.6, 0.25))


@dataclass(frozen=True)
class Temperament:
    """How this take's person moves: factors about 1, and control values that stay through the take."""

    head: float
    gaze: float
    brows: float
    nods: float
    blinks_per_min: float
    breaths_per_min: float
    articulation: float
    base: dict[str, float]


def draw_temperament(rng: np.random.Generator) -> Temperament:
    """A random person in a random mood."""
    base = {
        "mouthSmile": float(rng.beta(1.3, 3.0) * 0.7),
        "mouthFrown": float(rng.uniform(0.1, 0.45)) if rng.random() < 0.15 else 0.0,
        "browInnerUp": float(rng.beta(1.2, 4.0) * 0.6),
        "browOuterUp": float(rng.beta(1.2, 4.0) * 0.6),
        "browDown": float(rng.uniform(0.1, 0.5)) if rng.random() < 0.2 else 0.0,
        "eyeWide": float(rng.beta(1.2, 5.0) * 0.6),
        "eyeBlinkLeft": float(rng.beta(1.2, 6.0) * 0.45),
    }
    if base["mouthFrown"] > 0.0:
        base["mouthSmile"] *= 0.2
    base["eyeBlinkRight"] = base["eyeBlinkLeft"]
    return Temperament(
        head=float(np.exp(rng.normal(0, 0.22))),
        gaze=float(np.exp(rng.normal(0, 0.25))),
        brows=float(np.exp(rng.normal(0, 0.3))),
        nods=float(rng.uniform(0.4, 1.0)),
        blinks_per_min=float(rng.uniform(12, 20)),
        breaths_per_min=float(rng.uniform(12, 18)),
        articulation=float(rng.uniform(0.88, 1.12)),
        base=base,
    )


def slow_noise(frame_count: int, fps: int, rng: np.random.Generator, corner_hz: float = 0.35) -> Track:
    """Unit-variance motion without jitter: flat to the corner, falling after, nothing above 2 Hz."""
    count = frame_count + 8 * fps  # longer than the take, so that its ends do not join up
    hz = np.fft.rfftfreq(count, 1.0 / fps)
    gain = np.where((hz > 0.04) & (hz < 2.0), 1.0 / (1.0 + (hz / corner_hz) ** 3), 0.0)
    spectrum = gain * (rng.normal(size=len(hz)) + 1j * rng.normal(size=len(hz)))
    x = np.fft.irfft(spectrum, count) * count / np.sqrt(4.0 * (gain**2).sum())
    motion: Track = x[:frame_count]
    return motion


def ease(x: Track, fps: int, time_s: float) -> Track:
    """Smooths steps with a Hann kernel about `time_s` long."""
    kernel = np.hanning(max(3, int(time_s * fps) | 1) + 2)
    pad = len(kernel) // 2
    return np.convolve(np.pad(x, pad, mode="edge"), kernel / kernel.sum(), "valid")


def bump(frame_count: int, fps: int, centre_s: float, width_s: float) -> Track:
    """A smooth hump of height 1, `width_s` from foot to foot."""
    d = (np.arange(frame_count) / fps - centre_s) / (width_s / 2.0)
    return np.where(np.abs(d) < 1.0, 0.5 + 0.5 * np.cos(np.pi * np.clip(d, -1.0, 1.0)), 0.0)


def nod(frame_count: int, fps: int, start_s: float, cycles: int, period_s: float) -> Track:
    """Head down and back `cycles` times, each half as far as the one before; positive is down."""
    humps = [0.5**k * bump(frame_count, fps, start_s + (k + 0.5) * period_s, period_s) for k in range(cycles)]
    track: Track = np.sum(humps, axis=0)
    return track


def nods_after(
    frame_count: int, fps: int, rng: np.random.Generator, phrase_ends_s: list[float], eagerness: float
) -> Track:
    """A listener's nods: all but certain after each phrase and much alike, so that they can be learned.

    Args:
        frame_count: number of frames.
        fps: video rate in Hz.
        rng: source of every choice.
        phrase_ends_s: when the other party's phrases end, in order; one that ends within `NOD_GAP_S` of the
            last nod's start gets none.
        eagerness: 0..1, how far down.

    Returns:
        float64 [frame_count], 0..0.58, positive is down.
    """
    track, last_s = np.zeros(frame_count), -NOD_GAP_S
    for end_s in phrase_ends_s:
        if end_s - last_s >= NOD_GAP_S and rng.random() < 0.9:
            last_s = end_s + rng.uniform(0.12, 0.2)
            cycles, period_s = 1 + int(rng.random() < 0.4), rng.uniform(0.42, 0.5)
            depth = rng.uniform(0.42, 0.58) * (0.7 + 0.3 * eagerness)
            track += depth * nod(frame_count, fps, last_s, cycles, period_s)
    return track


def blink_track(
    frame_count: int, fps: int, rng: np.random.Generator, per_min: float, phrase_ends_s: list[float]
) -> Track:
    """Blinks of 3 to 5 frames, one at least fully closed; a blink near a phrase end waits for it."""
    track = np.zeros(frame_count)
    mean_s = 60.0 / per_min
    at_s, last_s = rng.uniform(0.2, mean_s), -1.0
    while at_s < frame_count / fps:
        near = [end for end in phrase_ends_s if abs(end - at_s) < 1.0 and end - last_s > 0.6]
        when_s = near[0] + rng.uniform(-0.1, 0.15) if near and rng.random() < 0.7 else at_s
        start = int(when_s * fps)
        if when_s - last_s > 0.5 and start >= 0:
            shape = np.array(_BLINKS[rng.integers(len(_BLINKS))])[: frame_count - start]
            track[start : start + len(shape)] = np.maximum(track[start : start + len(shape)], shape)
            last_s = when_s
        gap_s = (
            0.35 + 0.2 * rng.random() if rng.random() < 0.06 else rng.gamma(2.5, (mean_s - 0.6) / 2.5) + 0.6
        )
        at_s += gap_s
    return track


def gaze_tracks(
    state: npt.NDArray[np.int64], fps: int, rng: np.random.Generator, size: float
) -> tuple[Track, Track]:
    """Where the person looks (x, y in -1..1, 0 is the viewer): fixations joined by saccades.

    Speaking: short looks away; listening: at the viewer; idle: an occasional longer glance and back.
    """
    x, y = np.zeros(len(state)), np.zeros(len(state))
    away = {AvatarState.SPEAKING: 0.22, AvatarState.LISTENING: 0.06, AvatarState.IDLE: 0.3}
    frame, gaze, was_away = 0, (0.0, 0.0), False
    while frame < len(state):
        now = AvatarState(int(state[frame]))
        if not was_away and rng.random() < away[now]:
            angle = rng.uniform(0.0, 2.0 * np.pi)
            reach = rng.uniform(0.3, 0.85) * min(size, 1.3)
            gaze, was_away = (reach * np.cos(angle), 0.55 * reach * np.sin(angle)), True
            length_s = rng.uniform(0.3, 0.9) if now != AvatarState.IDLE else rng.uniform(0.5, 2.2)
        else:
            spread = 0.05 if now != AvatarState.IDLE else 0.09
            gaze, was_away = (rng.normal(0, spread), rng.normal(0, 0.6 * spread)), False
            length_s = rng.uniform(0.3, 0.7) + rng.exponential(0.7)
        count = max(3, int(length_s * fps))
        before = (x[frame - 1], y[frame - 1]) if frame else gaze
        x[frame : frame + count], y[frame : frame + count] = gaze
        if abs(gaze[0] - before[0]) > 0.3:  # a large saccade takes two frames
            x[frame], y[frame] = (gaze[0] + before[0]) / 2, (gaze[1] + before[1]) / 2
        frame += count
    return x, y
