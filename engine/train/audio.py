"""Stage `audio`: teaches the audio encoder with the studio's own mouth controls, and with the phones said.

Phones, one per token, tell what closes the mouth from what only sounds like it (our choice; as bottleneck
features of a phone classifier carry over to unheard speakers, Grezl et al. 2007).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.features import (
    HOP_SAMPLES,
    LOOKAHEAD_FRAMES,
    MEL_BINS,
    SILENCE,
    WINDOW_FRAMES,
    mel_timeline,
)
from engine.train.data.coarticulation import PHONES
from engine.train.data.performance import FPS, Take
from engine.train.data.shards import takes_of
from engine.train.models.audio_encoder import (
    MOUTH_CONTROLS,
    PRESSED_AT,
    AudioEncoder,
    MouthHead,
    PhoneHead,
)
from engine.train.models.config import ModelConfig
from engine.train.models.layers import freeze_norms
from engine.train.precision import half_precision
from engine.train.trainer import Schedule, Trainer
from engine.types import CONTROL_NAMES, SAMPLE_RATE_HZ, AvatarState

MOUTH = [CONTROL_NAMES.index(n) for n in MOUTH_CONTROLS]
CLOSE = MOUTH_CONTROLS.index("mouthClose")
WEIGHTS = (1.0, 1.5, 1.0, 1.0, 0.7, 0.5, 2.0)
"""Per mouth control and, last, the aperture, which the lip-sync score reads."""
NORM_SAMPLES = 300_000
"""Batch norms gather statistics until then."""
PHONE_WEIGHT = 0.15
PRESSED = 0.75
"""mouthClose of lips that p, b or m press together; silence only rests them on each other."""
MEL_HZ = SAMPLE_RATE_HZ // HOP_SAMPLES
MEL_PER_FRAME = MEL_HZ // FPS
NOT_TOLD = -100
"""What another says has no phone of the avatar's."""
OTHER_SHARE = 0.25
"""Share of windows with another voice or a noise beside the voice."""
BAND_SHARE = 0.15
"""Share of windows from a source with fewer high tones: 8 and 11 kHz recordings, telephones."""


