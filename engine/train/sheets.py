"""Contact sheets: what a person looks at during training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def save_sheet(path: Path, images: Tensor, columns: int, cell_px: int) -> None:
    """Writes pictures [N, 3, H, W], 0..1, row by row into one PNG of cells of cell_px."""
    images = F.interpolate(images.float().clamp(0, 1), (cell_px, cell_px), mode="bilinear", antialias=True)
    missing = -len(images) % columns
    images = torch.cat([images, images.new_ones((missing, *images.shape[1:]))])
    rows = [torch.cat(list(row), dim=2) for row in images.split(columns)]
    sheet = (torch.cat(rows, dim=1).permute(1, 2, 0) * 255.0 + 0.5).byte().cpu().numpy()
    Image.fromarray(np.ascontiguousarray(sheet)).save(path)
