"""The shipped engine performs a recording: controls of every frame, and pictures where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from bridge.audio_file import decode_audio
from bridge.daemon import GREETING
from engine.pipeline import AvatarPipeline, Engine
from engine.types import CONTROL_NAMES, SAMPLE_RATE_HZ, AudioChunk, AvatarState, VideoFrame

Float = npt.NDArray[np.float32]
JAW, CLOSE = CONTROL_NAMES.index("jawOpen"), CONTROL_NAMES.index("mouthClose")
BLOCK_SAMPLES = 10 * SAMPLE_RATE_HZ


def greeting() -> Float:
    """The daemon's greeting, 16 kHz mono: speech that every checkout has."""
    return np.concatenate(list(decode_audio(GREETING, rate_hz=SAMPLE_RATE_HZ)), axis=1)[0]


def aperture(controls: Float) -> Float:
    """How far controls [..., 21] open the mouth, 0 shut."""
    opened: Float = controls[..., JAW] * (1.0 - controls[..., CLOSE])
    return opened


def perform(
    engine: Engine,
    samples: Float,
    *,
    state: AvatarState | None = None,
    watched: bool = False,
    seed: int = 1,
    size_px: int = 256,
) -> Iterator[VideoFrame]:
    """Frames of a whole recording (16 kHz mono); without `watched` no picture is decoded but the first."""
    with engine.avatar(size_px=size_px, seed=seed, lead_ms=None) as avatar:
        avatar.watched = watched
        avatar.set_state(state)
        yield from _fed(avatar, samples)


def _fed(avatar: AvatarPipeline, samples: Float) -> Iterator[VideoFrame]:
    """Pushes audio as frames come out, so that an hour of it does not wait in memory."""
    frames = avatar.frames()
    for start in range(0, len(samples), BLOCK_SAMPLES):
        block = samples[start : start + BLOCK_SAMPLES]
        avatar.push_audio(AudioChunk(block, start, "quality"))
        # What the look-ahead still lacks comes with the next block.
        ready = (len(block) * avatar.fps) // SAMPLE_RATE_HZ
        yield from islice(frames, max(0, ready - 20 if start == 0 else ready))
    avatar.finish()
    yield from frames


def controls_of(frames: Sequence[VideoFrame] | Iterator[VideoFrame]) -> Float:
    """Their controls: float32 [n, 21]."""
    return np.stack([frame.controls for frame in frames])
