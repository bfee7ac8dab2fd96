from __future__ import annotations

import numpy as np
import pytest

from engine.pipeline import Engine
from engine.reader import FrameReader


def test_reads_the_difference_to_the_reference(engine: Engine) -> None:
    portrait = engine.portrait()
    reader = FrameReader(engine.graphs["reader"], portrait, 192)
    still = np.asarray(portrait.view(192)).copy()
    red = still.copy()
    red[..., 0] = np.clip(red[..., 0] + 40.0, 0, 255)
    controls = reader.read(np.stack([still, red]))
    assert controls.shape == (2, 22)
    assert reader.aperture(still) == pytest.approx(0.0, abs=1e-3)
    assert 0.05 < reader.aperture(red) <= 1.0
    assert controls[1, -1] == pytest.approx(reader.aperture(red))
