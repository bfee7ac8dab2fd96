"""Latents to pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.compose import Composer
from engine.runtime.session import GraphSession


class Decoder:
    """A pack's decoder for one portrait at one size; several threads may decode at once."""

    def __init__(
        self, session: GraphSession, banks: Mapping[str, npt.NDArray[Any]], composer: Composer
    ) -> None:
        """Binds the graph to a portrait.

        Args:
            session: the pack's `decoder`.
            banks: outputs of `reference` for this portrait.
            composer: of the portrait's picture at the size of the frames.
        """
        self._session, self._banks, self._composer = session, banks, composer

    def decode(self, latent: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """float32 [C, h, w] to uint8 [S, S, 4], straight alpha."""
        made = self._session.run({**self._banks, "latents": latent[None]})
        return self._composer.compose(made["flow"][0], made["patch_flow"][0], made["sheet"][0])
