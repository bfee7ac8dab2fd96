"""Stage `evaluate`: figures on held-out identities and sentences, for `docs/experiments.md`.

Truth is what the studio draws for the held-out performances; `exact_latents` is the decoder alone,
`reconstruction` frame encoder and decoder, the rest is generated from sound, streamed in clips as the runtime
does, and measured from pixels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.clips import ClipPlanner, LatentHistory
from engine.sampling import add_noise, alpha_sigma, sample_consistency
from engine.train.autoencoder import repeat
from engine.train.data.shards import open_folder
from engine.train.data.studio import FULL, Studio
from engine.train.diffusion import NOISE_SCALE, STUDENT_TIMESTEPS, LatentRuns
from engine.train.losses import psnr_db, ssim
from engine.train.models import geometry as geo
from engine.train.models.autoencoder import Autoencoder, compose, patch_sheet, views, working_size
from engine.train.models.config import ModelConfig
from engine.train.models.denoiser import AppearanceNet, Denoiser
from engine.train.models.instruments import Reader
from engine.train.trainer import load_averaged
from engine.types import CONTROL_NAMES, AvatarState

FPS = 25
AREAS = {"mouth": (geo.MOUTH,), "eyes": geo.EYES}
HEAD = [CONTROL_NAMES.index(n) for n in ("headYaw", "headPitch", "headRoll", "headShift")]
BLINK = [CONTROL_NAMES.index(n) for n in ("eyeBlinkLeft", "eyeBlinkRight")]
PITCH = CONTROL_NAMES.index("headPitch")
Sampler = Callable[[Callable[[Tensor, float], Tensor], Callable[[int], Tensor], Tensor], Tensor]
"""From a denoiser, noise by step and the states of a clip's frames [1, F] to its innovations."""


def ddim(steps: int) -> Sampler:
    """Deterministic sampling of the teacher (Song et al. 2020, arXiv 2010.02502, eta 0)."""

    def sample(
        denoiser: Callable[[Tensor, float], Tensor], noise: Callable[[int], Tensor], _: Tensor
    ) -> Tensor:
        x = noise(0)
        for i in range(steps):
            t, u = 1.0 - i / steps, 1.0 - (i + 1) / steps
            x0 = denoiser(x, t)
            a, s = alpha_sigma(t)
            x = add_noise(x0, (x - a * x0) / s, u)
        return x

    return sample


def few_steps(steps: int) -> Sampler:
    """The runtime's loop with the student."""
    scales = torch.tensor(NOISE_SCALE)

    def sample(
        denoiser: Callable[[Tensor, float], Tensor], noise: Callable[[int], Tensor], state: Tensor
    ) -> Tensor:
        scale = scales[state][..., None, None]
        return sample_consistency(denoiser, lambda step: scale * noise(step), STUDENT_TIMESTEPS[steps])

    return sample


@torch.no_grad()
def stream(
    net: Denoiser, appearance: AppearanceNet, data: LatentRuns, run: int, sampler: Sampler, seed: int = 0
) -> Tensor:
    """Generates a whole run clip by clip from its sound: latents [n, C, 1, 1]."""
    config = net.config
    generator = torch.Generator().manual_seed(seed)
    which = torch.tensor([run])
    start = data.clips(which, torch.tensor([0]), 1)
    bank = net.keys_values(appearance(start.picture, start.face))
    states = data.arrays["state"][run].tolist()
    planner = ClipPlanner(config.clip_lengths, frame_samples=1)
    history = LatentHistory(start.ref_latent.numpy(), config.motion_lags, None)
    made: list[Tensor] = []
    while plan := planner.plan(data.run_frames, finished=True, state_of=lambda i: AvatarState(states[i])):
        clip = data.clips(which, torch.tensor([plan.first_frame]), plan.clip_length)
        clip.motion_frames = torch.from_numpy(history.motion_frames(plan))

        def denoiser(x: Tensor, t: float, cond: tuple[Tensor, ...] = clip.cond(bank)) -> Tensor:
            x0: Tensor = net(x, torch.tensor([t]), *cond)
            return x0

        def noise(_: int, shape: torch.Size = clip.x0.shape) -> Tensor:
            return torch.randn(shape, generator=generator)

        x0 = sampler(denoiser, noise, clip.state)
        made.append(net.latents(x0, net.readings(clip.audio_emb), clip.state, clip.motion_frames)[0])
        history.store(plan.first_frame, made[-1].numpy())
    return torch.cat(made)


