from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bridge.audio_file import decode_audio
from bridge.daemon import GREETING
from bridge.vad import CHUNK_SAMPLES, Vad
from engine.types import SAMPLE_RATE_HZ

Float = npt.NDArray[np.float32]
BLOCK = 160


def speech(path: Path = GREETING) -> Float:
    """The bundled greeting between two seconds of silence each, 16 kHz."""
    spoken = np.concatenate([block[0] for block in decode_audio(path, rate_hz=SAMPLE_RATE_HZ)])
    return np.pad(spoken, 2 * SAMPLE_RATE_HZ)


def noise(seconds: float, rms: float) -> Float:
    samples = np.random.default_rng(0).standard_normal(int(seconds * SAMPLE_RATE_HZ)) * rms
    return samples.astype(np.float32)


def decisions(vad: Vad, samples: Float, block: int = BLOCK) -> npt.NDArray[np.bool_]:
    """What the detector says after each block."""
    return np.array([vad.push(samples[at : at + block]) for at in range(0, len(samples), block)])


def spoken_ms(samples: Float) -> tuple[float, float]:
    """Where a recording is louder than -40 dB below its peak: its first and its last moment."""
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    return loud[0] * 1_000 / SAMPLE_RATE_HZ, loud[-1] * 1_000 / SAMPLE_RATE_HZ


@pytest.mark.parametrize("gain", [1.0, 0.05])
@pytest.mark.parametrize("noise_rms", [0.0, 0.002])
def test_speech_is_found_soon_and_left_after_the_hangover(gain: float, noise_rms: float) -> None:
    recording = speech() * np.float32(gain)
    first_ms, last_ms = spoken_ms(recording)
    heard = recording + noise(len(recording) / SAMPLE_RATE_HZ, noise_rms * gain)
    found_ms = np.flatnonzero(decisions(Vad(hangover_ms=400.0), heard)) * 10.0
    assert -100 < found_ms[0] - first_ms < 400
    assert 100 < found_ms[-1] - last_ms < 1_000


def test_what_is_no_voice_is_no_speech() -> None:
    clicks = np.zeros(5 * SAMPLE_RATE_HZ, np.float32)
    for at in range(1_000, len(clicks) - 200, 2_900):
        clicks[at : at + 160] = noise(0.01, 0.3) * np.exp(-np.arange(160, dtype=np.float32) / 40)
    hum = 0.1 * np.sin(2 * np.pi * 50 * np.arange(5 * SAMPLE_RATE_HZ, dtype=np.float32) / SAMPLE_RATE_HZ)
    for sound in (np.zeros(5 * SAMPLE_RATE_HZ, np.float32), noise(5, 0.01), clicks, hum):
        assert not decisions(Vad(), sound).any()


@pytest.mark.parametrize("block", [1, 37, 320, 4_096])
def test_the_size_of_the_blocks_does_not_matter(block: int) -> None:
    recording = speech()[SAMPLE_RATE_HZ : 4 * SAMPLE_RATE_HZ]
    once, cut = Vad(), Vad()
    probabilities = []
    for at in range(0, len(recording) - CHUNK_SAMPLES, CHUNK_SAMPLES):
        once.push(recording[at : at + CHUNK_SAMPLES])
        probabilities.append((once.probability, once.speaking))
    told: list[tuple[float, bool]] = []
    judged = 0
    for at in range(0, len(recording), block):
        cut.push(recording[at : at + block])
        if (at + block) // CHUNK_SAMPLES > judged:
            judged = (at + block) // CHUNK_SAMPLES
            told.append((cut.probability, cut.speaking))
    if block <= CHUNK_SAMPLES:
        assert told[: len(probabilities)] == probabilities[: len(told)]
    else:
        assert told[0] == probabilities[block // CHUNK_SAMPLES - 1]
    assert any(speaking for _, speaking in told)


def test_a_pause_shorter_than_the_hangover_does_not_end_speech() -> None:
    voice = speech()[2 * SAMPLE_RATE_HZ : 4 * SAMPLE_RATE_HZ]
    pause = np.zeros(SAMPLE_RATE_HZ // 2, np.float32)
    heard = np.concatenate([voice, pause, voice])
    patient = decisions(Vad(hangover_ms=1_000.0), heard).astype(int)
    hasty = decisions(Vad(hangover_ms=0.0), heard).astype(int)
    assert np.count_nonzero(np.diff(patient) == -1) == 0
    assert np.count_nonzero(np.diff(hasty) == -1) > 0


def test_a_longer_onset_needs_longer_speech() -> None:
    recording = speech()
    first = [int(np.argmax(decisions(Vad(onset_ms=onset_ms), recording))) for onset_ms in (0.0, 32.0, 320.0)]
    assert first[0] == first[1] < first[2]


def test_reset_forgets() -> None:
    recording, vad = speech(), Vad()
    before = decisions(vad, recording[: 4 * SAMPLE_RATE_HZ])
    assert vad.speaking
    vad.reset()
    assert not vad.speaking and vad.probability == 0.0
    assert np.argmax(decisions(vad, recording[: 4 * SAMPLE_RATE_HZ])) == np.argmax(before)


def test_negative_durations_are_refused() -> None:
    with pytest.raises(ValueError, match="hangover_ms -1"):
        Vad(hangover_ms=-1)
