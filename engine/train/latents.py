"""Stage `encode`: rendered performances -> latents, once; the denoiser then learns without pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from engine.train.audio import Windows
from engine.train.data.shards import open_folder, takes_of
from engine.train.models.audio_encoder import AudioEncoder
from engine.train.models.autoencoder import working_size
from engine.train.models.config import ModelConfig
from engine.train.models.denoiser import AppearanceNet
from engine.train.models.instruments import FaceLocator, face_mask
from engine.train.models.latent_space import LatentSpace
from engine.train.precision import half_precision
from engine.train.trainer import load_averaged


@torch.no_grad()
def encode(
    performances: Path, corpus: Path, runs: Path, out: Path, config: ModelConfig, device: torch.device
) -> None:
    """Writes z, ref_latent, picture (the reference at 96 px), face, audio_emb and state of every run."""
    space, locator = LatentSpace().to(device), FaceLocator().to(device)
    encoder = AudioEncoder(config).to(device)
    load_averaged(runs / "locator", {"locator": locator})
    load_averaged(runs / "audio", {"audio_encoder": encoder})
    arrays = open_folder(performances)
    takes = takes_of(corpus)
    windows = Windows(takes, device)
    kept: dict[str, list[npt.NDArray[np.generic]]] = {}

    def keep(name: str, value: Tensor, dtype: torch.dtype = torch.float16) -> None:
        kept.setdefault(name, []).append(value.to(dtype).cpu().numpy())

    starts = list(zip(arrays["take"], arrays["first"], strict=True))
    for i, (take, first) in enumerate(tqdm(starts, desc="encode", mininterval=10.0)):
        ref = torch.from_numpy(np.array(arrays["ref"][i : i + 1])).to(device).float() / 255.0
        small = working_size(ref)
        span = slice(int(first), int(first) + arrays["controls"].shape[1])
        with half_precision(device):
            audio_emb = encoder(windows.cut(windows.take_starts[take][span]))
        keep("z", space(torch.from_numpy(np.array(arrays["controls"][i])).to(device)))
        keep("ref_latent", space(torch.from_numpy(np.array(arrays["ref_controls"][i])).to(device)))
        keep("picture", small[0] * 255.0 + 0.5, torch.uint8)
        keep("face", face_mask(locator(small), AppearanceNet.GRID)[0])
        keep("audio_emb", audio_emb)
        keep("state", torch.from_numpy(takes[take].state[span]), torch.int8)
    out.mkdir(parents=True, exist_ok=True)
    for name, values in kept.items():
        np.save(out / f"{name}.npy", np.stack(values))
