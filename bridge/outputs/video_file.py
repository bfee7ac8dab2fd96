"""Frames and sound to a file: MP4 (H.264, AAC), WebM (VP9 with alpha, Opus) or numbered PNG pictures.

Everything is written under a temporary name beside its goal and renamed at the end, so that a render
that was broken off leaves nothing behind.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from av.packet import Packet
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from bridge.errors import SettingError

Float = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

AUDIO_RATE_HZ = 48_000
AUDIO_CHANNELS = 2
FRAME_NUMBER = re.compile(r"%0?\d*d")
CODECS = {".mp4": ("libx264", "aac"), ".webm": ("libvpx-vp9", "libopus")}
ENCODER_OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "17"},
    # Alternate reference frames do not go together with alpha in libvpx.
    "libvpx-vp9": {
        "crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "5", "row-mt": "1", "auto-alt-ref": "0",
    },
}  # fmt: skip


class VideoSink(Protocol):
    """Where a render goes; either `finish` or `abort` is called last."""

    transparent: bool

    def write_frame(self, pixels: Pixels) -> None:
        """Adds one frame, uint8 [S, S, 4] where `transparent`, else [S, S, 3]."""

    def write_audio(self, samples: Float) -> None:
        """Adds sound, float32 [2, T] at 48 kHz; it starts with the first frame."""

    def finish(self) -> None:
        """Completes the file and gives it its name."""

    def abort(self) -> None:
        """Removes what was written so far."""


def check_goal(goal: str) -> bool:
    """Looks at an output's name before anything is made.

    Returns:
        Whether this kind of output can be transparent.

    Raises:
        SettingError: unknown ending, or the folder is missing or not writable.
    """
    path = Path(goal)
    if path.suffix and not _is_frames(goal) and path.suffix.lower() not in CODECS:
        raise SettingError(
            f"output {goal}: cannot write {path.suffix}; use .mp4, .webm, a folder or frame_%05d.png"
        )
    if not path.parent.is_dir():
        raise SettingError(f"output folder {path.parent} does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise SettingError(f"output folder {path.parent} is not writable")
    return path.suffix.lower() != ".mp4"


def open_sink(goal: str, *, size_px: int, fps: int, transparent: bool) -> VideoSink:
    """Chooses the kind of output by how its name ends.

    Raises:
        SettingError: see `check_goal`; or the kind cannot hold what is asked for.
    """
    check_goal(goal)
    path = Path(goal)
    if not _is_frames(goal):
        return VideoFile(path, size_px=size_px, fps=fps, transparent=transparent)
    if FRAME_NUMBER.search(path.name):
        return PngFrames(path.parent, path.name, transparent)
    return PngFrames(path, "frame_%05d.png", transparent)


def _is_frames(goal: str) -> bool:
    """Whether the name means PNG frames: a frame number, a folder that is there, or no ending."""
    path = Path(goal)
    return bool(FRAME_NUMBER.search(path.name)) or path.is_dir() or goal.endswith(os.sep) or not path.suffix


class VideoFile:
    """MP4 or WebM with sound, written as the frames come; memory does not grow with its length."""

    def __init__(
        self, path: Path, *, size_px: int, fps: int, transparent: bool, audio_rate_hz: int = AUDIO_RATE_HZ
    ) -> None:
        """Opens the temporary file.

        Args:
            path: ends in .mp4 or .webm.
            size_px: width and height of the frames.
            fps: frames per second.
            transparent: keep the frames' alpha; not in MP4.
            audio_rate_hz: of the samples given; the file has 48 kHz stereo.

        Raises:
            SettingError: MP4 asked to be transparent, an odd size (4:2:0 halves it), or the file cannot be
                made.
        """
        suffix = path.suffix.lower()
        if transparent and suffix == ".mp4":
            raise SettingError(
                f"{path}: MP4 has no transparency; write .webm or PNG frames, or choose a background"
            )
        if size_px % 2:
            raise SettingError(f"{path}: video needs an even size, not {size_px} px")
        self.transparent = transparent
        self._path = path
        video_codec, audio_codec = CODECS[suffix]
        try:
            self._container = self._open(path)
        except OSError as error:
            raise SettingError(f"cannot write {path}: {error.strerror}") from error
        video = self._container.add_stream(video_codec, rate=fps)
        audio = self._container.add_stream(audio_codec, rate=AUDIO_RATE_HZ)
        assert isinstance(video, av.VideoStream) and isinstance(audio, av.AudioStream)
        self._video, self._audio = video, audio
        self._video.width = self._video.height = size_px
        self._video.pix_fmt = "yuva420p" if transparent else "yuv420p"
        self._frame_time = Fraction(1, fps)
        self._video.codec_context.time_base = self._frame_time
        self._video.codec_context.colorspace = Colorspace.ITU709
        self._video.codec_context.color_range = ColorRange.MPEG
        self._video.codec_context.color_primaries = 1  # BT.709, as is sRGB
        self._video.codec_context.color_trc = 13  # IEC 61966-2-1, sRGB
        self._video.options = dict(self._encoder_options(video_codec))
        self._audio.layout = "stereo"
        self._audio.bit_rate = 160_000
        self._audio_rate_hz = audio_rate_hz
        self._next_index = 0
        self._sample_count = 0

    def write_frame(self, pixels: Pixels, index: int | None = None) -> None:
        """Encodes a frame.

        Args:
            pixels: uint8 [S, S, 4] where `transparent`, else [S, S, 3].
            index: the frame is shown at index / fps; greater than the last one. None: it follows the last.

        Raises:
            OSError: the disk is full or gone.
        """
        picture = av.VideoFrame.from_ndarray(pixels, format="rgba" if self.transparent else "rgb24")
        # Left to itself libswscale converts by BT.601, which shifts every colour on a BT.709 screen.
        frame = picture.reformat(
            format=self._video.pix_fmt,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts = self._next_index if index is None else index
        frame.time_base = self._frame_time  # not the stream's, which changes once the header is written
        self._next_index = frame.pts + 1
        self._mux(self._video.encode(frame))

    def write_audio(self, samples: Float) -> None:
        """Encodes float32 [1, T] or [2, T]; it follows the last.

        Raises:
            OSError: the disk is full or gone.
        """
        block = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(np.clip(samples, -1.0, 1.0)),
            format="fltp",
            layout="stereo" if len(samples) == AUDIO_CHANNELS else "mono",
        )
        block.sample_rate = self._audio_rate_hz
        block.pts = self._sample_count
        block.time_base = Fraction(1, self._audio_rate_hz)
        self._sample_count += samples.shape[1]
        self._mux(self._audio.encode(block))

    def finish(self) -> None:
        """Flushes the encoders and renames the file to its goal.

        Raises:
            OSError: the disk is full or gone.
        """
        self._flush()
        self._part.replace(self._path)

    def abort(self) -> None:
        """Removes the temporary file."""
        self._container.close()
        self._part.unlink(missing_ok=True)

    @property
    def _part(self) -> Path:
        return self._path.with_name(f".{self._path.stem}.{os.getpid()}.part{self._path.suffix.lower()}")

    def _open(self, path: Path) -> OutputContainer:
        """Makes the file."""
        is_mp4 = path.suffix.lower() == ".mp4"
        return av.open(str(self._part), "w", options={"movflags": "+faststart"} if is_mp4 else {})

    def _encoder_options(self, codec: str) -> dict[str, str]:
        return ENCODER_OPTIONS[codec]

    def _mux(self, packets: Sequence[Packet[Any]]) -> None:
        self._container.mux(packets)

    def _flush(self) -> None:
        """Writes what the encoders hold and the file's end."""
        self._mux(self._video.encode(None))
        self._mux(self._audio.encode(None))
        self._container.close()


