"""When frames are shown: output times between model frames, and the one place that waits for a clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import floor

import numpy as np
import numpy.typing as npt

from engine.types import SAMPLE_RATE_HZ

Float = npt.NDArray[np.float32]


class Retimer:
    """Model frames to output frames of another rate, by linear interpolation of latents.

    Output frame n shows time n / fps, `pts_samples = round(n * 16000 / fps)`. Where the rates are the
    same every latent passes untouched.
    """

    def __init__(self, model_fps: int, fps: int) -> None:
        """Starts at output frame 0."""
        self._model_fps, self._fps = model_fps, fps
        self._next = 0

    def pts_samples(self, n: int) -> int:
        """Presentation time of output frame n."""
        return round(n * SAMPLE_RATE_HZ / self._fps)

    def rewind(self, at_samples: int) -> None:
        """Barge-in: output frames at or after a time are made again."""
        n = floor(at_samples * self._fps / SAMPLE_RATE_HZ)
        while self.pts_samples(n) < at_samples:
            n += 1
        self._next = min(self._next, n)

    def take(self, before: Float, latents: Float, first_frame: int) -> list[tuple[int, int, Float]]:
        """Output frames that a clip completes.

        Args:
            before: latent [C, h, w] of the model frame before the clip.
            latents: float32 [F, C, h, w].
            first_frame: index of the clip's first model frame.

        Returns:
            pts in samples, index within the clip whose label and time it bears, latent [C, h, w].
        """
        out = []
        last = first_frame + len(latents) - 1
        while self._next * self._model_fps <= last * self._fps:
            whole, part = divmod(self._next * self._model_fps, self._fps)
            low, high = whole - first_frame, whole + (part > 0) - first_frame
            latent = latents[high]
            if part:
                weight = np.float32(part / self._fps)
                earlier = latents[low] if low >= 0 else before
                latent = (1 - weight) * earlier + weight * latent
            out.append((self.pts_samples(self._next), high, latent))
            self._next += 1
        return out

    def hold(self, end_samples: int) -> list[int]:
        """Pts of the output frames from the last model frame to the recording's end."""
        out = []
        while (pts := self.pts_samples(self._next)) < end_samples:
            out.append(pts)
            self._next += 1
        return out


class Pacer:
    """A deadline clock: waits until a frame is due, skips one that is late.

    Deadlines are counted from one origin, never from the last frame, so nothing creeps.
    """

    def __init__(
        self,
        *,
        late_ms: float = 80.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Waits for an origin.

        Args:
            late_ms: a frame later than this is skipped.
            clock: seconds, never going back.
            sleep: waits for seconds.
        """
        self._late_s, self._clock, self._sleep = late_ms / 1000.0, clock, sleep
        self._origin_s = 0.0

    def start(self, pts_samples: int = 0, *, in_ms: float = 0.0) -> None:
        """Sets the origin: `pts_samples` is due `in_ms` from now."""
        self._origin_s = self._clock() + in_ms / 1000.0 - pts_samples / SAMPLE_RATE_HZ

    def now_samples(self) -> int:
        """What the clock shows now, in samples."""
        return floor((self._clock() - self._origin_s) * SAMPLE_RATE_HZ)

    def wait(self, pts_samples: int) -> bool:
        """Sleeps until a frame is due; False where it is too late to show it."""
        ahead_s = self._origin_s + pts_samples / SAMPLE_RATE_HZ - self._clock()
        if ahead_s > 0:
            self._sleep(ahead_s)
        return ahead_s >= -self._late_s
