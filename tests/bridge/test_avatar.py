from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from bridge.avatar import AvatarSession
from bridge.errors import (
    AudioInputError,
    AvatarFailedError,
    ExpressionError,
    UnsupportedError,
    UtteranceCancelledError,
)
from bridge.protocol.messages import (
    Cancelled,
    Error,
    Event,
    ExpressionChanged,
    Finished,
    FirstFrame,
    StateChanged,
    Statistics,
)
from bridge.relay import Subscription
from engine.errors import ConfigError
from engine.types import AudioChunk, AvatarState, VideoFrame
from tests.bridge.fake_pipeline import FakePipeline

SPEECH = np.full(8_000, 0.25, np.float32)  # half a second at 16 kHz


@contextmanager
def session(pipeline: FakePipeline | None = None, **changes: Any) -> Iterator[AvatarSession]:
    avatar = AvatarSession(pipeline or FakePipeline(), fps=25, size_px=8, **changes)
    try:
        yield avatar
    finally:
        avatar.close()


def wait_until(true: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + 5.0
    while not true() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return true()


def await_event(events: Subscription[Event], wanted: type, timeout_s: float = 5.0) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        event = events.get(left_s)
        if isinstance(event, wanted):
            return event
    raise AssertionError(f"no {wanted.__name__} within {timeout_s} s")


def collect(frames: Subscription[VideoFrame], seconds: float) -> list[tuple[float, VideoFrame]]:
    taken, deadline_s = [], time.monotonic() + seconds
    while (left_s := deadline_s - time.monotonic()) > 0:
        frame = frames.get(left_s)
        if frame is not None:
            taken.append((time.monotonic(), frame))
    return taken


def test_frames_are_paced_to_wall_time_and_contiguous() -> None:
    with session() as avatar:
        frames = avatar.frames.subscribe(newest=False)
        assert frames.get(2.0) is not None
        taken = collect(frames, 1.0)
        stalled_s = avatar.statistics().stalled_ms / 1_000.0
    pts = [frame.pts_samples for _, frame in taken]
    assert np.diff(pts).tolist() == [640] * (len(pts) - 1)
    spent_s = taken[-1][0] - taken[0][0]
    paced_s = (len(taken) - 1) / 25
    assert paced_s - 0.05 < spent_s < paced_s + stalled_s + 0.05  # a busy machine may hold the clock


def test_speech_is_told_and_echoed_in_step() -> None:
    with session() as avatar:
        frames = avatar.frames.subscribe(newest=False)
        echo, events = avatar.audio.subscribe(newest=False), avatar.events.subscribe(newest=False)
        avatar.push_audio(SPEECH, 16_000, "a")
        avatar.end_utterance("a")
        first = await_event(events, FirstFrame)
        finished = await_event(events, Finished)
        assert await_event(events, Statistics).state in ("speaking", "idle")
        chunks: list[AudioChunk] = []
        while (chunk := echo.get(0)) is not None:
            chunks.append(chunk)
        shown = [frame for _, frame in collect(frames, 0.05)]
    assert first.latency_ms < 300
    assert abs(finished.pts_samples - first.pts_samples - 8_000) <= 640
    heard = np.concatenate([chunk.samples for chunk in chunks])
    assert np.count_nonzero(heard) == 8_000
    # The first piece may belong to a frame from before the subscription.
    assert {chunk.start_samples for chunk in chunks[1:]} <= {frame.pts_samples for frame in shown}
    assert {frame.state for frame in shown} == {AvatarState.SPEAKING, AvatarState.IDLE}


def test_barge_in_is_quick_and_nothing_old_follows() -> None:
    with session() as avatar:
        frames, events = avatar.frames.subscribe(newest=False), avatar.events.subscribe(newest=False)
        avatar.push_audio(np.tile(SPEECH, 20), 16_000, "long")
        await_event(events, FirstFrame)
        while frames.get(0) is not None:
            pass
        start_s = time.monotonic()
        avatar.cancel()
        assert await_event(events, Cancelled).utterance_id == "long"
        after = collect(frames, 0.4)
        with pytest.raises(UtteranceCancelledError):
            avatar.push_audio(SPEECH, 16_000, "long")
        statistics = avatar.statistics()
    assert {frame.epoch for _, frame in after} == {1}
    assert {frame.state for _, frame in after} == {AvatarState.IDLE}
    assert after[0][0] - start_s < 0.15
    assert statistics.queues["speech_ms"] == 0
    assert statistics.stalls == 0


def test_a_client_that_vanishes_leaves_the_avatar_idle() -> None:
    with session() as avatar:
        events = avatar.events.subscribe(newest=False)
        avatar.push_audio(SPEECH, 16_000, "a")
        await_event(events, FirstFrame)
        assert await_event(events, Finished).utterance_id == "a"
        assert avatar.statistics().state == "idle" or await_event(events, StateChanged).state == "idle"


def test_a_stream_in_real_time_is_spoken_without_gaps() -> None:
    pipeline = FakePipeline()
    with session(pipeline) as avatar:
        events = avatar.events.subscribe(newest=False)
        start_s = time.monotonic()
        for number, piece in enumerate(np.array_split(np.tile(SPEECH, 2), 50)):
            avatar.push_audio(piece, 16_000, "live", live=True)
            time.sleep(max(0.0, start_s + (number + 1) * 0.02 - time.monotonic()))
        avatar.end_utterance("live")
        await_event(events, Finished)
        spoken = np.concatenate([c.samples for c in pipeline.chunks if c.utterance_id == "live"])
    assert np.count_nonzero(spoken) == 16_000
    assert np.count_nonzero(spoken == 0) < 800  # at most 50 ms of silence where the thread was late


def test_late_frames_hold_the_clock_and_are_counted() -> None:
    pipeline = FakePipeline()
    with session(pipeline) as avatar:
        frames = avatar.frames.subscribe(newest=False)
        assert frames.get(2.0) is not None
        pipeline.compute_s = 0.3
        assert collect(frames, 0.4)
        pipeline.compute_s = 0.0
        taken = collect(frames, 0.5)
        statistics = avatar.statistics()
    assert statistics.stalls >= 1 and statistics.stalled_ms > 20
    assert np.diff([frame.pts_samples for _, frame in taken]).tolist() == [640] * (len(taken) - 1)
    assert statistics.queues["frames"] < 16


def test_set_state_reaches_the_engine() -> None:
    pipeline = FakePipeline()
    with session(pipeline) as avatar:
        events = avatar.events.subscribe(newest=False)
        avatar.set_state(AvatarState.LISTENING)
        assert await_event(events, StateChanged).state == "listening"
        avatar.set_state(None)
        assert await_event(events, StateChanged).state == "idle"


class Loud:
    """Takes for speech whatever is not silent."""

    def push(self, samples: np.ndarray) -> bool:
        return bool(np.abs(samples).max() > 0.1)


def test_it_hears_the_other_party_and_does_not_repeat_it() -> None:
    pipeline = FakePipeline()
    with session(pipeline, make_detector=Loud) as avatar:
        events, echo = avatar.events.subscribe(newest=False), avatar.audio.subscribe(newest=False)
        avatar.push_other(np.tile(SPEECH, 4), 16_000, "theirs")
        avatar.end_other("theirs")
        assert await_event(events, StateChanged).state == "listening"
        assert avatar.statistics().queues["other_ms"] > 0
        assert await_event(events, StateChanged).state == "idle"
        heard = np.concatenate([c.samples for c in pipeline.chunks])
        assert np.count_nonzero(heard) == 32_000
        assert {c.utterance_id for c in pipeline.chunks} == {""}
        while (chunk := echo.get(0)) is not None:
            assert not chunk.samples.any()


def test_speaking_comes_before_listening_and_a_barge_in_returns_to_it() -> None:
    pipeline = FakePipeline()
    with session(pipeline, make_detector=Loud) as avatar:
        events = avatar.events.subscribe(newest=False)
        avatar.push_other(np.tile(SPEECH, 20), 16_000, "theirs")
        assert await_event(events, StateChanged).state == "listening"
        avatar.push_audio(np.tile(SPEECH, 4), 16_000, "own")
        assert await_event(events, StateChanged).state == "speaking"
        avatar.cancel()
        assert pipeline.state is AvatarState.LISTENING
        assert await_event(events, StateChanged).state == "listening"
        avatar.set_state(AvatarState.IDLE)
        assert await_event(events, StateChanged).state == "idle"


def test_it_knows_whether_it_is_watched() -> None:
    with session() as avatar:
        assert not avatar.watched
        frames = avatar.frames.subscribe(newest=True)
        assert avatar.watched
        frames.close()
        assert not avatar.watched


def test_the_engine_is_told_whether_somebody_looks() -> None:
    pipeline = FakePipeline()
    with session(pipeline) as avatar:
        assert wait_until(lambda: not pipeline.watched)
        frames = avatar.frames.subscribe(newest=True)
        assert wait_until(lambda: pipeline.watched)
        frames.close()
        assert wait_until(lambda: not pipeline.watched)


def test_latency_counts_from_the_arrival_of_live_sound() -> None:
    with session() as avatar:
        frames = avatar.frames.subscribe(newest=False)
        start_s = time.monotonic()
        for number, piece in enumerate(np.array_split(SPEECH, 25)):
            avatar.push_audio(piece, 16_000, "live", live=True)
            time.sleep(max(0.0, start_s + (number + 1) * 0.02 - time.monotonic()))
        shown = [getattr(frame, "arrived_ns", 0) for _, frame in collect(frames, 0.3) if frame.utterance_id]
        latency_ms = avatar.statistics().latency_ms
    arrived_ns = [at_ns for at_ns in shown if at_ns]  # a late piece leaves a gap, which has not arrived
    assert len(arrived_ns) >= 3 and arrived_ns == sorted(arrived_ns)
    assert 0 <= arrived_ns[0] / 1e9 - start_s <= arrived_ns[-1] / 1e9 - start_s < 2
    assert 50 < latency_ms < 600


def test_expressions_reach_an_engine_that_has_them() -> None:
    class Expressive(FakePipeline):
        expression: Mapping[str, float] = {}

        def set_expression(self, controls: Mapping[str, float]) -> None:
            if "nose" in controls:
                raise ConfigError("no control 'nose'")
            self.expression = controls

    pipeline = Expressive()
    with session(pipeline) as avatar:
        events = avatar.events.subscribe(newest=False)
        assert avatar.can_set_expression
        avatar.set_expression({"mouthSmile": 0.5}, "happy")
        told = await_event(events, ExpressionChanged)
        assert (told.preset, told.controls, pipeline.expression) == ("happy",) + ({"mouthSmile": 0.5},) * 2
        with pytest.raises(ExpressionError, match="nose"):
            avatar.set_expression({"nose": 1.0})
    with session() as plain, pytest.raises(UnsupportedError):
        plain.set_expression({})


def test_a_broken_engine_is_told_in_one_line() -> None:
    pipeline = FakePipeline()
    with session(pipeline) as avatar:
        events = avatar.events.subscribe(newest=False)
        pipeline.broken.set()
        error = await_event(events, Error)
        assert error.code == "avatar_failed" and "the card is gone" in error.text
        with pytest.raises(AvatarFailedError, match="start the daemon again"):
            avatar.push_audio(SPEECH, 16_000, "a")


@pytest.mark.parametrize(
    ("push", "words"),
    [
        (lambda a: a.push_audio(np.array([0.0, np.nan], np.float32), 16_000, "a"), "not a finite number"),
        (lambda a: a.push_audio(np.zeros(0, np.float32), 16_000, "a"), "no samples"),
        (lambda a: a.push_audio(np.zeros((5, 3), np.float32), 16_000, "a"), "stereo"),
        (lambda a: a.push_audio(np.zeros(5, np.float32), 400, "a"), "8000 to 192000"),
        (lambda a: a.push_audio(np.zeros(5, np.float32), 16_000, ""), "utterance_id is empty"),
    ],
)
def test_bad_audio_is_refused_and_the_avatar_lives_on(
    push: Callable[[AvatarSession], None], words: str
) -> None:
    with session() as avatar:
        with pytest.raises(AudioInputError, match=words):
            push(avatar)
        assert avatar.frames.subscribe(newest=True).get(2.0) is not None
