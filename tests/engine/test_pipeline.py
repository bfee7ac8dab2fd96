from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import AudioFormatError, ConfigError, EngineError
from engine.expression import SPOKEN
from engine.pipeline import AvatarPipeline, Engine
from engine.types import AudioChunk, AvatarState, VideoFrame
from tests.toy_pack import avatar_picture, build_toy_pack

Float = npt.NDArray[np.float32]
SPEAKING, LISTENING, IDLE = AvatarState


def _speech(seconds: float, *, loud: tuple[float, float] = (0.4, 0.6)) -> Float:
    """Silence but for noise between two times, in seconds."""
    samples = np.zeros(round(seconds * 16_000), np.float32)
    start, stop = (min(round(t * 16_000), len(samples)) for t in loud)
    samples[start:stop] = np.random.default_rng(0).standard_normal(stop - start) * 0.2
    return samples


def _push(
    avatar: AvatarPipeline,
    samples: Float,
    sizes: list[int],
    *,
    start: int = 0,
    name: str = "u",
    finish: bool = False,
) -> None:
    place = 0
    while place < len(samples):
        for size in sizes:
            piece = samples[place : place + size]
            if len(piece):
                avatar.push_audio(AudioChunk(piece, start + place, name))
            place += size
    if finish:
        avatar.finish()


