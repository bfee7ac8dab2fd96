"""`python -m tests.quality.life`: how alive the avatar is in each state, and whether a switch shows.

Blinks, head, brows and gaze while speaking, listening and idle; how many of the other party's phrases the
listener answers with a nod; the motion when the state changes beside that elsewhere; how unlike two runs are;
and lips on what is no voice. People blink about 17 times a minute at rest, 26 in conversation (Bentivoglio et
al. 1997, Movement Disorders 12, 1028).
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import numpy.typing as npt

from bridge.blendshapes import HEAD_RANGE_DEG
from engine.pipeline import Engine
from engine.train.data import augment
from engine.types import CONTROL_NAMES, SAMPLE_RATE_HZ, AudioChunk, AvatarState
from tests.quality.lipsync import SHUT
from tests.quality.performing import aperture, controls_of, greeting, perform
from tests.reliability.report import bounded, tell

Float = npt.NDArray[np.float32]
FPS = 25
BLINKS_PER_MIN = (6.0, 40.0)
HEAD_DEG = (0.3, 8.0)
"""Deviation in time of each angle: less looks frozen, more looks wild (our choice)."""
MOST_JUMP = 2.0
PAUSE_S = 0.3
PAUSE_LEVEL = 0.005
ANSWER_S = 1.0
AT_VIEWER = 0.25
"""Gaze within that of the middle, of what a control's range is: people seem to look at one."""
FROZEN = 1e-3
"""Of a control's range: less than that in every control between two frames is no motion."""


def index(*names: str) -> list[int]:
    """Where controls stand."""
    return [CONTROL_NAMES.index(name) for name in names]


MOUTH = index("jawOpen", "mouthClose", "mouthStretch", "mouthPucker", "mouthRollLower", "tongueUp")
LIDS = index("eyeBlinkLeft", "eyeBlinkRight")
GAZE = index("eyeLookX", "eyeLookY")
HEAD = index("headYaw", "headPitch", "headRoll")
BROWS = index("browInnerUp", "browOuterUp", "browDown")
CALM = [i for i in range(len(CONTROL_NAMES)) if i not in (*MOUTH, *LIDS, *GAZE)]
"""What moves slowly: lips, blinks and glances are quick by nature."""


def events(track: Float, high: float, low: float) -> list[int]:
    """Where a track rises above `high` after it was below `low`."""
    found, ready = [], True
    for place, value in enumerate(track):
        if ready and value > high:
            found.append(place)
            ready = False
        elif value < low:
            ready = True
    return found


