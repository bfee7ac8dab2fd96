"""Slow motion without tremor: what the eye takes for a shaking head is noise of the sampler."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.types import CONTROL_NAMES

Float = npt.NDArray[np.float32]

SPEED_CUTOFF_HZ = 2.0
"""Of the low pass on the speed."""
CUTOFFS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("headYaw", "headPitch", "headRoll", "headShift"), (1.8, 1.2)),
    **dict.fromkeys(("browInnerUp", "browOuterUp", "browDown", "mouthSmile", "mouthFrown"), (2.5, 1.5)),
    **dict.fromkeys(("eyeLookX", "eyeLookY"), (2.5, 1.5)),
    "eyeWide": (2.5, 1.5),
    "breath": (1.5, 0.5),
}
"""Of each slow control: the cutoff at rest in Hz, and by how much a speed of 1 per second raises it."""
SLOW = np.array([name in CUTOFFS for name in CONTROL_NAMES])


class SteadyFilter:
    """The One Euro filter (Casiez, Roussel and Vogel 2012) on the slow controls; lips and lids pass through.

    At rest it averages some frames, at speed it follows at once, so saccades stay jumps and nods keep their
    height. It holds no state but what it last gave, so a barge-in can go back in time.
    """

    def __init__(self, control_std: Float, fps: int) -> None:
        """Made for latents of which one unit is `control_std` [21] of a control, `fps` a second."""
        self._std, self._fps = control_std, float(fps)
        self._least, self._slope = (
            np.array([CUTOFFS.get(name, (0.0, 0.0))[part] for name in CONTROL_NAMES], np.float32)
            for part in (0, 1)
        )

    def filter(self, latents: Float, before: Float, before_that: Float) -> Float:
        """The frames of a clip.

        Args:
            latents: float32 [F, 21, 1, 1] as generated.
            before: float32 [21, 1, 1], what this filter gave for the frame before the clip.
            before_that: likewise, of the frame before that one.

        Returns:
            float32 [F, 21, 1, 1].
        """
        steady = np.empty_like(latents)
        last, older = before.ravel(), before_that.ravel()
        for index, latent in enumerate(latents):
            now = latent.ravel()
            share = self._share(np.float32(SPEED_CUTOFF_HZ))
            speed = (share * (now - last) + (1.0 - share) * (last - older)) * self._std * self._fps
            smooth = last + self._share(self._least + self._slope * np.abs(speed)) * (now - last)
            last, older = np.where(SLOW, smooth, now).astype(np.float32), last
            steady[index] = last.reshape(latent.shape)
        return steady

    def _share(self, cutoff_hz: Float | np.float32) -> Float:
        """Share of the new value in a low pass of first order."""
        turns = np.float32(2.0 * np.pi) * np.maximum(cutoff_hz, np.float32(1e-3))
        share: Float = (turns / (turns + np.float32(self._fps))).astype(np.float32)
        return share
