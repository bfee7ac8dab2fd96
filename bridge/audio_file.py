"""Any file or upload that PyAV reads, decoded to float32 blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer

from bridge.errors import AudioInputError

Float = npt.NDArray[np.float32]

RATES_HZ = (4_000, 384_000)
UPLOAD_FORMATS = "wav,w64,mp3,ogg,flac,mov,matroska,webm,aac,aiff,caf,au"
"""Demuxers an upload may use: none of them opens another file or address, as playlists do."""


def decode_audio(
    source: Path | BinaryIO, *, rate_hz: int, channels: int = 1, name: str | None = None
) -> Iterator[Float]:
    """Decodes the first audio stream, resampled and mixed to what is asked for.

    Args:
        source: a file, or the open bytes of an upload (then only `UPLOAD_FORMATS` are tried).
        rate_hz: sample rate of the result.
        channels: 1 or 2.
        name: what error messages call the source; its path by default.

    Yields:
        float32 [channels, T], -1..1 (louder sources are not clipped), blocks of any length T > 0.

    Raises:
        AudioInputError: no such file, no audio in it, damaged, empty, non-finite samples, absurd rate.
    """
    name = name or str(source)
    decoded_samples = 0
    try:
        with _open(source, name) as container:
            # libswresample only changes the rate: its own mix of channels to float is louder than the source.
            resampler = av.AudioResampler("fltp", rate=rate_hz)
            for frame in _frames(container):
                for block in resampler.resample(frame):
                    if block.samples:
                        decoded_samples += block.samples
                        yield _mixed(block, channels, name, decoded_samples / rate_hz)
    except (av.FFmpegError, ValueError) as error:  # ValueError: the stream changes its format midway
        at = f"is damaged after {decoded_samples / rate_hz:.1f} s" if decoded_samples else "cannot be decoded"
        raise AudioInputError(f"{name} {at}; convert it to WAV and try again") from error
    if decoded_samples == 0:
        raise AudioInputError(f"{name} is empty: it holds no audio samples")


def audio_duration_s(path: Path) -> float | None:
    """Seconds of audio the file claims to hold, None if it does not say; same errors as `decode_audio`."""
    with _open(path, str(path)) as container:
        stream = container.streams.audio[0]
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return None if container.duration is None else container.duration / 1_000_000


def _open(source: Path | BinaryIO, name: str) -> InputContainer:
    if isinstance(source, Path) and not source.is_file():
        problem = "is a folder, not an audio file" if source.is_dir() else "does not exist"
        raise AudioInputError(f"{name} {problem}")
    try:
        if isinstance(source, Path):
            container = av.open(str(source), "r")
        else:
            container = av.open(source, "r", options={"format_whitelist": UPLOAD_FORMATS})
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(source, Path) and source.stat().st_size == 0:
            raise AudioInputError(f"{name} is empty: the file has no bytes") from error
        raise AudioInputError(f"{name} is not an audio file that can be read (WAV, MP3, OGG, ...)") from error
    if not container.streams.audio:
        container.close()
        raise AudioInputError(f"{name} contains no audio")
    rate_hz = container.streams.audio[0].rate
    if not rate_hz or not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        container.close()
        raise AudioInputError(f"{name} claims {rate_hz} Hz; {RATES_HZ[0]} to {RATES_HZ[1]} Hz can be read")
    return container


def _frames(container: InputContainer) -> Iterator[av.AudioFrame | None]:
    for frame in container.decode(container.streams.audio[0]):
        frame.pts = None  # gaps and offsets in the file's own clock are not silence
        yield frame
    yield None  # flushes the resampler


def _mixed(block: av.AudioFrame, channels: int, name: str, end_s: float) -> Float:
    samples = np.asarray(block.to_ndarray(), np.float32)
    if not np.isfinite(samples).all():
        raise AudioInputError(f"{name} contains NaN or infinite samples before {end_s:.1f} s")
    if len(samples) != channels:
        samples = np.repeat(samples.mean(axis=0, keepdims=True, dtype=np.float32), channels, axis=0)
    return samples
