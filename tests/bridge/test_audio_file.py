"""Audio files of every kind become the same samples; what is no audio is told in one line."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from bridge.audio_file import audio_duration_s, decode_audio
from bridge.errors import AudioInputError

CODECS = {"wav": "pcm_s16le", "mp3": "libmp3lame", "ogg": "libopus", "flac": "flac", "m4a": "aac"}


def write(path: Path, samples: np.ndarray, rate_hz: int, codec: str = "") -> Path:
    """float [C, T] to a file."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec or CODECS[path.suffix[1:]], rate=rate_hz)
        stream.layout = layout
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate_hz, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decoded(source: Path | io.BytesIO, rate_hz: int = 16_000, channels: int = 1) -> np.ndarray:
    return np.concatenate(list(decode_audio(source, rate_hz=rate_hz, channels=channels)), axis=1)


@pytest.mark.parametrize(
    "ending, rate_hz", [("wav", 8_000), ("mp3", 44_100), ("ogg", 48_000), ("flac", 96_000), ("m4a", 22_050)]
)
def test_every_format_keeps_level_and_place(tmp_path: Path, ending: str, rate_hz: int) -> None:
    time_s = np.arange(rate_hz) / rate_hz
    tone = np.where(time_s >= 0.5, 0.5 * np.sin(2 * np.pi * 500.0 * time_s), 0.0)
    path = write(tmp_path / f"a.{ending}", np.stack([tone, tone]), rate_hz)
    for source in (path, io.BytesIO(path.read_bytes())):
        samples = decoded(source)
        assert samples.dtype == np.float32 and samples.shape[0] == 1
        assert samples.shape[1] == pytest.approx(16_000, abs=1_600)  # lossy codecs pad
        assert np.flatnonzero(np.abs(samples[0]) > 0.2)[0] == pytest.approx(8_000, abs=80)
        assert np.sqrt((samples[0, 9_000:15_000] ** 2).mean()) == pytest.approx(0.5 / 2**0.5, rel=0.1)
    assert audio_duration_s(path) == pytest.approx(1.0, abs=0.1)


def test_channels_are_averaged_or_spread(tmp_path: Path) -> None:
    left, right = np.full(4_000, 0.4), np.full(4_000, -0.2)
    stereo = write(tmp_path / "a.wav", np.stack([left, right]), 16_000)
    assert decoded(stereo)[0] == pytest.approx(0.1, abs=1e-3)
    both = decoded(stereo, channels=2)
    assert both[0] == pytest.approx(0.4, abs=1e-3) and both[1] == pytest.approx(-0.2, abs=1e-3)
    surround = write(tmp_path / "b.wav", np.stack([left] * 3 + [right] * 3), 16_000)
    assert decoded(surround, channels=2) == pytest.approx(np.full((2, 4_000), 0.1), abs=1e-3)


def test_what_is_no_audio(tmp_path: Path) -> None:
    good = write(tmp_path / "good.wav", np.zeros((1, 800)), 16_000).read_bytes()
    (tmp_path / "text.wav").write_text("once upon a time " * 99)
    (tmp_path / "no_bytes.wav").touch()
    with wave.open(str(tmp_path / "no_samples.wav"), "wb") as empty:
        empty.setparams((1, 2, 16_000, 0, "NONE", ""))
    for name, rate_hz in (("slow", 3), ("fast", 2_000_000_000)):
        (tmp_path / f"{name}.wav").write_bytes(good[:24] + rate_hz.to_bytes(4, "little") + good[28:])
    write(tmp_path / "nan.wav", np.full((1, 800), np.nan), 16_000, "pcm_f32le")
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'good.wav'}\n#EXT-X-ENDLIST\n")
    expected = {
        "none.wav": "does not exist", "text.wav": "audio", "no_bytes.wav": "is empty",
        "no_samples.wav": "is empty", "slow.wav": "claims 3 Hz",
        "fast.wav": "Hz", "nan.wav": "NaN", "list.m3u8": "not an audio file",
    }  # fmt: skip
    for name, told in expected.items():
        path = tmp_path / name
        for source in (path, io.BytesIO(path.read_bytes())) if path.exists() else (path,):
            with pytest.raises(AudioInputError) as caught:
                list(decode_audio(source, rate_hz=16_000, name=name))
            assert name in str(caught.value) and "\n" not in str(caught.value)
            if source is path:
                assert told in str(caught.value), name
    with pytest.raises(AudioInputError, match="is a folder"):
        audio_duration_s(tmp_path)
