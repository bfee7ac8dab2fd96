"""Clock, fed audio, lead and tracker: the pure parts of an avatar's real time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from bridge.clock import PresentationClock
from bridge.echo import FedAudio
from bridge.lead import MAX_LEAD_MS, LeadControl
from bridge.protocol.messages import Cancelled, Finished, FirstFrame, StateChanged
from bridge.state import SpeechTracker
from engine.types import AvatarState, VideoFrame


def frame(pts: int, state: AvatarState = AvatarState.SPEAKING) -> VideoFrame:
    return VideoFrame(np.zeros((2, 2, 4), np.uint8), pts, "", 0, state)


def test_the_clock_runs_with_the_wall_clock_and_can_be_held() -> None:
    now_ns = [5_000_000_000]
    clock = PresentationClock(lambda: now_ns[0])
    assert not clock.running and clock.now_samples() == 0
    clock.hold(640)
    now_ns[0] += 1_000_000_000
    assert clock.now_samples() == 16_640
    assert clock.until_ms(17_280) == 40.0
    clock.hold(16_000)
    assert clock.now_samples() == 16_000


def test_fed_audio_is_heard_without_gaps_though_frame_times_are_rounded() -> None:
    fed, heard = FedAudio(), []
    samples = np.arange(16_000, dtype=np.float32)
    for start in range(0, 16_000, 320):
        fed.append(samples[start : start + 320], "a", now_ns=start)
    assert fed.fed_ns(650) == 640
    for k in range(29):
        heard.append(fed.hear(round(k * 16_000 / 30), 533))
    joined = np.concatenate([chunk.samples for chunk in heard])
    np.testing.assert_array_equal(joined, samples[: len(joined)])
    assert all(a.start_samples + len(a.samples) == b.start_samples for a, b in pairwise(heard))


def test_rewinding_forgets_what_was_fed() -> None:
    fed = FedAudio()
    fed.append(np.ones(1_000, np.float32), "a", 0)
    fed.append(np.ones(1_000, np.float32), "a", 1)
    fed.rewind(600)
    assert fed.append(np.zeros(100, np.float32), "", 2).start_samples == 600
    heard = fed.hear(0, 700)
    assert heard.samples.sum() == 600 and heard.utterance_id == "a"
    assert fed.fed_ns(1_500) is None


def test_the_lead_rises_at_once_and_falls_slowly() -> None:
    lead = LeadControl(lookahead_ms=82.5, lead_ms=200.0, frame_ms=40.0)
    assert lead.lead_ms == 200.0
    lead.observe(120.0)
    assert lead.lead_ms == 82.5 + 120.0 + 20.0
    for _ in range(25):
        lead.observe(20.0)
    assert 82.5 + 95.0 + 20.0 < lead.lead_ms < 82.5 + 105.0 + 20.0
    for _ in range(500):
        lead.observe(5.0)
    assert lead.lead_ms == 82.5 + 5.0 + 20.0
    lead.observe(5_000.0)
    assert lead.lead_ms == MAX_LEAD_MS
    for _ in range(15 * 25):
        lead.observe(20.0)
    assert lead.lead_ms < 200.0  # one hang is not paid for by minutes of delay


def test_the_tracker_tells_first_frame_finish_and_state() -> None:
    tracker = SpeechTracker("default")
    tracker.started("a", 1_000, turn_ns=0)
    assert tracker.shown(frame(640, AvatarState.IDLE), 0) == []
    events = tracker.shown(frame(1_280), 50_000_000)
    assert [type(e) for e in events] == [StateChanged, FirstFrame]
    assert tracker.first_frame_ms == 50.0
    tracker.ended("a", 2_000)
    assert tracker.shown(frame(1_920), 0) == []
    assert [type(e) for e in tracker.shown(frame(2_560), 0)] == [Finished]
    assert tracker.shown(frame(3_200), 0) == []


def test_the_tracker_cancels_what_is_under_way_and_what_waits() -> None:
    tracker = SpeechTracker("default")
    tracker.started("a", 0, 0)
    ids = [e.utterance_id for e in tracker.cancelled(["a", "b"], 640) if isinstance(e, Cancelled)]
    assert ids == ["a", "b"]
    assert tracker.cancelled([], 640) == []
