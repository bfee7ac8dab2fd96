"""The shipped pack: whole, small, and alive from real speech to pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import bridge
from bridge.audio_file import decode_audio
from engine.models import find_pack
from engine.pipeline import Engine
from engine.portrait import read_picture
from engine.types import SAMPLE_RATE_HZ, AudioChunk, AvatarState

GREETING = Path(bridge.__file__).parent / "assets" / "greeting.wav"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine("nano", threads=1) as engine:
        yield engine


def perform(
    engine: Engine,
    samples: npt.NDArray[np.float32],
    state: AvatarState | None = None,
    *,
    spoken: bool = False,
    avatar: str | None = None,
) -> tuple[list[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    """Frames and what the pack's reader measures in them [F, 22]."""
    with engine.avatar(avatar, size_px=192, seed=1, lead_ms=None) as pipeline:
        pipeline.set_state(state)
        pipeline.push_audio(AudioChunk(samples, 0, "speech" if spoken else ""))
        pipeline.finish()
        frames = [frame.rgba for frame in pipeline.frames()]
        return frames, np.concatenate([pipeline.reader.read(rgba) for rgba in frames])


@pytest.fixture(scope="module")
def greeting() -> npt.NDArray[np.float32]:
    return np.concatenate(list(decode_audio(GREETING, rate_hz=SAMPLE_RATE_HZ)), axis=1)[0]


def test_pack_is_small() -> None:
    size = sum(file.stat().st_size for file in find_pack("nano").rglob("*") if file.is_file())
    assert size < 40 * MEGABYTE


def test_three_avatars_are_built_in(engine: Engine) -> None:
    assert set(engine.manifest.avatars) >= {"amber", "theo", "mika"}
    assert engine.manifest.default_avatar in engine.manifest.avatars


@pytest.mark.parametrize("avatar", ["amber", "theo", "mika"])
def test_its_avatars_are_framed_already_and_their_own_latent_shows_them(engine: Engine, avatar: str) -> None:
    drawn = np.asarray(read_picture(engine.manifest.avatars[avatar]))
    portrait = engine.portrait(avatar)
    made = engine.decoder(portrait, len(drawn)).decode(portrait.banks["ref_latent"][0])
    outside = np.ones(drawn.shape[:2], bool)
    for patch in engine.manifest.patches.values():
        left, top, right, bottom = (round((v + 1.0) * len(drawn) / 2) for v in patch.box)
        outside[top:bottom, left:right] = False
    np.testing.assert_array_equal(made[..., 3], drawn[..., 3])
    whole = outside & (drawn[..., 3] > 32)
    np.testing.assert_array_equal(made[whole], drawn[whole])


def test_mouth_opens_in_speech_and_stays_shut_in_silence(
    engine: Engine, greeting: npt.NDArray[np.float32]
) -> None:
    _, speech = perform(engine, greeting, spoken=True)
    _, silence = perform(engine, np.zeros(4 * SAMPLE_RATE_HZ, np.float32))
    assert np.quantile(speech[:, -1], 0.9) > 0.3
    assert np.mean(silence[5:, -1] < 0.15) > 0.95


def test_listening_moves_no_lip_to_the_voice_it_hears(
    engine: Engine, greeting: npt.NDArray[np.float32]
) -> None:
    _, measured = perform(engine, greeting, AvatarState.LISTENING)
    assert np.mean(measured[5:, -1] < 0.15) > 0.9


@pytest.mark.parametrize("avatar", ["amber", "theo", "mika"])
def test_idle_lives_and_its_corners_are_transparent(engine: Engine, avatar: str) -> None:
    frames, _ = perform(engine, np.zeros(4 * SAMPLE_RATE_HZ, np.float32), avatar=avatar)
    stack = np.stack(frames).astype(np.int16)
    assert np.abs(np.diff(stack, axis=0)).reshape(len(stack) - 1, -1).max(axis=1).min() > 0
    assert np.abs(stack[60] - stack[0]).mean() > 0.2
    assert stack[:, 0, 0, 3].max() == 0 and stack[:, 96, 96, 3].min() == 255
