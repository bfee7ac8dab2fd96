from __future__ import annotations

import numpy as np

from engine.decode import Decoder
from engine.pipeline import Engine


def test_straight_rgba_of_the_reference_and_the_latents(engine: Engine) -> None:
    portrait = engine.portrait()
    ref_picture = portrait.ref_picture(64)
    latents = np.zeros((2, 21, 1, 1), np.float32)
    latents[1, 0] = 1.0
    rgba = Decoder(engine.graphs["decoder"], portrait.banks, ref_picture).decode(latents)
    assert rgba.shape == (2, 64, 64, 4)
    assert rgba.dtype == np.uint8
    still = np.round(ref_picture[0].transpose(1, 2, 0) * 255)
    np.testing.assert_allclose(rgba[0], still, atol=1)
    assert rgba[1, 32, 32, 0] >= 127