def _light(frame: VideoFrame) -> int:
    size = len(frame.rgba)
    return int(frame.rgba[size // 2, size // 2, 0])


def _render(engine: Engine, samples: Float, **options: Any) -> list[VideoFrame]:
    with engine.avatar(**{"size_px": 64, "seed": 3, "lead_ms": None, **options}) as avatar:
        _push(avatar, samples, [len(samples)])
        avatar.finish()
        return list(avatar.frames())


@pytest.fixture
def avatar(engine: Engine) -> Iterator[AvatarPipeline]:
    with engine.avatar(size_px=64, seed=3) as live:
        yield live


# --- the flow


def test_frames_follow_the_audio(engine: Engine) -> None:
    frames = _render(engine, _speech(1.01))
    assert [frame.pts_samples for frame in frames] == [k * 640 for k in range(26)]
    for frame in frames:
        assert frame.rgba.shape == (64, 64, 4)
        assert frame.rgba.dtype == np.uint8
        assert (frame.utterance_id, frame.epoch, frame.state) == ("u", 0, SPEAKING)
        assert set(frame.stage_ms) == {"features", "audio_encoder", "denoise", "decode"}
    light = [_light(frame) for frame in frames]
    # Loud from 0.4 to 0.6 s: frames 10 to 14 show the 40 ms from their own time on.
    assert min(light[10:15]) > 60
    assert max(light[:10] + light[16:]) < 25
    assert frames[0].rgba[0, 0, 3] == 0
    assert frames[0].rgba[32, 32, 3] == 255


@pytest.mark.parametrize("lead_ms", [640, None])
def test_chunking_does_not_change_the_output(engine: Engine, lead_ms: int | None) -> None:
    samples = _speech(0.9)
    whole = _render(engine, samples)
    for sizes in ([160], [1000, 7, 3001]):
        with engine.avatar(size_px=64, seed=3, lead_ms=lead_ms) as avatar:
            pusher = threading.Thread(target=_push, args=(avatar, samples, sizes), kwargs={"finish": True})
            pusher.start()
            frames = list(avatar.frames())
            pusher.join()
        assert [f.pts_samples for f in frames] == [f.pts_samples for f in whole]
        # A clip of another length may round a latent's last bit the other way.
        assert max(np.abs(a.rgba.astype(int) - b.rgba).max() for a, b in zip(frames, whole, strict=True)) <= (
            1 if lead_ms else 0
        )


def test_seeds_differ(engine: Engine) -> None:
    first, again, other = (_render(engine, _speech(0.2), seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.rgba, b.rgba) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.rgba, b.rgba) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("fps", [10, 30, 60])
def test_other_frame_rates(engine: Engine, fps: int) -> None:
    frames = _render(engine, _speech(1.0), fps=fps)
    assert [frame.pts_samples for frame in frames] == [round(n * 16_000 / fps) for n in range(fps)]
    loud = [frame.pts_samples for frame in frames if _light(frame) > 60]
    assert min(loud) >= 6_000 and max(loud) <= 10_000


def test_first_frame_needs_no_more_than_its_look_ahead(avatar: AvatarPipeline) -> None:
    avatar.push_audio(AudioChunk(np.zeros(1320, np.float32), 0))
    assert next(avatar.frames()).pts_samples == 0


def test_empty_recording_ends_at_once(avatar: AvatarPipeline) -> None:
    avatar.finish()
    assert list(avatar.frames()) == []


def test_a_live_avatar_keeps_its_lead(engine: Engine) -> None:
    with engine.avatar(size_px=64, lead_ms=320) as avatar:
        _push(avatar, _speech(4.0), [64_000])
        for taken, frame in enumerate(islice(avatar.frames(), 60)):
            with avatar._changed:
                assert avatar._planner.next_frame <= taken + 1 + 8
            assert frame.pts_samples == taken * 640


# --- states


def test_label_follows_the_utterances(engine: Engine) -> None:
    with engine.avatar(size_px=64, lead_ms=None) as avatar:
        silence = np.zeros(3200, np.float32)
        for start, name in ((0, ""), (3200, "a"), (6400, "")):
            avatar.push_audio(AudioChunk(silence, start, name))
        avatar.finish()
        frames = list(avatar.frames())
    assert [frame.state for frame in frames] == [IDLE] * 5 + [SPEAKING] * 5 + [IDLE] * 5
    assert [frame.utterance_id for frame in frames] == [""] * 5 + ["a"] * 5 + [""] * 5
    green = [int(frame.rgba[32, 32, 1]) for frame in frames]
    assert min(green[:5] + green[10:]) > max(green[5:10]) + 50


def test_a_state_change_takes_effect_with_the_next_clip(avatar: AvatarPipeline) -> None:
    _push(avatar, np.zeros(1320 + 14 * 640, np.float32), [640])
    frames = avatar.frames()
    assert [frame.state for frame in islice(frames, 15)] == [SPEAKING] * 15
    avatar.set_state(LISTENING)
    _push(avatar, np.zeros(640 * 4, np.float32), [2560], start=1320 + 14 * 640)
    assert [frame.state for frame in islice(frames, 4)] == [LISTENING] * 4
    avatar.set_state(None)
    _push(avatar, np.zeros(640, np.float32), [640], start=1320 + 18 * 640)
    assert next(frames).state == SPEAKING


def test_the_clip_after_a_state_change_is_short(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine.avatar(size_px=64) as avatar:
        lengths: list[int] = []
        original = avatar._denoiser.generate

        def generate(plan: Any, *rest: Any) -> Any:
            lengths.append(plan.clip_length)
            return original(plan, *rest)

        monkeypatch.setattr(avatar._denoiser, "generate", generate)
        heard = _speech(2.0, loud=(0.0, 2.0))
        _push(avatar, heard[: 1320 + 14 * 640], [20_000])
        frames = avatar.frames()
        assert len(list(islice(frames, 15))) == 15
        avatar.set_state(LISTENING)
        _push(avatar, heard[: 7 * 640], [20_000], start=1320 + 14 * 640)
        assert len(list(islice(frames, 7))) == 7
    assert lengths == [1, 2, 4, 8, 1, 2, 4]


def test_a_live_avatar_foresees_silence_and_hears_what_comes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.avatar(size_px=64, seed=0) as avatar:
        made: list[tuple[int, int]] = []
        original = avatar._denoiser.generate

        def generate(plan: Any, *rest: Any) -> Any:
            made.append((plan.first_frame, plan.clip_length))
            return original(plan, *rest)

        monkeypatch.setattr(avatar._denoiser, "generate", generate)
        frames, pushed = avatar.frames(), 1320 - 640

        def hear(samples: Float) -> VideoFrame:
            nonlocal pushed
            avatar.push_audio(AudioChunk(samples, pushed))
            pushed += len(samples)
            return next(frames)

        avatar.push_audio(AudioChunk(np.zeros(pushed, np.float32), 0))
        for number in range(12):
            frame = hear(np.zeros(640, np.float32))
            assert frame.pts_samples == number * 640
            assert _light(frame) < 25
            deadline_s = time.monotonic() + 10.0
            while not any(first <= number + 1 < first + length for first, length in made):
                assert time.monotonic() < deadline_s, "nothing was foreseen"
                time.sleep(0.005)
        assert max(length for _, length in made) == 8
        assert len(made) <= 3
        loud = _speech(0.4, loud=(0.0, 0.4))
        lights = [_light(hear(part)) for part in loud.reshape(-1, 640)]
        assert max(lights) > 60, "what was foreseen did not come true"
        assert [length for _, length in made[3:]].count(1) >= 8


# --- barge-in


def test_after_a_barge_in_no_frame_is_of_the_old_epoch(avatar: AvatarPipeline) -> None:
    _push(avatar, _speech(2.0, loud=(0.0, 2.0)), [32_000], name="old")
    frames = avatar.frames()
    assert [frame.pts_samples for frame in islice(frames, 5)] == [k * 640 for k in range(5)]
    at_samples = 7 * 640 + 100
    assert avatar.clear(at_samples) == avatar.epoch == 1
    _push(avatar, _speech(1.0), [16_000], start=at_samples, name="new")
    avatar.finish()
    rest = list(avatar.frames())
    assert {frame.epoch for frame in rest} == {1}
    assert [frame.pts_samples for frame in rest] == list(range(5 * 640, at_samples + 16_000, 640))
    assert [frame.utterance_id for frame in rest] == ["old"] * 3 + ["new"] * (len(rest) - 3)
    assert min(_light(frame) for frame in rest[:2]) > 60
    assert max(_light(frame) for frame in rest[5:10]) < 25


@pytest.mark.parametrize("fps", [25, 60])
def test_a_barge_in_behind_what_was_taken_goes_back(engine: Engine, fps: int) -> None:
    with engine.avatar(size_px=64, fps=fps) as avatar:
        _push(avatar, _speech(2.0, loud=(0.0, 2.0)), [32_000], name="old")
        taken = list(islice(avatar.frames(), fps))
        at_samples = taken[fps // 2].pts_samples
        avatar.clear(at_samples)
        _push(avatar, np.zeros(8_000, np.float32), [8_000], start=at_samples, name="new")
        avatar.finish()
        rest = list(avatar.frames())
    assert [frame.pts_samples for frame in rest] == [
        round(n * 16_000 / fps) for n in range(fps // 2, fps // 2 + len(rest))
    ]
    last = rest[-1].pts_samples
    assert last < at_samples + 8_000 <= last + 16_000 // fps + 1
    assert {(frame.epoch, frame.utterance_id) for frame in rest} == {(1, "new")}
    assert _light(rest[-1]) < 25


def test_motion_frames_after_a_barge_in_are_the_last_ones_before_it_with_a_mouth_at_rest(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.avatar(size_px=64) as avatar:
        made: dict[int, Float] = {}
        carried: list[Float] = []
        original = avatar._denoiser.generate

        def generate(plan: Any, audio_emb: Float, motion_frames: Float) -> Float:
            latents = original(plan, audio_emb, motion_frames)
            if plan.epoch == 0:
                made.update(enumerate(latents, plan.first_frame))
            else:
                carried.append(motion_frames)
            return latents

        monkeypatch.setattr(avatar._denoiser, "generate", generate)
        _push(avatar, _speech(1.0, loud=(0.0, 1.0)), [16_000])
        list(islice(avatar.frames(), 12))
        avatar.clear(8 * 640)
        _push(avatar, np.zeros(1320, np.float32), [1320], start=8 * 640)
        assert next(avatar.frames()).pts_samples == 8 * 640
        rest = avatar.portrait.banks["ref_latent"][0]
    before = np.stack([made[k] for k in (4, 5, 6, 7)])
    settled = np.where(SPOKEN.reshape(rest.shape), rest, before)
    assert not np.array_equal(settled, before)
    np.testing.assert_array_equal(carried[0][0], settled)


def test_after_a_barge_in_nothing_is_heard_of_what_was_said(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.avatar(size_px=64) as avatar:
        heard: list[Float] = []
        windows = avatar._audio.mel_windows

        def keep(*where: int) -> Float:
            heard.append(windows(*where))
            return heard[-1]

        monkeypatch.setattr(avatar._audio, "mel_windows", keep)
        _push(avatar, _speech(1.0, loud=(0.0, 1.0)), [16_000])
        list(islice(avatar.frames(), 12))
        loud = max(float(window.max()) for window in heard)
        heard.clear()
        avatar.clear(8 * 640)
        _push(avatar, np.zeros(1320, np.float32), [1320], start=8 * 640)
        assert next(avatar.frames()).pts_samples == 8 * 640
    silence = np.float32(np.log(1e-4) / 4.0)
    assert loud > silence + 0.5
    np.testing.assert_allclose(heard[0], silence, atol=1e-4)


def test_barge_ins_at_any_moment_keep_the_clock_whole(engine: Engine) -> None:
    rng = np.random.default_rng(5)
    for _ in range(15):
        with engine.avatar(size_px=64, fps=int(rng.choice([25, 30])), lead_ms=1000) as avatar:
            end, shown = 0, 0
            frames = avatar.frames()
            for _ in range(4):
                _push(avatar, np.zeros(16_000, np.float32), [16_000], start=end)
                end += 16_000
                for frame in islice(frames, int(rng.integers(1, 12))):
                    assert frame.epoch == avatar.epoch
                    assert frame.pts_samples == round(shown * 16_000 / avatar.fps)
                    shown += 1
                end = frame.pts_samples + int(rng.integers(1, 4_000))
                avatar.clear(end)
            avatar.finish()
            for frame in frames:
                assert (frame.epoch, frame.pts_samples) == (4, round(shown * 16_000 / avatar.fps))
                shown += 1
            assert frame.pts_samples < end <= round(shown * 16_000 / avatar.fps)


# --- bad input and ends


def test_wrong_audio_is_refused_and_the_avatar_lives_on(avatar: AvatarPipeline) -> None:
    for bad in (np.zeros(0, np.float32), np.full(100, np.nan, np.float32)):
        with pytest.raises(AudioFormatError):
            avatar.push_audio(AudioChunk(bad, 0))
    with pytest.raises(AudioFormatError, match="expected 0"):
        avatar.push_audio(AudioChunk(np.zeros(10, np.float32), 5))
    avatar.push_audio(AudioChunk(np.zeros(640, np.float32), 0))
    avatar.finish()
    assert len(list(avatar.frames())) == 1
    with pytest.raises(AudioFormatError, match="after finish"):
        avatar.push_audio(AudioChunk(np.zeros(10, np.float32), 640))


@pytest.mark.parametrize(("part", "name"), [("_denoiser", "generate"), ("_decoder", "decode")])
def test_a_dead_stage_is_heard_of(
    avatar: AvatarPipeline, monkeypatch: pytest.MonkeyPatch, part: str, name: str
) -> None:
    def broken(*args: Any) -> None:
        raise MemoryError("no more")

    monkeypatch.setattr(getattr(avatar, part), name, broken)
    _push(avatar, np.zeros(32_000, np.float32), [32_000])
    with pytest.raises(EngineError, match="failed: MemoryError: no more"):
        list(avatar.frames())


def test_close_ends_a_waiting_consumer_within_a_second(engine: Engine) -> None:
    avatar = engine.avatar(size_px=64)
    got: list[list[VideoFrame]] = []
    consumer = threading.Thread(target=lambda: got.append(list(avatar.frames())))
    consumer.start()
    start_s = time.monotonic()
    avatar.close()
    avatar.close()
    consumer.join(1.0)
    assert time.monotonic() - start_s < 1.0
    assert got == [[]]


def test_close_with_everything_full(engine: Engine) -> None:
    avatar = engine.avatar(size_px=64, lead_ms=None)
    _push(avatar, np.zeros(160_000, np.float32), [160_000])
    assert next(avatar.frames()).pts_samples == 0
    avatar.close()
    assert list(avatar.frames()) == []


# --- the engine


def test_avatars_share_the_engine_and_the_portrait(engine: Engine, toy_pack: Path) -> None:
    with engine.avatar(size_px=64) as one, engine.avatar("toy", size_px=96) as two:
        assert one.portrait is two.portrait
        assert engine.portrait(toy_pack / "avatars" / "toy.png") is one.portrait
        for avatar in (one, two):
            avatar.push_audio(AudioChunk(np.zeros(1320, np.float32), 0))
        assert next(one.frames()).rgba.shape == (64, 64, 4)
        assert next(two.frames()).rgba.shape == (96, 96, 4)
    with engine.avatar(avatar_picture(256, scale=0.7), size_px=64) as three:
        assert three.portrait is not one.portrait


@pytest.mark.parametrize(
    ("options", "said"),
    [({"size_px": 50}, "size_px = 50"), ({"fps": 61}, "fps = 61"), ({"steps": 3}, "samples in 1, 2 steps")],
)
def test_values_out_of_bounds(engine: Engine, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        engine.avatar(**options)


def test_provider_is_said(engine: Engine, toy_pack: Path) -> None:
    assert engine.provider == "CPU"
    with pytest.raises(ConfigError, match="'abacus' is unknown"):
        Engine(toy_pack, provider="abacus")


def test_reanchoring_pack(tmp_path: Path) -> None:
    pack = build_toy_pack(tmp_path, reanchor_every_frames=5)
    with Engine(pack, provider="CPU") as engine:
        assert len(_render(engine, _speech(0.5))) == 13


def test_the_runtime_needs_no_torch_and_no_sockets() -> None:
    code = (
        "import sys, engine.pipeline, engine.benchmark\n"
        "bad = {'torch', 'zmq', 'msgpack', 'engine.train', 'engine.export', 'bridge'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(bad)}' if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_nothing_is_decoded_while_nobody_looks(engine: Engine) -> None:
    """Loudness changes what the toy pack shows; unwatched frames keep the last picture but tell the truth."""
    with engine.avatar(size_px=64, seed=1, lead_ms=None) as avatar:
        avatar.watched = False
        quiet, loud = np.zeros(16_000, np.float32), np.full(16_000, 0.5, np.float32)
        avatar.push_audio(AudioChunk(np.concatenate([quiet, loud]), 0, "u"))
        avatar.finish()
        made = list(avatar.frames())
    assert len({frame.rgba.tobytes() for frame in made}) == 1
    assert made[-1].controls[0] > made[0].controls[0]
    assert [frame.pts_samples for frame in made] == [640 * k for k in range(50)]