class Bench:
    """The networks and held-out data that every figure needs."""

    def __init__(self, runs: Path, config: ModelConfig) -> None:
        self.autoencoder = Autoencoder(config)
        self.reader = Reader(config)
        load_averaged(runs / "encoder", {"encoder": self.autoencoder.encoder})
        halves = {"reference": self.autoencoder.reference, "decoder": self.autoencoder.decoder}
        load_averaged(runs / "autoencoder", halves)
        load_averaged(runs / "reader", {"reader": self.reader})
        self.frames = open_folder(runs / "performances_held")
        self.latents = LatentRuns(runs / "latents_held", config, torch.device("cpu"))

    def reference(self, run: int) -> Tensor:
        """The run's reference picture, premultiplied RGBA [1, 4, 384, 384]."""
        return torch.from_numpy(np.array(self.frames["ref"][run : run + 1])).float() / 255.0

    def truth(self, run: int, index: Tensor) -> Tensor:
        """Frames of the run as the studio draws them: [n, 4, 384, 384]."""
        studio = Studio([int(self.frames["seed"][run])])
        controls = torch.from_numpy(np.array(self.frames["controls"][run]))[index]
        return studio.render(torch.zeros(len(index), dtype=torch.long), controls, FULL(geo.REFERENCE_PX))

    @torch.no_grad()
    def decode(self, run: int, z: Tensor, z_ref: Tensor) -> Tensor:
        """Latents [n, C, 1, 1] and the reference's [1, C, 1, 1] -> frames [n, 4, 384, 384] premultiplied."""
        ref = self.reference(run)
        banks = self.autoencoder.reference(ref)
        parts = []
        for part in z.split(8):
            decoded = self.autoencoder.decoder(
                part, z_ref.expand(len(part), -1, -1, -1), repeat(banks, len(part))
            )
            ref_frames = ref.expand(len(part), -1, -1, -1)
            made = compose(decoded, patch_sheet(decoded), ref_frames, geo.REFERENCE_PX)
            parts.append(made.clamp(0, 1))
        return torch.cat(parts)

    @torch.no_grad()
    def encode(self, run: int, frames: Tensor) -> Tensor:
        """Frames [n, 4, 384, 384] -> latents [n, C, 1, 1]."""
        ref = tuple(v.expand(len(frames), -1, -1, -1) for v in views(self.reference(run)))
        latents: Tensor = self.autoencoder.encoder(views(frames), ref)
        return latents

    @torch.no_grad()
    def read(self, run: int, frames: Tensor) -> Tensor:
        """Controls and aperture as the reader sees them in frames [n, 4, 384, 384]: [n, 22]."""
        ref = [v.expand(len(frames), -1, -1, -1) for v in views(self.reference(run))]
        measured: Tensor = self.reader(views(frames), ref)
        return measured


def picture_figures(made: Tensor, truth: Tensor) -> dict[str, float]:
    """PSNR (dB) and SSIM, whole and by area, at 384 px and (PSNR) at 96 px."""
    out = {"psnr_whole": psnr_db(made, truth).mean().item(), "ssim_whole": ssim(made, truth).mean().item()}
    out["psnr96_whole"] = psnr_db(working_size(made), working_size(truth)).mean().item()
    for name, boxes in AREAS.items():
        a = torch.cat([box.crop(made)[:, :3] for box in boxes])
        b = torch.cat([box.crop(truth)[:, :3] for box in boxes])
        out[f"psnr_{name}"], out[f"ssim_{name}"] = psnr_db(a, b).mean().item(), ssim(a, b).mean().item()
        small = [torch.nn.functional.avg_pool2d(x, 4) for x in (a, b)]
        out[f"psnr96_{name}"] = psnr_db(small[0], small[1]).mean().item()
    return out


def count_events(track: Tensor, high: float, low: float) -> int:
    """How often a track [n] rises above `high` after having been below `low`."""
    events, armed = 0, True
    for value in track.tolist():
        if armed and value > high:
            events, armed = events + 1, False
        elif value < low:
            armed = True
    return events