class PngFrames:
    """Numbered pictures in a folder, from 0; the sound is not written."""

    def __init__(self, folder: Path, pattern: str, transparent: bool) -> None:
        """Makes a temporary folder in or beside the goal.

        Raises:
            SettingError: the folder holds such frames already (a shorter render would leave a mixture), or
                the pattern is not usable.
        """
        number = FRAME_NUMBER.search(pattern)
        if number is None or not pattern.lower().endswith(".png") or pattern.count("%") != 1:
            raise SettingError(
                f"pattern {pattern!r}: needs one frame number such as %05d and the ending .png"
            )
        before, after = pattern[: number.start()], pattern[number.end() :]
        if folder.is_dir() and any(
            f.name.startswith(before) and f.name.endswith(after) for f in folder.iterdir()
        ):
            raise SettingError(f"{folder} already holds files like {pattern}; name an empty or a new folder")
        self.transparent = transparent
        self._folder = folder
        self._pattern = pattern
        self._part = (folder if folder.is_dir() else folder.parent) / f".frames.{os.getpid()}.part"
        self._part.mkdir()
        self._frame_count = 0

    def write_frame(self, pixels: Pixels) -> None:
        """Writes uint8 [S, S, 4] or [S, S, 3] as an RGBA picture."""
        picture = Image.fromarray(pixels).convert("RGBA")
        # Level 1: three times as fast as the default for files a tenth larger.
        picture.save(self._part / (self._pattern % self._frame_count), compress_level=1)
        self._frame_count += 1

    def write_audio(self, samples: Float) -> None:
        """Does nothing: pictures have no sound."""

    def finish(self) -> None:
        """Moves the pictures into the folder."""
        self._folder.mkdir(exist_ok=True)
        for picture in self._part.iterdir():
            picture.replace(self._folder / picture.name)
        self._part.rmdir()

    def abort(self) -> None:
        """Removes the temporary folder."""
        shutil.rmtree(self._part, ignore_errors=True)
