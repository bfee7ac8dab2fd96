"""What the model hears of a take: the clean voices of its script made to sound like real recordings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.train.data.augment import breath_noise, draw_noise, pass_channel, rms, second_voice
from engine.train.data.gestures import ease
from engine.train.data.script import Script
from engine.types import SAMPLE_RATE_HZ

Float = npt.NDArray[np.float32]


def record(
    script: Script, state: npt.NDArray[np.int64], fps: int, rng: np.random.Generator, plain: bool = False
) -> Float:
    """The one track the model hears: both voices through their channels, a bystander, noise, breaths, level.

    Args:
        script: the take's clean voices, float32 [T] each.
        state: int64 [n], label of every video frame; noise may come and go with it.
        fps: video rate in Hz.
        rng: source of every choice.
        plain: leave the clean voices as they are.

    Returns:
        float32 [T], -1..1; the peak of the own voice lies at about -40..0 dBFS.
    """
    count = len(script.own)
    if plain:
        clean: Float = np.clip(script.own + script.other, -1.0, 1.0)
        return clean
    own, other = pass_channel(script.own, rng), pass_channel(script.other, rng)
    other = other * np.float32(10.0 ** (rng.uniform(-14.0, 8.0) / 20.0))
    level = rms(script.own if script.phones else script.other)
    x: Float = own + other
    breaths_s = [start_s for start_s, _ in script.phrases if rng.random() < 0.3]
    breaths_s += rng.uniform(1.0, count / SAMPLE_RATE_HZ, int(rng.integers(0, 4))).tolist()
    for before_s in breaths_s:
        breath = breath_noise(rng) * np.float32(level * 10.0 ** (rng.uniform(-36.0, -12.0) / 20.0))
        end = int((before_s - rng.uniform(0.02, 0.2)) * SAMPLE_RATE_HZ)
        if end > len(breath):
            x[end - len(breath) : end] += breath
    if rng.random() < 0.12:
        beside = second_voice(count, rng, script.bystander)
        x = x + beside * np.float32(level * 10.0 ** (-rng.uniform(10.0, 25.0) / 20.0))
    for _ in range(int(rng.choice([0, 1, 2], p=[0.12, 0.63, 0.25]))):
        noise = draw_noise(count, rng, [script.bystander])
        snr_db = rng.triangular(2.0, 26.0, 50.0)
        opened = rng.uniform(-3.0, 12.0, 3) * rng.integers(0, 2, 3)  # a microphone's gain control
        per_state = 10.0 ** (opened / 20.0)
        if rng.random() < 0.2:
            per_state[rng.integers(3)] = 0.0
        gain = ease(per_state[state], fps, 0.3)
        gain = np.interp(np.arange(count) * fps / SAMPLE_RATE_HZ, np.arange(len(gain)), gain)
        x = x + noise * (gain * level * 10.0 ** (-snr_db / 20.0)).astype(np.float32)
    peak_db = rng.triangular(-40.0, -9.0, 3.0)
    loudest = own if script.phones else other
    x = x * np.float32(10.0 ** (peak_db / 20.0) / max(float(np.abs(loudest).max()), 1e-4))
    return np.clip(x, -1.0, 1.0).astype(np.float32)
