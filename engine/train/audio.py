"""Stage `audio`: teaches the audio encoder with the studio's own mouth controls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.features import LOOKAHEAD_FRAMES, MEL_BINS, WINDOW_FRAMES, mel_timeline
from engine.train.data.performance import Take
from engine.train.data.shards import takes_of
from engine.train.models.audio_encoder import MOUTH_CONTROLS, AudioEncoder, MouthHead
from engine.train.models.config import ModelConfig
from engine.train.models.layers import freeze_norms
from engine.train.precision import half_precision
from engine.train.trainer import Schedule, Trainer
from engine.types import CONTROL_NAMES, AvatarState

MOUTH = [CONTROL_NAMES.index(n) for n in MOUTH_CONTROLS]
CLOSE = MOUTH_CONTROLS.index("mouthClose")
WEIGHTS = (1.0, 1.5, 1.0, 1.0, 0.7, 0.5, 2.0)
"""Per mouth control and, last, the aperture, which the lip-sync score reads."""
NORM_SAMPLES = 300_000
"""Batch norms gather statistics until then."""
MEL_PER_FRAME = 4
SILENCE = float(np.log(1e-4) / 4.0)


def mouth_targets(controls: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Controls [n, 21] -> the mouth controls and the aperture jawOpen (1 - mouthClose): [n, 7]."""
    mouth = controls[:, MOUTH]
    return np.concatenate([mouth, mouth[:, :1] * (1.0 - mouth[:, CLOSE : CLOSE + 1])], axis=1)


class Windows:
    """All takes' log-mels in one array, and the windows of any frame cut out of it."""

    def __init__(self, takes: list[Take], device: torch.device) -> None:
        past = WINDOW_FRAMES - LOOKAHEAD_FRAMES
        silence = np.full((WINDOW_FRAMES, MEL_BINS), SILENCE, np.float32)
        parts, starts, at = [silence], [], len(silence)
        for take in takes:
            mel = mel_timeline(take.samples)
            starts.append(at - past + MEL_PER_FRAME * np.arange(len(take.controls)))
            parts += [mel, silence]
            at += len(mel) + len(silence)
        self.mel = torch.from_numpy(np.concatenate(parts)).to(device)
        self.take_starts = [torch.from_numpy(s).to(device) for s in starts]
        self.starts = torch.cat(self.take_starts)
        self.offsets = torch.arange(WINDOW_FRAMES, device=device)
        self.targets = torch.from_numpy(np.concatenate([mouth_targets(t.controls) for t in takes])).float()
        self.state = torch.from_numpy(np.concatenate([t.state for t in takes])).to(device)
        self.targets = self.targets.to(device)

    def cut(self, starts: Tensor) -> Tensor:
        """Mel rows at which windows begin [...] -> windows [..., 40, 40]."""
        return self.mel[starts[..., None] + self.offsets]


def spoil(windows: Tensor) -> Tensor:
    """Gain, equalizer, noise floor and gaps on log-mel windows [B, 40, 40], for unheard voices and rooms."""
    b, _, mels = windows.shape

    def r(*shape: int) -> Tensor:
        return torch.rand(*shape, device=windows.device)

    def n(*shape: int) -> Tensor:
        return torch.randn(*shape, device=windows.device)

    tilt = torch.linspace(-1, 1, mels, device=windows.device) * n(b, 1, 1) * 0.15
    bumps = F.interpolate(n(b, 1, 7), mels, mode="linear") * 0.12
    out = windows + n(b, 1, 1) * 0.2 + tilt + bumps
    floor = windows.amin((1, 2), keepdim=True) + r(b, 1, 1) * 0.9
    out = torch.where(r(b, 1, 1) < 0.3, torch.maximum(out, floor), out)
    shift = torch.randint(-2, 3, (b,), device=windows.device)
    index = (torch.arange(mels, device=windows.device)[None] + shift[:, None]).clamp(0, mels - 1)
    out = torch.gather(out, 2, index[:, None].expand_as(out))
    return torch.clamp(out + n(*out.shape) * 0.03, min=SILENCE)


@torch.no_grad()
def evaluate(networks: dict[str, nn.Module], held: Windows) -> dict[str, float]:
    """Correlation of every mouth control with the truth on held-out takes, speaking frames only."""
    encoder, head = networks["audio_encoder"], networks["mouth"]
    made = torch.cat([head(encoder(held.cut(s))) for s in held.starts.split(4096)])
    talk = held.state == int(AvatarState.SPEAKING)
    a, b = made[talk], held.targets[talk]
    a, b = a - a.mean(0), b - b.mean(0)
    r = (a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0) + 1e-6)
    return {f"r_{n}": v.item() for n, v in zip((*MOUTH_CONTROLS, "aperture"), r, strict=True)}


def train(
    corpus: Path, held: Path, folder: Path, config: ModelConfig, schedule: Schedule, device: torch.device
) -> None:
    """Runs the stage on a corpus folder, but for frames of the listening state: their voice is another's."""
    torch.manual_seed(0)
    encoder, head = AudioEncoder(config).to(device), MouthHead(config).to(device)
    data, test = Windows(takes_of(corpus), device), Windows(takes_of(held), device)
    mine = torch.nonzero(data.state != int(AvatarState.LISTENING))[:, 0]
    weights = torch.tensor(WEIGHTS, device=device)
    trainer = Trainer(
        folder,
        {"audio_encoder": encoder, "mouth": head},
        schedule,
        device=device,
        on_checkpoint=lambda nets: evaluate(nets, test),
    )
    batch = 256
    # A resumed run draws other windows than the run before it did.
    torch.manual_seed(trainer.samples)
    for samples in trainer:
        if samples >= NORM_SAMPLES:
            freeze_norms(encoder)
        index = mine[torch.randint(0, len(mine), (batch,), device=device)]
        with half_precision(device):
            made = head(encoder(spoil(data.cut(data.starts[index]))))
        error = (made.float() - data.targets[index]).pow(2) * weights
        trainer.step({"mouth": error.mean()}, batch)
