"""Phones to mouth controls: a dominance blend (Cohen and Massaro 1993) at 200 Hz, read at frame times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.train.data.speech import Phone

Float = npt.NDArray[np.float32]
Track = npt.NDArray[np.float64]

MOUTH_CONTROLS = ("jawOpen", "mouthClose", "mouthStretch", "mouthPucker", "mouthRollLower", "tongueUp")
BLEND_HZ = 200
SHUT_LIPS = 0.5
"""mouthClose of lips that rest on each other in silence; a pressed p, b or m is 1."""
SPEAKING_JAW = 0.2
"""The least jawOpen while speech is under way, so that no false closure is seen."""
LEAD_S = 0.025
"""Lips lead the voice a little, and a frame stands until the next."""
PAUSE_S = 0.28
"""Shorter silences inside speech do not shut the mouth."""

VOWELS = frozenset(
    [
        *("aa", "ae", "ah", "ao", "aw", "ax", "axr", "ay", "eh", "er", "ey"),
        *("ih", "iy", "oe", "ow", "oy", "ue", "uh", "uw"),
    ]
)
"""`ue` and `oe` are the front rounded vowels of German über, schön."""

# jawOpen, width (positive mouthStretch, negative mouthPucker), tongueUp, dominance
_TARGETS: dict[str, tuple[float, float, float, float]] = {
    **dict.fromkeys(("aa", "ao", "ay", "aw"), (0.95, 0.1, 0.0, 4.0)),
    "ao": (0.92, -0.3, 0.0, 4.0),
    "ae": (0.9, 0.4, 0.0, 4.0),
    "ah": (0.62, 0.1, 0.0, 3.5),
    "ax": (0.54, 0.05, 0.0, 3.0),
    "axr": (0.42, -0.2, 0.2, 2.0),
    "eh": (0.62, 0.35, 0.0, 3.2),
    "er": (0.58, -0.3, 0.2, 3.8),
    "ey": (0.6, 0.55, 0.0, 3.2),
    "ow": (0.6, -0.7, 0.0, 3.5),
    "oy": (0.66, -0.5, 0.0, 3.5),
    "ih": (0.3, 0.4, 0.0, 3.0),
    "iy": (0.28, 0.8, 0.0, 3.5),
    "uh": (0.3, -0.55, 0.0, 3.0),
    "uw": (0.28, -0.95, 0.0, 3.8),
    "ue": (0.28, -0.8, 0.0, 3.6),
    "oe": (0.5, -0.6, 0.0, 3.4),
    "w": (0.24, -0.95, 0.0, 1.3),
    "r": (0.3, -0.5, 0.3, 0.8),
    "rr": (0.3, 0.1, 0.8, 0.7),  # rolled or tapped: the tongue's tip, lips not rounded
    "y": (0.28, 0.5, 0.0, 0.7),
    "l": (0.36, 0.1, 1.0, 0.7),
    "th": (0.28, 0.1, 1.0, 0.8),
    "dh": (0.28, 0.1, 0.9, 0.7),
    "n": (0.28, 0.15, 0.8, 0.7),
    "ng": (0.32, 0.1, 0.0, 0.6),
    "t": (0.25, 0.2, 0.6, 0.8),
    "d": (0.26, 0.2, 0.6, 0.8),
    "s": (0.22, 0.35, 0.2, 1.1),
    "z": (0.22, 0.35, 0.2, 1.1),
    **dict.fromkeys(("ts", "dz"), (0.22, 0.3, 0.4, 1.0)),
    "sh": (0.24, -0.55, 0.1, 1.1),
    "zh": (0.24, -0.5, 0.1, 1.1),
    "ch": (0.24, -0.5, 0.2, 1.0),
    "jh": (0.24, -0.45, 0.2, 1.0),
    "k": (0.32, 0.1, 0.0, 0.6),
    "g": (0.32, 0.1, 0.0, 0.6),
    "hh": (0.4, 0.1, 0.0, 0.4),
    "f": (0.2, 0.1, 0.0, 1.3),
    "v": (0.2, 0.1, 0.0, 1.3),
    "beta": (0.2, 0.0, 0.0, 0.9),  # Spanish lobo, Japanese fuyu: lips near each other, not shut
    **dict.fromkeys("pbm", (0.22, 0.0, 0.0, 0.8)),
}
PHONES = ("pau", *_TARGETS)
"""Every name that `mouth_tracks` knows, `pau` for silence."""
_BILABIALS = frozenset("pbm")
_LABIODENTALS = frozenset("fv")


def _trapezoid(t: Track, start_s: float, end_s: float, rise_s: float, fall_s: float) -> Track:
    """1 from start to end, linear before and after."""
    return np.clip(np.minimum((t - start_s) / rise_s + 1.0, (end_s - t) / fall_s + 1.0), 0.0, 1.0)


def _smooth(x: Track, width: int) -> Track:
    kernel = np.hanning(width + 2)
    kernel /= kernel.sum()
    pad = len(kernel) // 2
    return np.convolve(np.pad(x, pad, mode="edge"), kernel, "valid")[: len(x)]


def _shut(t: Track, phones: Sequence[Phone]) -> Track:
    """1 where nothing is being said; opens within 90 ms before speech, shuts within 180 ms after it."""
    shut = np.ones(len(t))
    spoken = [p for p in phones if p.name != "pau"]
    while spoken:
        run = 1
        while run < len(spoken) and spoken[run].start_s - spoken[run - 1].end_s < PAUSE_S:
            run += 1
        speech = _trapezoid(t, spoken[0].start_s - 0.01, spoken[run - 1].end_s + 0.03, 0.08, 0.15)
        shut = np.minimum(shut, 1.0 - speech)
        spoken = spoken[run:]
    return shut * shut * (3.0 - 2.0 * shut)


def mouth_tracks(
    phones: Sequence[Phone], frame_count: int, fps: int, loudness: Track, articulation: float = 1.0
) -> dict[str, Float]:
    """Mouth controls of every frame; frame k shows time k / fps.

    Args:
        phones: what the avatar says, in order of time; outside them is silence.
        frame_count: number of frames F.
        fps: video rate in Hz.
        loudness: float64 [n] at 100 Hz, 0 is the speaker's usual level, 1 is 10 dB above it.
        articulation: factor on the opening, about 0.85..1.15.

    Returns:
        `MOUTH_CONTROLS` to float32 [F], 0..1; jawOpen * (1 - mouthClose) is 0 in silence and in p, b, m.
    """
    t = np.arange(int(frame_count / fps * BLEND_HZ) + BLEND_HZ // 5) / BLEND_HZ
    blend, weight = np.zeros((3, len(t))), np.full(len(t), 1e-6)
    closed, rolled = np.zeros(len(t)), np.zeros(len(t))
    for phone in phones:
        if phone.name == "pau":
            continue
        *target, dominance = _TARGETS.get(phone.name, (0.3, 0.0, 0.0, 0.6))
        length_s = max(phone.end_s - phone.start_s, 0.04)
        centre_s = (phone.start_s + phone.end_s) / 2.0 - LEAD_S
        low, high = np.searchsorted(t, (centre_s - length_s - 0.3, centre_s + length_s + 0.3))
        here = t[low:high]
        w = dominance * np.exp(-((np.abs(here - centre_s) / (0.5 * length_s + 0.02)) ** 3)) + 1e-5
        blend[:, low:high] += w * np.array(target)[:, None]
        weight[low:high] += w
        if phone.name in _BILABIALS:
            release_s = 0.0 if phone.name == "m" else min(0.02, 0.25 * length_s)
            core_s = min(0.025, 0.3 * length_s)
            held = _trapezoid(here, phone.start_s, phone.end_s - 2 * core_s - release_s, 0.04, 0.03)
            closed[low:high] = np.maximum(closed[low:high], held)
        elif phone.name in _LABIODENTALS:
            held = _trapezoid(here, phone.start_s, phone.end_s - 0.01, 0.07, 0.06)
            rolled[low:high] = np.maximum(rolled[low:high], held)
    jaw, width, tongue = (_smooth(track, 7) for track in blend / weight)
    shut = _shut(t, phones)
    accent = np.interp(t, np.arange(len(loudness)) / 100.0, loudness) if len(loudness) else np.zeros(len(t))
    jaw = np.maximum(jaw * articulation * (1.0 + 0.12 * np.clip(accent, -1.0, 1.0)), SPEAKING_JAW)
    jaw = np.minimum(jaw, 1.0) * (1.0 - 0.3 * rolled) * (1.0 - shut)
    reach = BLEND_HZ // 50  # 20 ms on either side: no closure falls between two frames
    closed = np.lib.stride_tricks.sliding_window_view(np.pad(closed, reach), 2 * reach + 1).max(axis=1)
    voiced = 1.0 - shut
    tracks = {
        "jawOpen": jaw,
        "mouthClose": np.maximum(closed, SHUT_LIPS * np.clip(2.0 * shut - 1.0, 0.0, 1.0)),
        "mouthStretch": np.maximum(width, 0.0) * voiced,
        "mouthPucker": np.maximum(-width, 0.0) * voiced,
        "mouthRollLower": rolled * voiced,
        "tongueUp": tongue * voiced,
    }
    index = np.round(np.arange(frame_count) * BLEND_HZ / fps).astype(np.int64)
    return {name: np.clip(track[index], 0.0, 1.0).astype(np.float32) for name, track in tracks.items()}
