from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from bridge.errors import AudioInputError, QueueFullError, UtteranceCancelledError
from bridge.speech import MAX_UTTERANCES, SpeechQueue
from engine.audio import StreamingResampler, resample


class Clock:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def ramp(count: int) -> npt.NDArray[np.float32]:
    return np.linspace(-0.5, 0.5, count, dtype=np.float32)


def queue(limit_s: float = 10.0, clock: Clock | None = None) -> SpeechQueue:
    return SpeechQueue(StreamingResampler, limit_s, 250.0, clock or Clock())


def drain(speech: SpeechQueue, step: int = 160) -> dict[str, npt.NDArray[np.float32]]:
    taken: dict[str, list[npt.NDArray[np.float32]]] = {}
    while (item := speech.take(step)) is not None:
        utterance, samples = item
        taken.setdefault(utterance.utterance_id, []).append(samples)
        assert len(samples) <= step
        if speech.finished() is None and not len(samples):
            break
    return {name: np.concatenate(parts) for name, parts in taken.items()}


def test_utterances_come_in_order_and_whole() -> None:
    speech = queue()
    speech.push("a", ramp(1_000), 16_000)
    speech.push("b", ramp(500), 16_000)
    speech.push("a", ramp(300), 16_000)
    speech.end("a")
    speech.end("b")
    taken = drain(speech)
    assert list(taken) == ["a", "b"]
    np.testing.assert_array_equal(taken["a"], np.concatenate([ramp(1_000), ramp(300)]))
    assert speech.waiting_samples == speech.waiting_utterances == 0


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled_without_seams(rate_hz: int) -> None:
    speech, samples = queue(), ramp(rate_hz // 2)
    for piece in np.array_split(samples, 7):
        speech.push("a", piece, rate_hz)
    assert abs(speech.waiting_samples - 8_000) < 20
    speech.end("a")
    np.testing.assert_allclose(drain(speech)["a"], resample(samples, rate_hz), atol=1e-6)


def test_a_full_queue_refuses_the_whole_chunk() -> None:
    speech = queue(limit_s=1.0)
    speech.push("a", ramp(12_000), 16_000)
    with pytest.raises(QueueFullError, match="limit of 1 s"):
        speech.push("a", ramp(4_001), 16_000)
    assert speech.waiting_samples == 12_000
    speech.push("a", ramp(4_000), 16_000)


def test_the_limit_may_change() -> None:
    speech = queue(limit_s=1.0)
    speech.push("a", ramp(12_000), 16_000)
    speech.set_limit(0.5)
    with pytest.raises(QueueFullError, match="the limit of"):
        speech.push("a", ramp(1), 16_000)
    assert speech.waiting_samples == 12_000
    speech.set_limit(2.0)
    speech.push("a", ramp(20_000), 16_000)


def test_too_many_utterances_are_refused() -> None:
    speech = queue()
    for number in range(MAX_UTTERANCES):
        speech.push(str(number), ramp(1), 16_000)
    with pytest.raises(QueueFullError, match="utterances wait"):
        speech.push("one more", ramp(1), 16_000)


def test_a_rate_that_changes_is_refused() -> None:
    speech = queue()
    speech.push("a", ramp(100), 16_000)
    with pytest.raises(AudioInputError, match="16000 Hz and now claims 48000 Hz"):
        speech.push("a", ramp(100), 48_000)


def test_audio_after_the_end_is_refused() -> None:
    speech = queue()
    speech.push("a", ramp(100), 16_000)
    speech.end("a")
    with pytest.raises(AudioInputError, match="has ended already"):
        speech.push("a", ramp(100), 16_000)


def test_an_utterance_whose_client_vanished_is_over_after_a_second() -> None:
    clock = Clock()
    speech = queue(clock=clock)
    speech.push("a", ramp(100), 16_000)
    speech.take(160)
    assert speech.finished() is None
    clock.now_ns = 999_000_000
    assert speech.finished() is None
    clock.now_ns = 1_000_000_000
    ended = speech.finished()
    assert ended is not None and ended.utterance_id == "a"


def test_a_cancelled_stream_does_not_begin_again_until_its_end() -> None:
    speech = queue()
    speech.push("a", ramp(100), 16_000)
    speech.push("b", ramp(100), 16_000)
    speech.end("b")
    assert speech.cancel() == ["a", "b"]
    assert speech.take(10) is None
    with pytest.raises(UtteranceCancelledError, match="new utterance_id"):
        speech.push("a", ramp(100), 16_000)
    speech.push("b", ramp(100), 16_000)  # b was complete: its id is free
    speech.end("a")
    speech.push("a", ramp(100), 16_000)


def test_the_last_samples_of_a_vanished_client_are_spoken_too() -> None:
    """Of two samples at 48 kHz the resampler gives nothing before the end."""
    clock = Clock()
    speech = queue(clock=clock)
    speech.push("a", ramp(2), 48_000)
    taken = speech.take(160)
    assert taken is not None and len(taken[1]) == 0
    clock.now_ns = 1_000_000_000
    assert speech.finished() is None
    taken = speech.take(160)
    assert taken is not None and len(taken[1]) == 1
    ended = speech.finished()
    assert ended is not None and ended.utterance_id == "a"


def test_live_audio_keeps_the_newest() -> None:
    speech = queue(limit_s=1.0)
    samples = ramp(48_000)
    for piece in np.array_split(samples, 480):
        speech.push("mic", piece, 16_000, live=True)
    assert speech.waiting_samples == 4_100
    assert speech.skipped_samples == 43_900
    speech.end("mic")
    np.testing.assert_array_equal(drain(speech)["mic"], samples[-4_100:])


@pytest.mark.parametrize(("head_ms", "kept_ms"), [(20, 20), (260, 260), (500, 500), (501, 500), (3_000, 500)])
def test_a_live_utterance_may_begin_before_its_voice_was_found(head_ms: int, kept_ms: int) -> None:
    """Beside its first piece there is as much room as ever for what follows."""
    speech = queue()
    speech.push("mic", ramp(head_ms * 48), 48_000, live=True)
    for _ in range(100):
        speech.push("mic", ramp(20 * 48), 48_000, live=True)
    assert speech.waiting_samples == (250 + kept_ms) * 16
    speech.push("other", ramp(480), 48_000, live=True)
    for _ in range(100):
        speech.push("other", ramp(480), 48_000, live=True)
    assert speech.waiting_samples == (250 + kept_ms + 250 + 10) * 16
