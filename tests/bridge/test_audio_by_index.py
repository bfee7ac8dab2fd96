"""Audio from the wire, cut and sent in any way: what is heard is what was meant, whatever the rate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.inputs.zmq_audio import MAX_GAP_S, AudioReader
from bridge.protocol.messages import Audio
from bridge.speech import SpeechQueue
from engine.audio import StreamingResampler, resample

Float = npt.NDArray[np.float32]
CHANCE = np.random.default_rng(1)
NOISE = CHANCE.uniform(-0.9, 0.9, (96_000, 2)).astype(np.float32)


def payload(samples: Float, form: str) -> bytes:
    if form == "s16":
        return np.round(samples * 32_767).astype("<i2").tobytes()
    return samples.astype("<f4").tobytes()


def meant(samples: Float, form: str) -> Float:
    """What a payload says."""
    if form == "s16":
        samples = (np.round(samples * 32_767) / 32_768.0).astype(np.float32)
    return samples.mean(axis=1, dtype=np.float32)


def heard(queue: SpeechQueue) -> Float:
    taken = []
    while (item := queue.take(320)) is not None:
        taken.append(item[1])
        queue.finished()
    return np.concatenate(taken) if taken else np.zeros(0, np.float32)


@settings(max_examples=40, deadline=None)
@given(
    rate_hz=st.one_of(st.sampled_from([8_000, 16_000, 44_100, 48_000, 192_000]), st.integers(8_000, 192_000)),
    channels=st.sampled_from([1, 2]),
    form=st.sampled_from(["s16", "f32"]),
    cuts=st.lists(st.integers(1, 12_000), min_size=1, max_size=12),
    fates=st.lists(
        st.sampled_from(["sent", "sent", "lost", "twice", "overlapping"]), min_size=12, max_size=12
    ),
)
def test_gaps_are_silence_and_repetitions_are_nothing(
    rate_hz: int, channels: int, form: str, cuts: list[int], fates: list[str]
) -> None:
    reader, queue = AudioReader(), SpeechQueue(StreamingResampler, 60.0, 250.0)
    source = NOISE[: sum(cuts), :channels]
    expected, start, reached = np.zeros(sum(cuts), np.float32), 0, 0

    def send(first: int, stop: int) -> None:
        message = Audio(
            utterance_id="u", sample_rate_hz=rate_hz, channels=channels, format=form, sample_index=first
        )
        data = payload(source[first:stop], form)
        samples = reader.read(message, data)
        if len(samples):
            queue.push("u", samples.mean(axis=1, dtype=np.float32), rate_hz)
        reader.taken(message, len(data))

    for count, fate in zip(cuts, fates, strict=False):
        stop = start + count
        if fate != "lost":
            first = max(0, start - 700) if fate == "overlapping" else start
            send(first, stop)
            if fate == "twice":
                send(start, stop)
            # Silence has taken the place of what was lost before: it is too late for that.
            expected[max(first, reached) : stop] = meant(source[max(first, reached) : stop], form)
            reached = stop
        start = stop
    queue.end("u")
    wanted = expected[:reached]
    result = heard(queue)
    if reached:
        np.testing.assert_allclose(result, resample(wanted, rate_hz), atol=2e-5)
    else:
        assert len(result) == 0


def test_the_longest_gap_at_its_edge() -> None:
    reader = AudioReader()
    message = Audio(utterance_id="u", sample_rate_hz=8_000, sample_index=MAX_GAP_S * 8_000)
    assert len(reader.read(message, bytes(2))) == MAX_GAP_S * 8_000 + 1
    late = Audio(utterance_id="u", sample_rate_hz=8_000, sample_index=MAX_GAP_S * 8_000 + 1)
    with pytest.raises(Exception, match="10 s at most"):
        reader.read(late, bytes(2))


def test_a_client_that_sends_sample_by_sample_costs_no_more_than_others() -> None:
    queue = SpeechQueue(StreamingResampler, 60.0, 250.0)
    for sample in NOISE[:4_000, :1]:
        queue.push("u", sample, 16_000)
    assert len(queue._utterances["u"]._pushed) <= 4_000 // 160 + 1
    queue.end("u")
    np.testing.assert_array_equal(heard(queue), NOISE[:4_000, 0])