def mouth_targets(controls: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Controls [n, 21] -> the mouth controls and the aperture jawOpen (1 - mouthClose): [n, 7]."""
    mouth = controls[:, MOUTH]
    return np.concatenate([mouth, mouth[:, :1] * (1.0 - mouth[:, CLOSE : CLOSE + 1])], axis=1)


def phone_timeline(take: Take, rows: int) -> npt.NDArray[np.int64]:
    """Number in `PHONES` of what is said at every mel frame: int64 [rows]; NOT_TOLD while another speaks."""
    said = np.full(rows, PHONES.index("pau"))
    for phone in take.phones:
        start, stop = (round(s * MEL_HZ) for s in (phone.start_s, phone.end_s))
        said[start:stop] = PHONES.index(phone.name)
    listening = np.repeat(take.state == int(AvatarState.LISTENING), MEL_PER_FRAME)[:rows]
    said[: len(listening)][listening] = NOT_TOLD
    return said


class Windows:
    """All takes' log-mels in one array, and the windows of any frame cut out of it."""

    def __init__(self, takes: list[Take], device: torch.device) -> None:
        past = WINDOW_FRAMES - LOOKAHEAD_FRAMES
        silence = np.full((WINDOW_FRAMES, MEL_BINS), SILENCE, np.float32)
        quiet = np.full(WINDOW_FRAMES, PHONES.index("pau"))
        parts, said, starts, at = [silence], [quiet], [], len(silence)
        for take in takes:
            mel = mel_timeline(take.samples)
            starts.append(at - past + MEL_PER_FRAME * np.arange(len(take.controls)))
            parts += [mel, silence]
            said += [phone_timeline(take, len(mel)), quiet]
            at += len(mel) + len(silence)
        self.mel = torch.from_numpy(np.concatenate(parts)).to(device)
        self.said = torch.from_numpy(np.concatenate(said)).to(device)
        self.take_starts = [torch.from_numpy(s).to(device) for s in starts]
        self.starts = torch.cat(self.take_starts)
        self.offsets = torch.arange(WINDOW_FRAMES, device=device)
        self.targets = torch.from_numpy(np.concatenate([mouth_targets(t.controls) for t in takes])).float()
        self.state = torch.from_numpy(np.concatenate([t.state for t in takes])).to(device)
        self.targets = self.targets.to(device)

    def cut(self, starts: Tensor) -> Tensor:
        """Mel rows at which windows begin [...] -> windows [..., 40, 40]."""
        return self.mel[starts[..., None] + self.offsets]

    def phones(self, starts: Tensor, tokens: int) -> Tensor:
        """Numbers in `PHONES` of what is said in the middle of each token of a window: [..., tokens]."""
        return self.said[starts[..., None] + self.offsets[:: WINDOW_FRAMES // tokens]]


def spoil(windows: Tensor) -> Tensor:
    """Gain, equalizer, another sound on log-mel windows [B, 40, 40], for unheard voices and rooms."""
    b, _, mels = windows.shape

    def r(*shape: int) -> Tensor:
        return torch.rand(*shape, device=windows.device)

    def n(*shape: int) -> Tensor:
        return torch.randn(*shape, device=windows.device)

    def mixed(voice: Tensor, other: Tensor, below: Tensor) -> Tensor:
        """Powers added, the other's loudest parts so much below the voice's."""
        loudest = [torch.quantile(x.mean(2), 0.9, dim=1)[:, None, None] for x in (voice, other)]
        return torch.logaddexp(4.0 * voice, 4.0 * (other - loudest[1] + loudest[0] - below)) / 4.0

    tilt = torch.linspace(-1, 1, mels, device=windows.device) * n(b, 1, 1) * 0.15
    bumps = F.interpolate(n(b, 1, 7), mels, mode="linear") * 0.12
    out = windows + n(b, 1, 1) * 0.2 + tilt + bumps
    noise = n(*out.shape) * 0.12 + F.interpolate(n(b, 1, 4), mels, mode="linear") * 0.3
    noise = noise + torch.linspace(-1, 1, mels, device=windows.device) * n(b, 1, 1) * 0.4
    # A nat of power is a quarter here: 10 dB are 0.58.
    chance = r(b, 1, 1)
    out = torch.where(chance < OTHER_SHARE, mixed(out, noise, 0.4 + 1.6 * r(b, 1, 1)), out)
    voice = mixed(out, windows.roll(1, 0), 0.6 + 1.2 * r(b, 1, 1))
    out = torch.where(chance > 1.0 - OTHER_SHARE, voice, out)
    # Longer and shorter vocal tracts (Jaitly and Hinton 2013): the mel axis shifted and stretched.
    bins = torch.arange(mels, device=windows.device)
    index = (bins - mels / 2) * (0.9 + 0.2 * r(b, 1)) + mels / 2 + 4.0 * r(b, 1) - 2.0
    index = index.clamp(0, mels - 1.001)
    low = index.floor().long()[:, None].expand_as(out)
    share = (index - index.floor())[:, None]
    out = torch.gather(out, 2, low) * (1.0 - share) + torch.gather(out, 2, low + 1) * share
    out = torch.clamp(out + n(*out.shape) * 0.03, min=SILENCE)
    top = torch.where(r(b, 1) < BAND_SHARE, mels - 1 - 10.0 * r(b, 1), float(mels))
    return torch.where(bins > top[:, None], torch.full_like(out, SILENCE), out)


@torch.no_grad()
def evaluate(networks: dict[str, nn.Module], held: Windows) -> dict[str, float]:
    """Correlation of every mouth control with the truth on held-out takes, speaking frames only.

    Of frames with pressed lips `pressed_found` is the share that is found, `pressed_right` of those that are
    found the share that is right.
    """
    encoder, head, teller = (networks[name] for name in ("audio_encoder", "mouth", "phones"))
    assert isinstance(teller, PhoneHead)
    emb = torch.cat([encoder(held.cut(s)) for s in held.starts.split(4096)])
    made, told = head(emb), teller(emb)
    talk = held.state == int(AvatarState.SPEAKING)
    pressed = torch.cat([teller.bilabial(part) for part in emb[talk].split(4096)])[:, 0] > PRESSED_AT
    wanted = held.targets[talk, CLOSE] > PRESSED
    a, b = made[talk], held.targets[talk]
    a, b = a - a.mean(0), b - b.mean(0)
    r = (a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0) + 1e-6)
    figures = {f"r_{n}": v.item() for n, v in zip((*MOUTH_CONTROLS, "aperture"), r, strict=True)}
    right = told[talk].argmax(2) == held.phones(held.starts, told.shape[1])[talk]
    figures["pressed_found"] = pressed[wanted].float().mean().item()
    figures["pressed_right"] = wanted[pressed].float().mean().item()
    return {**figures, "phones_right": right.float().mean().item()}


def train(
    corpus: Path, held: Path, folder: Path, config: ModelConfig, schedule: Schedule, device: torch.device
) -> None:
    """Runs the stage on a corpus folder, but for frames of the listening state: their voice is another's."""
    torch.manual_seed(0)
    encoder, head = AudioEncoder(config).to(device), MouthHead(config).to(device)
    teller = PhoneHead(config).to(device)
    data, test = Windows(takes_of(corpus), device), Windows(takes_of(held), device)
    mine = torch.nonzero(data.state != int(AvatarState.LISTENING))[:, 0]
    weights = torch.tensor(WEIGHTS, device=device)
    trainer = Trainer(
        folder,
        {"audio_encoder": encoder, "mouth": head, "phones": teller},
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
            emb = encoder(spoil(data.cut(data.starts[index])))
            made, told = head(emb), teller(emb)
        error = (made.float() - data.targets[index]).pow(2) * weights
        wanted = data.phones(data.starts[index], told.shape[1])
        missed = F.cross_entropy(told.float().flatten(0, 1), wanted.flatten(), ignore_index=NOT_TOLD)
        trainer.step({"mouth": error.mean(), "phones": PHONE_WEIGHT * missed}, batch)
