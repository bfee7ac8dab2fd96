"""Records an avatar while it lives: picture and sound, in step by their time on the avatar's clock."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path

import av
import numpy as np

from bridge.errors import SettingError
from bridge.outputs.background import OPAQUE, read_background
from bridge.outputs.live_file import LiveVideoFile
from bridge.outputs.video_file import CODECS, check_goal
from bridge.presenter import PresentedFrame
from bridge.relay import Relay
from engine.types import SAMPLE_RATE_HZ, AudioChunk, VideoFrame

WAITING_PICTURES_BYTES = 128 * 2**20
"""Most pictures that wait for encoder and disk; further ones are dropped and counted."""
WAITING_AUDIO_S = 600
"""Sound that may wait; a disk that takes nothing for so long has failed."""
STOP_S = 1.0
"""Pictures that still wait so long after the stop are dropped."""

_log = logging.getLogger(__name__)


class Recording:
    """A file being written, from its making until `stop`; without a single frame there is no file.

    A failure is logged once, told to `on_failure` and ends the recording; the avatar lives on and what was
    written can be played.

    Attributes:
        path: the file: the one asked for or, where that exists, one with a number.
        failure: why it has ended early, "" if it has not.
        written_frames: pictures in the file.
        dropped_frames: pictures that encoder or disk were too slow for.
    """

    def __init__(
        self,
        goal: str,
        frames: Relay[PresentedFrame],
        audio: Relay[AudioChunk],
        *,
        size_px: int,
        fps: int,
        background: str = "",
        on_failure: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Starts with the next frame.

        Args:
            goal: path ending in .mp4 or .webm; an existing file is never overwritten.
            frames: the avatar's pictures.
            audio: what is heard with them.
            size_px: width and height of the pictures.
            fps: of the pictures.
            background: see `bridge.outputs.background`; "" is transparent in WebM and `OPAQUE` in MP4.
            on_failure: called with one line, from the recording's thread.

        Raises:
            SettingError: goal or background are not usable.
        """
        if Path(goal).suffix.lower() not in CODECS:
            raise SettingError(f"recording {goal}: its name has to end in {' or '.join(CODECS)}")
        can_be_transparent = check_goal(goal)
        behind = background or ("transparent" if can_be_transparent else OPAQUE)
        self._background = read_background(behind, size_px, size_px)
        self.path = _free(Path(goal))
        self.failure = ""
        self.written_frames = 0
        self.dropped_frames = 0
        self._file = LiveVideoFile(
            self.path,
            size_px=size_px,
            fps=fps,
            transparent=self._background.rgb is None,
            audio_rate_hz=SAMPLE_RATE_HZ,
        )
        self._fps = fps
        self._on_failure = on_failure
        self._frame_limit = max(4, WAITING_PICTURES_BYTES // (size_px * size_px * 4))
        self._waiting: deque[PresentedFrame | AudioChunk] = deque()
        self._waiting_frames = 0
        self._waiting_samples = 0
        self._start_samples: int | None = None
        self._heard_samples = 0
        self._last_index = -1
        self._stopped_s: float | None = None
        self._changed = threading.Condition()
        # Items are taken over as they are published: a barge-in withdraws only what nobody has seen yet.
        with self._changed:
            self._frames = frames.subscribe(newest=False, notify=self._take_frame)
            self._audio = audio.subscribe(newest=False, notify=self._take_audio)
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        """Whether it goes on."""
        return self._stopped_s is None and not self.failure

    @property
    def seconds(self) -> float:
        """Length of what is in the file."""
        return (self._last_index + 1) / self._fps

    def stop(self) -> None:
        """Writes what waits and completes the file; calling it again does nothing."""
        self._frames.close()
        self._audio.close()
        with self._changed:
            if self._stopped_s is None:
                self._stopped_s = time.monotonic()
            self._changed.notify_all()
        self._thread.join(timeout=5 * STOP_S)

    def _take_frame(self) -> None:
        """In the presenter's thread."""
        with self._changed:
            frame = self._frames.get(0)
            if frame is None or self.failure:
                return
            if self._waiting_frames >= self._frame_limit:
                self.dropped_frames += 1
                return
            if self._start_samples is None:
                self._start_samples = self._heard_samples = frame.pts_samples
            self._waiting.append(frame)
            self._waiting_frames += 1
            self._changed.notify_all()

    def _take_audio(self) -> None:
        """In the presenter's thread."""
        with self._changed:
            chunk = self._audio.get(0)
            if chunk is None or self.failure or self._waiting_samples > WAITING_AUDIO_S * SAMPLE_RATE_HZ:
                return
            self._waiting.append(chunk)
            self._waiting_samples += len(chunk.samples)
            self._changed.notify_all()

    def _next(self) -> PresentedFrame | AudioChunk | None:
        """Waits for the next item; None at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: bool(self._waiting) or self._stopped_s is not None)
                if not self._waiting:
                    return None
                item = self._waiting.popleft()
                if isinstance(item, AudioChunk):
                    self._waiting_samples -= len(item.samples)
                    return item
                self._waiting_frames -= 1
                if self._stopped_s is None or time.monotonic() - self._stopped_s < STOP_S:
                    return item
                self.dropped_frames += 1

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None:
                if isinstance(item, VideoFrame):
                    self._write_frame(item)
                else:
                    self._write_audio(item)
            if self.written_frames:
                self._file.finish()
            else:
                self._file.abort()
        except (OSError, av.FFmpegError) as error:
            self._fail(error)
        if self.dropped_frames:
            _log.warning("recording %s: too slow for %d frames", self.path, self.dropped_frames)

    def _write_frame(self, frame: PresentedFrame) -> None:
        assert self._start_samples is not None
        index = round((frame.pts_samples - self._start_samples) * self._fps / SAMPLE_RATE_HZ)
        if index <= self._last_index:
            return
        self._file.write_frame(self._background.composite(frame.rgba), index)
        self._last_index = index
        self.written_frames += 1

    def _write_audio(self, chunk: AudioChunk) -> None:
        """Sound before the first picture is left out; where pieces do not touch, silence is between them."""
        if self._start_samples is None:
            return
        gap = chunk.start_samples - self._heard_samples
        samples = (
            np.concatenate([np.zeros(gap, np.float32), chunk.samples]) if gap > 0 else chunk.samples[-gap:]
        )
        if len(samples):
            self._file.write_audio(samples[None])
            self._heard_samples += len(samples)

    def _fail(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error)
        self.failure = (
            f"recording {self.path} has ended early: {reason}; what was written until now can be played"
        )
        self._frames.close()
        self._audio.close()
        with self._changed:
            self._waiting.clear()
        self._file.leave()
        _log.error(self.failure)
        self._on_failure(self.failure)


def _free(path: Path) -> Path:
    """The path itself or, where that exists, the first free one with a number: talk.mp4, talk-2.mp4."""
    if not path.exists():
        return path
    return next(free for n in count(2) if not (free := path.with_stem(f"{path.stem}-{n}")).exists())
