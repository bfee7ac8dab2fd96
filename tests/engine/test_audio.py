from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio import AudioRing, StreamingResampler, checked_samples, resample
from engine.errors import AudioFormatError
from engine.features import mel_timeline, mel_windows
from engine.types import AudioChunk

Float = npt.NDArray[np.float32]
RATES_HZ = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000)


def _noise(count: int) -> Float:
    return (np.random.default_rng(count).standard_normal(count) * 0.1).astype(np.float32)


def _pieces(samples: Float, sizes: list[int]) -> Iterator[Float]:
    start = 0
    while start < len(samples):
        for size in sizes:
            yield samples[start : start + size]
            start += size


def _ring(samples: Float, sizes: list[int]) -> AudioRing:
    ring = AudioRing()
    for piece in _pieces(samples, sizes):
        if len(piece):
            ring.append(AudioChunk(piece, ring.end_samples))
    return ring


# --- checked_samples


def test_integers_and_channels_become_mono_floats() -> None:
    stereo = np.array([[16384, 0], [-32768, -32768]], np.int16)
    np.testing.assert_allclose(checked_samples(stereo), [0.25, -1.0])
    assert checked_samples(np.array([3.0, -3.0])).tolist() == [1.0, -1.0]
    assert checked_samples(np.zeros(3)).dtype == np.float32


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros(0, np.float32), "mic: holds no samples"),
        (np.array([0.0, np.nan, np.inf], np.float32), "mic: sample 1 is not a finite number"),
        (np.zeros((2, 2, 2), np.float32), r"mic: float32 of shape \(2, 2, 2\), expected"),
        (np.zeros(4, np.uint8), "mic: uint8"),
        (np.array(["a"]), "mic: <U1"),
    ],
)
def test_what_is_not_audio_is_refused(samples: npt.NDArray[np.generic], said: str) -> None:
    with pytest.raises(AudioFormatError, match=said):
        checked_samples(samples, origin="mic")


# --- StreamingResampler


@pytest.mark.parametrize("rate_hz", [0, -1, 7_999, 192_001, 10**9])
def test_absurd_rates_are_refused(rate_hz: int) -> None:
    with pytest.raises(AudioFormatError, match=f"rate {rate_hz} Hz is outside 8000..192000 Hz"):
        StreamingResampler(rate_hz)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_tone_keeps_pitch_loudness_and_place(rate_hz: int) -> None:
    tone = np.sin(2 * np.pi * 1000.0 * np.arange(rate_hz) / rate_hz).astype(np.float32)
    out = resample(tone, rate_hz)
    assert len(out) == 16_000
    expected = np.sin(2 * np.pi * 1000.0 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(out[200:-200], expected[200:-200], atol=2e-4)


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 192_000])
def test_what_16_khz_cannot_hold_is_gone(rate_hz: int) -> None:
    tone = np.sin(2 * np.pi * 9_000.0 * np.arange(rate_hz) / rate_hz).astype(np.float32)
    assert np.abs(resample(tone, rate_hz)[200:-200]).max() < 1e-3


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("sizes", [[1], [7, 160], [480], [3000, 1]])
def test_chunks_of_any_size_give_the_same(rate_hz: int, sizes: list[int]) -> None:
    samples = _noise(rate_hz // 20 + 3)
    resampler = StreamingResampler(rate_hz)
    parts = [resampler.push(piece) for piece in _pieces(samples, sizes)]
    streamed = np.concatenate([*parts, resampler.flush()])
    whole = resample(samples, rate_hz)
    assert len(whole) == -(-len(samples) * 16_000 // rate_hz)
    np.testing.assert_allclose(streamed, whole, atol=1e-6)


def test_delay_is_two_milliseconds_at_most() -> None:
    for rate_hz in RATES_HZ[3:]:
        ready = len(StreamingResampler(rate_hz).push(_noise(rate_hz)))
        assert 16_000 - ready <= 32


# --- AudioRing


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 30_000), sizes=st.lists(st.integers(1, 5_000), min_size=1, max_size=4))
def test_windows_are_those_of_the_whole_recording(count: int, sizes: list[int]) -> None:
    samples = _noise(count)
    ring = _ring(samples, sizes)
    before_the_end = ring.frames_ready(640)
    ring.finished = True
    frames = ring.frames_ready(640)
    assert frames == -(-count // 640)
    expected = mel_windows(mel_timeline(samples), frames)
    first = 0
    while first < frames:
        length = min(8, frames - first)
        # BLAS rounds the last bit by the number of rows; a sample off would show at 1e-2.
        given_windows = ring.mel_windows(first, length)
        np.testing.assert_allclose(given_windows, expected[first : first + length], rtol=0, atol=1e-6)
        first += length
    ring.finished = False
    if before_the_end:
        last = ring.mel_windows(before_the_end - 1, 1)[0]
        np.testing.assert_allclose(last, expected[before_the_end - 1], rtol=0, atol=1e-6)


def test_a_frame_is_ready_once_its_last_mel_frame_is() -> None:
    assert _ring(_noise(1319), [1319]).frames_ready(640) == 0
    assert _ring(_noise(1320), [100]).frames_ready(640) == 1
    assert _ring(_noise(1960), [100]).frames_ready(640) == 2


def test_audio_has_to_be_contiguous() -> None:
    ring = _ring(_noise(100), [100])
    for start in (0, 99, 101):
        with pytest.raises(AudioFormatError, match=f"starts at sample {start}, expected 100"):
            ring.append(AudioChunk(_noise(10), start))
    for bad in (np.zeros(0, np.float32), np.full(5, np.nan, np.float32)):
        with pytest.raises(AudioFormatError, match="audio chunk at sample 100"):
            ring.append(AudioChunk(bad, 100))
    assert ring.end_samples == 100


def test_utterances_are_known_by_sample() -> None:
    ring = AudioRing()
    for name in ("", "a", "a", "b"):
        ring.append(AudioChunk(_noise(10), ring.end_samples, name))
    assert [ring.utterance_at(k) for k in (0, 9, 10, 29, 30, 99)] == ["", "", "a", "a", "b", "b"]
    ring.cut(25)
    ring.append(AudioChunk(_noise(10), 25, "c"))
    assert [ring.utterance_at(k) for k in (24, 25)] == ["a", "c"]
    ring.cut(0)
    assert ring.utterance_at(24) == ""


def test_cut_and_silence_up_to_a_later_time() -> None:
    ring = _ring(_noise(1000), [1000])
    ring.cut(400)
    assert ring.end_samples == 400
    np.testing.assert_array_equal(ring.read(390, 410)[10:], 0.0)
    ring.cut(500)
    assert ring.end_samples == 500
    np.testing.assert_array_equal(ring.read(400, 500), 0.0)


def test_the_past_is_let_go_and_cannot_be_cleared() -> None:
    samples = _noise(200_000)
    ring = AudioRing()
    for piece in _pieces(samples, [1600]):
        ring.append(AudioChunk(piece, ring.end_samples))
        ring.discard_before(ring.end_samples - 20_000)
    assert 0 < ring.start_samples <= 180_000
    start = ring.start_samples
    np.testing.assert_array_equal(ring.read(start, 200_000), samples[start:])
    with pytest.raises(AudioFormatError, match=f"cannot clear from sample {start - 1}"):
        ring.cut(start - 1)
