"""Latents to pictures."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Executor
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.compose import Composer, Patch, cut_out, paint
from engine.runtime.manifest import Manifest, PatchSpec
from engine.runtime.session import Graphs, GraphSession

Float = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

UNSEEN_LEVELS = 40.0
"""A patch is not drawn again while its controls' changes, each at its worst, add up to fewer levels of 255.

Pixels then differ by 5 levels at the 99.5th percentile and by 0.15 on average, less than INT8 costs (our
choice).
"""


class PatchPainter:
    """Draws one patch of a portrait; several threads may at once."""

    def __init__(
        self,
        session: GraphSession,
        spec: PatchSpec,
        banks: Mapping[str, npt.NDArray[Any]],
        under: Bytes,
        levels_per_latent: Float,
        reuse: bool,
    ) -> None:
        """Binds a patch's graph to a portrait.

        Args:
            session: the graph.
            spec: of the patch.
            banks: outputs of `reference` for this portrait.
            under: uint8 [h, w, 3], what the patch covers of the unmoved picture.
            levels_per_latent: float32 [C], as `PatchSpec.levels_per_unit`, per unit of each latent number.
            reuse: keep a patch while its controls have hardly moved.
        """
        self._session, self._spec, self._banks, self._under = session, spec, banks, under
        self._levels, self._reuse = levels_per_latent, reuse
        self._lock = threading.Lock()
        self._last: tuple[Float, Patch] | None = None

    def paint(self, latent: Float) -> Patch:
        """The patch of a latent [C, h, w]."""
        with self._lock:
            last = self._last
        if self._reuse and last is not None:
            changed = float(np.abs(latent - last[0]).ravel() @ self._levels)
            if changed < UNSEEN_LEVELS:
                return last[1]
        made = self._session.run({**self._banks, "latents": latent[None]})
        patch = paint(self._under, made["flow"][0], made["levels"][0], self._spec.box)
        with self._lock:
            self._last = (latent, patch)
        return patch


class Decoder:
    """A pack's decoder for one portrait at one size; several threads may decode at once."""

    def __init__(
        self,
        graphs: Graphs,
        manifest: Manifest,
        banks: Mapping[str, npt.NDArray[Any]],
        ref_picture: Bytes,
        composer: Composer,
        *,
        beside: Executor | None = None,
    ) -> None:
        """Binds the graphs to a live portrait, whose frames must be soon, or to one that takes its time.

        Args:
            graphs: the pack's sessions.
            manifest: the pack's manifest.
            banks: outputs of `reference` for this portrait.
            ref_picture: uint8 [R, R, 4], the portrait's picture at the size that the patches are drawn for.
            composer: of the portrait's picture at the size of the frames.
            beside: of a live portrait, what draws a frame's patches beside each other if a thread is free.
                Those whose controls have hardly moved are not drawn again; frames then depend on those
                before them, by less than can be seen.
        """
        self._session, self._banks, self._composer = graphs["decoder"], banks, composer
        self._beside = beside
        deviations = np.array(manifest.control_std, np.float32)
        self._painters = [
            PatchPainter(
                graphs[name],
                spec,
                banks,
                cut_out(ref_picture, spec.box, manifest.sides(name, "levels")),
                np.array(spec.levels_per_unit, np.float32) * deviations,
                beside is not None,
            )
            for name, spec in manifest.patches.items()
        ]

    def decode(self, latent: Float) -> Bytes:
        """float32 [C, h, w] to uint8 [S, S, 4], straight alpha."""
        first, *others = self._painters
        begun = [self._beside.submit(each.paint, latent) for each in others] if self._beside else []
        made = self._session.run({**self._banks, "latents": latent[None]})
        patches = [first.paint(latent)]
        # What no thread was free for is done here.
        for each, future in zip_longest(others, begun):
            patches.append(each.paint(latent) if future is None or future.cancel() else future.result())
        return self._composer.compose(made["flow"][0], made["patch_flow"][0], patches)
