"""Measures controls and mouth aperture from finished pixels; an instrument, never a part of generation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.portrait import Portrait, to_planes
from engine.runtime.session import GraphSession


class FrameReader:
    """A pack's reader for one portrait."""

    def __init__(self, session: GraphSession, portrait: Portrait, size_px: int) -> None:
        """Takes the pack's `reader`, and the portrait at the size of the frames to come."""
        self._session = session
        self._side_px = int(session.spec.inputs["ref"].shape[-1])
        self._ref = self._planes(portrait.view(size_px))

    def _planes(self, picture: Image.Image) -> npt.NDArray[np.float32]:
        """Scales by area, as the reader was trained, to float32 [1, 4, R, R], premultiplied."""
        side = (self._side_px, self._side_px)
        return to_planes(picture.resize(side, Image.Resampling.BOX), premultiply=True)

    def read(self, rgba: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Measures frames.

        Args:
            rgba: uint8 [F, H, W, 4] or [H, W, 4], straight alpha.

        Returns:
            float32 [F, 22]: `engine.types.CONTROL_NAMES` and, last, the mouth aperture 0..1.
        """
        frames = rgba if rgba.ndim == 4 else rgba[None]
        image = np.concatenate([self._planes(Image.fromarray(frame)) for frame in frames])
        controls: npt.NDArray[np.float32] = self._session.run({"image": image, "ref": self._ref})["controls"]
        return controls

    def aperture(self, rgba: npt.NDArray[np.uint8]) -> float:
        """Mouth aperture 0..1 of one frame, uint8 [H, W, 4]."""
        return float(self.read(rgba)[0, -1])
