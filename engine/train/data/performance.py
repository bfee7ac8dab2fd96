"""Whole takes: what is heard, what the avatar does, its state and its phones, on one clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.train.data.augment import rms
from engine.train.data.coarticulation import MOUTH_CONTROLS, SHUT_LIPS, mouth_tracks
from engine.train.data.gestures import (
    Temperament,
    blink_track,
    bump,
    draw_temperament,
    ease,
    gaze_tracks,
    nod,
    nods_after,
    slow_noise,
)
from engine.train.data.recording import record
from engine.train.data.script import Script, write_script
from engine.train.data.speech import Phone
from engine.types import CONTROL_NAMES, SAMPLE_RATE_HZ, AvatarState

Float = npt.NDArray[np.float32]
Track = npt.NDArray[np.float64]

FPS = 25
"""Frame k shows time k / FPS."""
_RANGES = {name: -1.0 if name.startswith(("eyeLook", "head", "breath")) else 0.0 for name in CONTROL_NAMES}


@dataclass(frozen=True)
class Take:
    """One performance of one person.

    Attributes:
        samples: float32 [T], 16 kHz, what the model hears: the avatar's own voice while it speaks, the
            other party's while it listens, silence or noise while it idles.
        other: float32 [T], the other party's clean voice alone.
        controls: float32 [n, 21], `engine.types.CONTROL_NAMES`; row k at time k / 25 s.
        state: int64 [n], `engine.types.AvatarState`.
        phones: what the avatar itself says.
        base: float32 [21], the person at rest: what a reference picture of this take shows.
    """

    samples: Float
    other: Float
    controls: Float
    state: npt.NDArray[np.int64]
    phones: list[Phone]
    base: Float


def make_take(seed: int, held_out: bool = False) -> Take:
    """Performs a take of about 15 to 40 s; the same seed gives the same take.

    Args:
        seed: at least 0.
        held_out: speak the held-out sentences, with the programs' own voices (every sixth warped).

    Raises:
        EngineError: a voice program is missing.
    """
    rng = np.random.default_rng((seed, int(held_out)))
    script = write_script(rng, seed if held_out else None)
    person = draw_temperament(rng)
    frame_count = len(script.own) * FPS // SAMPLE_RATE_HZ
    state = script.states(frame_count, FPS)
    controls = _perform(script, person, state, rng)
    base = np.array([person.base.get(name, 0.0) for name in CONTROL_NAMES], np.float32)
    base[CONTROL_NAMES.index("mouthClose")] = SHUT_LIPS
    table = np.stack([np.clip(controls[name], _RANGES[name], 1.0) for name in CONTROL_NAMES], axis=1)
    samples = record(script, state, FPS, rng, plain=held_out and not script.warped)
    return Take(samples, script.other, table.astype(np.float32), state, script.phones, base)


def loudness_track(samples: Float) -> Track:
    """Loudness at 100 Hz: 0 is the voice's usual level, 1 is 10 dB above it, -2 at the least."""
    hop = SAMPLE_RATE_HZ // 100
    power = (samples[: len(samples) // hop * hop].reshape(-1, hop).astype(np.float64) ** 2).mean(axis=1)
    kernel = np.hanning(15)
    power = np.convolve(power, kernel / kernel.sum(), "same")
    return np.clip(np.log10(power / rms(samples) ** 2 + 1e-9) + 0.15, -2.0, 1.0)


def _perform(
    script: Script, person: Temperament, state: npt.NDArray[np.int64], rng: np.random.Generator
) -> dict[str, Track]:
    n = len(state)
    speaking, listening = state == AvatarState.SPEAKING, state == AvatarState.LISTENING
    loudness = loudness_track(script.own)
    c: dict[str, Track] = {name: np.full(n, person.base.get(name, 0.0)) for name in CONTROL_NAMES}
    for name, track in mouth_tracks(script.phones, n, FPS, loudness, person.articulation).items():
        c[name] = track.astype(np.float64)
    _shut_outside(c, speaking)
    share = {
        name: ease(mask.astype(np.float64), FPS, 0.7) for name, mask in (("s", speaking), ("l", listening))
    }
    liveliness = person.head * (0.42 + 0.58 * share["s"])
    for name, spread, corner_hz in (
        ("headYaw", 0.3, 0.35),
        ("headPitch", 0.21, 0.4),
        ("headRoll", 0.2, 0.3),
    ):
        c[name] += spread * liveliness * slow_noise(n, FPS, rng, corner_hz)
    c["headShift"] += 0.25 * liveliness * slow_noise(n, FPS, rng, 0.25) + 0.3 * c["headYaw"]
    for name, spread in (
        ("mouthSmile", 0.05),
        ("browInnerUp", 0.05),
        ("browOuterUp", 0.05),
        ("eyeWide", 0.03),
    ):
        c[name] += spread * person.brows * slow_noise(n, FPS, rng, 0.3)
    c["mouthSmile"] += person.nods * rng.uniform(0.02, 0.18) * share["l"]
    _accents(c, script, person, loudness, speaking, rng)
    _reactions(c, script, person, rng)
    gaze_x, gaze_y = gaze_tracks(state, FPS, rng, person.gaze)
    follow = 0.3 * person.head
    c["headYaw"] += follow * ease(gaze_x, FPS, 0.5)
    c["headPitch"] += follow * ease(gaze_y, FPS, 0.5)
    # the eyes hold their aim while the head moves
    c["eyeLookX"] += gaze_x - 0.5 * c["headYaw"]
    c["eyeLookY"] += gaze_y - 0.4 * c["headPitch"]
    lids = blink_track(n, FPS, rng, person.blinks_per_min, [end for _, end in script.phrases])
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        c[name] = np.maximum(np.clip(c[name] + 0.12 * np.clip(c["eyeLookY"], 0, 1), 0, 1), lids)
    rate_hz = person.breaths_per_min / 60.0 * (1.0 + 0.08 * slow_noise(n, FPS, rng, 0.1))
    c["breath"] = rng.uniform(0.75, 1.0) * np.sin(2 * np.pi * np.cumsum(rate_hz) / FPS + rng.uniform(0, 6.28))
    return c


def _shut_outside(c: dict[str, Track], speaking: npt.NDArray[np.bool_]) -> None:
    """Lips move in the speaking state only; after it they close within three frames."""
    gate = speaking.astype(np.float64)
    for late, left in ((1, 0.6), (2, 0.2)):
        gate[late:] = np.maximum(gate[late:], left * speaking[:-late])
    c["mouthClose"] = np.maximum(c["mouthClose"] * gate, SHUT_LIPS * (1.0 - gate))
    for name in MOUTH_CONTROLS:
        if name != "mouthClose":
            c[name] *= gate


def _accents(
    c: dict[str, Track],
    script: Script,
    person: Temperament,
    loudness: Track,
    speaking: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> None:
    """Head beats and brow raises on the loud syllables of the avatar's own voice."""
    n = len(speaking)
    kernel = np.hanning(25)
    smooth = np.convolve(loudness, kernel / kernel.sum(), "same")
    peaks = [
        i
        for i in range(12, len(smooth) - 12)
        if smooth[i] == smooth[i - 12 : i + 13].max() and smooth[i] > -0.3
    ]
    for peak in peaks:
        at_s = peak / 100.0
        if not speaking[min(int(at_s * FPS), n - 1)]:
            continue
        strength = float(np.clip(0.6 + smooth[peak], 0.3, 1.2)) * person.head
        if rng.random() < 0.6:
            c["headPitch"] += rng.uniform(0.1, 0.34) * strength * bump(n, FPS, at_s, rng.uniform(0.36, 0.6))
        if rng.random() < 0.35:
            raised = rng.uniform(0.15, 0.45) * person.brows * bump(n, FPS, at_s, rng.uniform(0.5, 0.9))
            c["browOuterUp"] += raised
            c["browInnerUp"] += 0.8 * raised
            c["eyeWide"] += 0.3 * raised


def _reactions(c: dict[str, Track], script: Script, person: Temperament, rng: np.random.Generator) -> None:
    """Nods, tilts, smiles and brows of a listener at the other party's phrases."""
    n = len(c["headYaw"])
    c["headPitch"] += nods_after(n, FPS, rng, [end for _, end in script.other_phrases], person.nods)
    for start_s, end_s in script.other_phrases:
        if end_s - start_s > 1.8 and rng.random() < 0.2:
            at_s = rng.uniform(start_s + 0.6, end_s - 0.6)
            c["headPitch"] += (
                rng.uniform(0.18, 0.4) * person.nods * nod(n, FPS, at_s, 1, rng.uniform(0.4, 0.6))
            )
        middle_s, width_s = (start_s + end_s) / 2.0, end_s - start_s + 1.2
        if rng.random() < 0.3:
            c["headRoll"] += (
                rng.choice([-1.0, 1.0]) * rng.uniform(0.15, 0.4) * bump(n, FPS, middle_s, width_s)
            )
        if rng.random() < 0.4:
            raised = rng.uniform(0.15, 0.5) * person.brows * bump(n, FPS, end_s - 0.2, rng.uniform(0.8, 1.6))
            c["browInnerUp"] += raised
            c["browOuterUp"] += raised
        if rng.random() < 0.35:
            c["mouthSmile"] += rng.uniform(0.1, 0.35) * bump(n, FPS, end_s + 0.2, rng.uniform(1.2, 2.6))