def nods(pitch_deg: Float) -> list[int]:
    """Frames of quick movements of the head down: more than 1.5 degrees against the second about them."""
    kernel = np.hanning(FPS + 2)
    calm = np.convolve(np.pad(pitch_deg, FPS // 2 + 1, mode="edge"), kernel / kernel.sum(), "valid")
    return events(pitch_deg - calm[: len(pitch_deg)], 1.5, 0.3)


def blinks(controls: Float) -> list[int]:
    """Frames at which both lids fall."""
    return events(controls[:, LIDS].mean(axis=1), 0.6, 0.35)


def head_deg(controls: Float) -> Float:
    """Yaw, pitch and roll [n, 3] in degrees."""
    return controls[:, HEAD] * np.array(list(HEAD_RANGE_DEG.values()), np.float32)


def phrase_ends(samples: Float) -> list[int]:
    """Frames at which a pause of `PAUSE_S` or more begins after speech."""
    step = SAMPLE_RATE_HZ // FPS
    blocks = samples[: len(samples) // step * step].reshape(-1, step)
    loud = np.sqrt((blocks**2).mean(axis=1)) > PAUSE_LEVEL
    after = np.lib.stride_tricks.sliding_window_view(loud[1:], round(PAUSE_S * FPS))
    return [int(frame) + 1 for frame in np.flatnonzero(loud[: len(after)] & ~after.any(axis=1))]


def answered(pitch_deg: Float, ends: list[int]) -> tuple[float, float]:
    """Share of the frames `ends` that a nod follows within `ANSWER_S`; and of all frames."""
    follows = np.zeros(len(pitch_deg), bool)
    for place in nods(pitch_deg):
        follows[max(0, place - round(ANSWER_S * FPS)) : place + 1] = True
    return float(follows[ends].mean()), float(follows.mean())


def voice(seconds: float) -> Float:
    """The greeting over and over, with pauses."""
    turn = np.concatenate([greeting(), np.zeros(SAMPLE_RATE_HZ, np.float32)])
    return np.resize(turn, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


def portrait_of(controls: Float) -> dict[str, float]:
    """The figures of one state."""
    minutes = len(controls) / FPS / 60.0
    degrees = head_deg(controls)
    change = np.abs(np.diff(controls, axis=0)).max(axis=1)
    away = np.hypot(*controls[:, GAZE].T)
    figures = {
        "blinks per minute": len(blinks(controls)) / minutes,
        "nods per minute": len(nods(degrees[:, 1])) / minutes,
        "looks at the viewer": float(np.mean(away < AT_VIEWER)),
        "glances away per minute": len(events(away, AT_VIEWER, 0.8 * AT_VIEWER)) / minutes,
        "brows": float(controls[:, BROWS].std(axis=0).mean()),
        "mouth shut": float(np.mean(aperture(controls) < SHUT)),
        "frozen frames": float(np.mean(change < FROZEN)),
    }
    for name, deviation in zip(HEAD_RANGE_DEG, degrees.std(axis=0), strict=True):
        figures[f"{name}, degrees"] = float(deviation)
    return {name: round(value, 3) for name, value in figures.items()}


def switches(engine: Engine, seconds: float) -> float:
    """Slow motion in the 200 ms after a change of state, in medians of the motion elsewhere: the mean."""
    every_s, blocks = 3.0, []
    order = [AvatarState.SPEAKING, AvatarState.LISTENING, AvatarState.IDLE]
    with engine.avatar(size_px=256, seed=3, lead_ms=0) as avatar:
        avatar.watched = False
        samples, frames, at = voice(seconds), avatar.frames(), 0
        step = SAMPLE_RATE_HZ // FPS
        avatar.push_audio(AudioChunk(samples[: 4 * step], 0, "life"))
        for number in range(round(seconds * FPS) - 8):
            start = (number + 4) * step
            avatar.push_audio(AudioChunk(samples[start : start + step], start, "life"))
            if number % round(every_s * FPS) == 0:
                avatar.set_state(order[at % 3])
                at += 1
            blocks.append(next(frames))
    controls, states = controls_of(blocks), np.array([int(frame.state) for frame in blocks])
    motion = np.abs(np.diff(controls[:, CALM], axis=0)).mean(axis=1)
    changed = np.flatnonzero(np.diff(states))
    near = np.zeros(len(motion), bool)
    for frame in changed:
        near[frame : frame + 5] = True
    return float(motion[near].mean() / np.median(motion[~near]))


def measure(engine: Engine, seconds: float) -> tuple[dict[str, object], list[str]]:
    """The figures and the faults."""
    result: dict[str, object] = {}
    faults: list[str] = []
    silence = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
    heard = {
        AvatarState.SPEAKING: voice(seconds),
        AvatarState.LISTENING: voice(seconds),
        AvatarState.IDLE: silence,
    }
    for state, samples in heard.items():
        controls = controls_of(perform(engine, samples, state=state, seed=1))
        figures = portrait_of(controls)
        if state == AvatarState.LISTENING:
            ends = [end for end in phrase_ends(samples) if end < len(controls)]
            shares = answered(head_deg(controls)[:, 1], ends)
            result["phrase ends, share a nod follows, share of all moments"] = [
                len(ends),
                *(round(s, 2) for s in shares),
            ]
            if shares[0] <= shares[1]:
                faults.append("nods do not follow what is said")
        result[state.name.lower()] = figures
        low, high = BLINKS_PER_MIN
        if not low <= figures["blinks per minute"] <= high:
            faults.append(f"{state.name.lower()}: {figures['blinks per minute']} blinks a minute")
        for name in HEAD_RANGE_DEG:
            if not HEAD_DEG[0] <= figures[f"{name}, degrees"] <= HEAD_DEG[1]:
                faults.append(f"{state.name.lower()}: {name} moves by {figures[f'{name}, degrees']} degrees")
        if state != AvatarState.SPEAKING and figures["mouth shut"] < 0.98:
            faults.append(f"{state.name.lower()}: the mouth opens")
        if figures["frozen frames"] > 0.01:
            faults.append(f"{state.name.lower()}: it freezes")
    result["motion at a switch, medians of that elsewhere"] = round(
        switches(engine, max(24.0, seconds / 4)), 2
    )
    runs = [controls_of(perform(engine, silence[: 20 * SAMPLE_RATE_HZ], seed=seed)) for seed in (1, 2)]
    result["two runs apart, of their deviation"] = round(
        float(np.abs(runs[0] - runs[1])[:, CALM].mean() / runs[0][:, CALM].std(axis=0).mean()), 2
    )
    rng, count = np.random.default_rng(0), 10 * SAMPLE_RATE_HZ
    sounds = {
        "breath": np.concatenate([np.pad(augment.breath_noise(rng), (0, 16000)) for _ in range(10)])[:count]
        * 0.05,
        "keyboard": augment.keyboard(count, rng) * np.float32(0.05),
        "pink noise": augment.coloured_noise(count, rng, 1.0) * np.float32(0.01),
        "hum": augment.hum(count, rng) * np.float32(0.01),
        "music": augment.music(count, rng) * np.float32(0.03),
    }
    shut = {}
    for name, samples in sounds.items():
        # As the daemon does where no voice is found: no utterance, so the state is idle.
        controls = controls_of(perform(engine, samples.astype(np.float32), state=AvatarState.IDLE))
        spoken = controls_of(perform(engine, samples.astype(np.float32), state=AvatarState.SPEAKING))
        shut[name] = [round(float(np.mean(aperture(c)[5:] < SHUT)), 3) for c in (controls, spoken)]
        if shut[name][0] < 1.0:
            faults.append(f"lips move on {name}")
    result["mouth shut on sounds that are no voice: idle, speaking"] = shut
    if float(str(result["motion at a switch, medians of that elsewhere"])) > MOST_JUMP:
        faults.append("a change of state shows a jump")
    return result, faults


def main() -> int:
    """Measures and tells."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.life", description=__doc__)
    parser.add_argument("--seconds", type=bounded(float, 10, 3600), default=180.0, help="in each state (180)")
    parser.add_argument("--pack", default="nano")
    args = parser.parse_args()
    with Engine(args.pack) as engine:
        return tell(*measure(engine, args.seconds))


if __name__ == "__main__":
    sys.exit(main())
