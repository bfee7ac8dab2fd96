"""Draws the built-in avatars' reference pictures with the studio, once, before the pack is shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from engine.train.data.studio import FULL, Studio, default_identities
from engine.types import CONTROL_NAMES

PICTURE_PX = 768
REST = {"mouthSmile": 0.3, "mouthClose": 0.5}


def draw_avatars(folder: Path) -> None:
    """Writes one PNG with transparent background per default identity, straight alpha, 768 px."""
    folder.mkdir(parents=True, exist_ok=True)
    people = default_identities()
    controls = torch.zeros(1, len(CONTROL_NAMES))
    for name, value in REST.items():
        controls[0, CONTROL_NAMES.index(name)] = value
    for name, identity in people.items():
        studio = Studio([identity], texture_px=1024)
        image = studio.render(torch.zeros(1, dtype=torch.long), controls, FULL(PICTURE_PX))[0].clamp(0, 1)
        rgb = torch.where(image[3:] > 0, image[:3] / image[3:].clamp(min=1e-4), torch.zeros(3, 1, 1))
        straight = torch.cat([rgb.clamp(0, 1), image[3:]]).permute(1, 2, 0)
        Image.fromarray((straight * 255.0 + 0.5).byte().numpy().astype(np.uint8), "RGBA").save(
            folder / f"{name}.png", optimize=True
        )
