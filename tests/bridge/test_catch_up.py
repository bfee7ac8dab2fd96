"""A live utterance whose queue was filled by a hiccup gets back in time, in the next pause."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.speech import SpeechQueue
from engine.audio import StreamingResampler

RATE_HZ = 16_000
BLOCK = 160
PAUSE_S, WORD_S = 0.3, 0.7


def voice(seconds: float) -> npt.NDArray[np.float32]:
    """Words with pauses between them, each sample its own value."""
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    loud = np.where(time_s % (PAUSE_S + WORD_S) < PAUSE_S, 0.002, 0.3)
    return (loud * np.sin(2 * np.pi * 220.5 * time_s)).astype(np.float32)


def run(
    queue: SpeechQueue, sound: npt.NDArray[np.float32], *, hiccup_at_s: float = -1.0, hiccup_s: float = 0.2
) -> tuple[npt.NDArray[np.float32], list[int]]:
    """Pushes and takes in real time, but for a hiccup of the taker; what was taken, and what waited."""
    taken, waited = [], []
    for number in range(len(sound) // BLOCK):
        queue.push("mic", sound[number * BLOCK : (number + 1) * BLOCK], RATE_HZ, live=True)
        now_s = number * BLOCK / RATE_HZ
        if hiccup_at_s <= now_s < hiccup_at_s + hiccup_s:
            continue
        found = queue.take(BLOCK)
        assert found is not None
        taken.append(found[1])
        waited.append(queue.waiting_samples)
    return np.concatenate(taken), waited


def speech_queue() -> SpeechQueue:
    return SpeechQueue(StreamingResampler, 300.0, 250.0)


def test_in_time_nothing_is_skipped() -> None:
    queue, sound = speech_queue(), voice(10)
    taken, _ = run(queue, sound)
    np.testing.assert_array_equal(taken, sound)
    assert queue.skipped_samples == 0


def test_what_a_hiccup_has_left_waiting_is_skipped_in_a_pause() -> None:
    queue, sound = speech_queue(), voice(10)
    taken, waited = run(queue, sound, hiccup_at_s=1.5)
    assert max(waited) >= 0.19 * RATE_HZ
    assert waited[-1] <= 0.02 * RATE_HZ
    assert queue.skipped_samples >= 0.18 * RATE_HZ
    through = sound[: len(taken) + queue.skipped_samples]
    assert np.count_nonzero(np.abs(taken) > 0.05) == np.count_nonzero(np.abs(through) > 0.05)


def test_who_never_pauses_is_not_cut() -> None:
    queue = speech_queue()
    sound = (0.3 * np.sin(np.arange(10 * RATE_HZ) * 0.1)).astype(np.float32)
    taken, waited = run(queue, sound, hiccup_at_s=1.5)
    assert queue.skipped_samples == 0 and waited[-1] >= 0.19 * RATE_HZ
    np.testing.assert_array_equal(taken, sound[: len(taken)])


def test_sound_from_before_the_voice_was_found_stays() -> None:
    queue, sound = speech_queue(), voice(10)
    head = int(0.2 * RATE_HZ)
    queue.push("mic", sound[:head], RATE_HZ, live=True)
    taken, _ = run(queue, sound[head:])
    np.testing.assert_array_equal(taken, sound[: len(taken)])
    assert queue.skipped_samples == 0
