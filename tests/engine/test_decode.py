from __future__ import annotations

import numpy as np

from engine.pipeline import Engine


def test_straight_rgba_of_the_reference_and_the_latents(engine: Engine) -> None:
    portrait = engine.portrait()
    decoder = engine.decoder(portrait, 64)
    latent = np.zeros((21, 1, 1), np.float32)
    still = decoder.decode(latent)
    assert still.shape == (64, 64, 4)
    assert still.dtype == np.uint8
    np.testing.assert_array_equal(still, portrait.ref_picture(64))
    latent[0] = 1.0
    assert decoder.decode(latent)[32, 32, 0] >= 127