def motion_figures(made: Tensor, truth: Tensor, aperture: Tensor, state: Tensor) -> dict[str, float]:
    """Generated against true motion, both read from pixels [n, 22]; ratios are 1 where they move alike."""
    out: dict[str, float] = {}
    for name, index in (("head", HEAD), ("blink", BLINK)):
        a, b = made[:, index], truth[:, index]
        out[f"{name}_std_ratio"] = (a.std(0).mean() / b.std(0).mean()).item()
        change = torch.diff(a, dim=0).abs().mean() / torch.diff(b, dim=0).abs().mean()
        out[f"{name}_change_ratio"] = change.item()
    minutes = len(made) / FPS / 60.0
    nodding = state == int(AvatarState.LISTENING)
    for name, track in (("made", made), ("truth", truth)):
        out[f"blinks_per_minute_{name}"] = count_events(track[:, BLINK].mean(1), 0.6, 0.35) / minutes
        pitch = track[:, PITCH]
        slow = torch.nn.functional.avg_pool1d(pitch[None, None], 25, 1, 12, count_include_pad=False)[0, 0]
        nods = count_events((pitch - slow)[nodding], 0.15, 0.05)
        out[f"nods_per_minute_{name}"] = nods / max(nodding.float().mean().item() * minutes, 1e-6)
    talk = state == int(AvatarState.SPEAKING)
    speech = torch.stack([made[talk, -1], aperture[talk]])
    out["aperture_r"] = out["aperture_std_ratio"] = math.nan
    if speech.shape[1] > 1:
        out["aperture_r"] = torch.corrcoef(speech)[0, 1].item()
        out["aperture_std_ratio"] = (speech[0].std() / speech[1].std()).item()
    out["shut_when_not_speaking"] = (made[~talk, -1] < 0.15).float().mean().item()
    return out


def mean_of_finite(values: list[float]) -> float | None:
    """Mean over the runs that have the figure (one without speech has no lip figures), None without any."""
    finite = [v for v in values if math.isfinite(v)]
    return round(float(np.mean(finite)), 4) if finite else None


def evaluate(runs: Path, config: ModelConfig, out: Path, limit: int) -> dict[str, dict[str, float | None]]:
    """All figures; written to `out` as JSON. `limit` caps the number of held-out runs."""
    bench = Bench(runs, config)
    teacher, student, appearance = Denoiser(config), Denoiser(config), AppearanceNet(config)
    load_averaged(runs / "diffusion", {"denoiser": teacher, "appearance": appearance})
    ways: dict[str, tuple[Denoiser, Sampler]] = {f"teacher_{n}": (teacher, ddim(n)) for n in (25, 2)}
    if (runs / "distill" / "checkpoint.pt").exists():
        load_averaged(runs / "distill", {"denoiser": student})
        ways |= {f"student_{n}": (student, few_steps(n)) for n in (4, 2, 1)}
    collected: dict[str, list[dict[str, float]]] = {}
    for run in range(min(limit, bench.latents.runs)):
        n = bench.latents.run_frames
        index = torch.arange(0, n, 12)
        true_frames = torch.cat([bench.truth(run, i) for i in torch.arange(n).split(25)])
        truth = true_frames[index]
        seen = bench.read(run, true_frames)
        aperture = torch.from_numpy(np.array(bench.frames["aperture"][run]))
        state = bench.latents.arrays["state"][run].long()
        collected.setdefault("reference_itself", []).append(
            picture_figures(bench.reference(run).expand(len(index), -1, -1, -1), truth)
        )
        z_ref = bench.latents.arrays["ref_latent"][run : run + 1].float()
        latents = {
            "exact_latents": (bench.latents.arrays["z"][run].float(), z_ref),
            "reconstruction": (bench.encode(run, true_frames), bench.encode(run, bench.reference(run))),
        }
        for name, (net, sampler) in ways.items():
            latents[name] = (stream(net, appearance, bench.latents, run, sampler), z_ref)
        for name, pair in latents.items():
            frames = bench.decode(run, *pair)
            motion = motion_figures(bench.read(run, frames), seen, aperture, state)
            collected.setdefault(name, []).append({**picture_figures(frames[index], truth), **motion})
        print(f"evaluate: run {run + 1} of {min(limit, bench.latents.runs)}", flush=True)
    mean = {
        way: {k: mean_of_finite([row[k] for row in rows]) for k in rows[0]} for way, rows in collected.items()
    }
    out.write_text(json.dumps(mean, indent=1) + "\n")
    return mean
