"""Latents to pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.runtime.session import GraphSession


class Decoder:
    """A pack's decoder for one portrait at one size."""

    def __init__(
        self,
        session: GraphSession,
        banks: Mapping[str, npt.NDArray[Any]],
        ref_picture: npt.NDArray[np.float32],
    ) -> None:
        """Binds the graph to a portrait.

        Args:
            session: the pack's `decoder`.
            banks: outputs of `reference` for this portrait.
            ref_picture: float32 [1, 4, S, S], straight RGB bled under the edges and alpha, 0..1.
        """
        self._session = session
        self._feeds = {**banks, "ref_picture": ref_picture}

    def decode(self, latents: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """float32 [F, C, h, w] to uint8 [F, S, S, 4], straight alpha."""
        rgba: npt.NDArray[np.uint8] = self._session.run({**self._feeds, "latents": latents})["rgba"]
        return rgba
