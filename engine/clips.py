"""What to generate next: clip length, class labels, epoch, and the motion frames carried over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from engine.types import AvatarState, ClipPlan

Float = npt.NDArray[np.float32]

HISTORY_FRAMES = 512
"""Latents kept for a barge-in to go back to: 20 s."""
CUTS_KEPT = 256
"""Barge-ins that a clip on its way may have missed; its frames are older than the last cut in any case."""


class ClipPlanner:
    """A short clip first, longer ones after; a state change or barge-in starts over at the short one.

    Attributes:
        epoch: number of barge-ins so far.
        next_frame: index of the next clip's first frame.
    """

    def __init__(self, clip_lengths: Sequence[int], frame_samples: int, *, whole_clips: bool = False) -> None:
        """Starts at frame 0 and epoch 0.

        Args:
            clip_lengths: rising, the first one 1.
            frame_samples: audio samples per frame.
            whole_clips: wait for the audio of the whole clip that is due, so that clips depend on the
                recording alone; else a clip takes what has arrived.
        """
        self._lengths, self._whole_clips = tuple(clip_lengths), whole_clips
        self._frame_samples = frame_samples
        self._rung = 0
        self._cuts: deque[int] = deque(maxlen=CUTS_KEPT)
        self.epoch = 0
        self.next_frame = 0

    @property
    def due_length(self) -> int:
        """Length of the next clip if audio allows."""
        return self._lengths[self._rung]

    def restart(self) -> None:
        """Makes the next clip a short one."""
        self._rung = 0

    def clear(self, at_samples: int) -> int:
        """Barge-in: what is shown at or after a time is generated anew. Returns the new epoch."""
        self._cuts.append(at_samples)
        self.epoch += 1
        self.next_frame = min(self.next_frame, self.first_frame_from(at_samples))
        self.restart()
        return self.epoch

    def first_frame_from(self, at_samples: int) -> int:
        """Index of the first frame shown at or after a time."""
        return -(-at_samples // self._frame_samples)

    def cut_between(self, epoch: int, newer: int) -> int | None:
        """The earliest time, in samples, that barge-ins after one epoch up to a newer one cleared from."""
        forgotten = self.epoch - len(self._cuts)
        span = (max(0, number - forgotten) for number in (epoch, newer))
        return min(islice(self._cuts, *span), default=None)

    def plan(
        self, frames_ready: int, *, finished: bool, state_of: Callable[[int], AvatarState]
    ) -> ClipPlan | None:
        """Plans the next clip.

        Args:
            frames_ready: frames, from 0, whose audio has arrived.
            finished: no further audio will.
            state_of: class label of a frame.

        Returns:
            None until there is audio for it.
        """
        ready = frames_ready - self.next_frame
        if ready < 1 or (self._whole_clips and not finished and ready < self.due_length):
            return None
        length = max(n for n in self._lengths if n <= min(ready, self.due_length))
        if length == self.due_length:
            self._rung = min(self._rung + 1, len(self._lengths) - 1)
        first = self.next_frame
        self.next_frame += length
        states = np.array([state_of(first + i) for i in range(length)], np.int64)
        return ClipPlan(first, length, states, self.epoch)


class LatentHistory:
    """The last clean latents by frame index, for motion frames and interpolation."""

    def __init__(
        self, ref_latent: Float, motion_lags: Sequence[int], reanchor_every_frames: int | None
    ) -> None:
        """Starts with the reference's own latent as the past.

        Args:
            ref_latent: float32 [1, C, h, w].
            motion_lags: see `Manifest`.
            reanchor_every_frames: see `Manifest`.
        """
        self._ref: Float = ref_latent[0]
        self._lags, self._every = tuple(motion_lags), reanchor_every_frames
        self._latents: dict[int, Float] = {}

    def store(self, first_frame: int, latents: Float) -> None:
        """Keeps float32 [F, C, h, w]; the oldest are let go."""
        self._latents.update(enumerate(latents, start=first_frame))
        for old in [k for k in self._latents if k < first_frame - HISTORY_FRAMES]:
            del self._latents[old]

    def shift(self, ref_latent: Float) -> None:
        """Makes the past that of another reference, by its latent [1, C, h, w]."""
        jump = ref_latent[0] - self._ref
        self._ref = ref_latent[0]
        self._latents = {k: v + jump for k, v in self._latents.items()}

    def settle(self, settled: npt.NDArray[np.bool_]) -> None:
        """Puts some elements of the whole past, bool [C*h*w], to those of the reference."""
        mask = settled.reshape(self._ref.shape)
        self._latents = {k: np.where(mask, self._ref, v) for k, v in self._latents.items()}

    def cut(self, first_frame: int) -> None:
        """Forgets what lies at or after a frame."""
        self._latents = {k: v for k, v in self._latents.items() if k < first_frame}

    def at(self, frame: int) -> Float:
        """Latent [C, h, w] of a frame, the reference's own where there is none."""
        return self._latents.get(frame, self._ref)

    def motion_frames(self, plan: ClipPlan) -> Float:
        """float32 [1, M, C, h, w] for a clip: the latents before it, re-anchored where it is time."""
        first = plan.first_frame
        motion = [self.at(first - lag) for lag in self._lags]
        if self._every is not None and -(-first // self._every) * self._every < first + plan.clip_length:
            motion[0] = self._ref
        stacked: Float = np.stack(motion)
        return stacked[None]
