"""Stage `autoencoder`: reference network and decoder, from rendered pairs and their controls.

The studio gives for nothing what a film cannot: the same face with the reference's pose (so patches are
learned in place and at full sharpness), and points that ride on the head (so the flow is told where to go).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.train.data import eyes, mouth
from engine.train.data.shards import REGIONS, open_folder
from engine.train.data.studio import ANCHOR_NAMES
from engine.train.data.warp import by_name, carried
from engine.train.losses import picture_loss, psnr_db
from engine.train.models import geometry as geo
from engine.train.models.autoencoder import (
    HEADS,
    PATCH_BOXES,
    Autoencoder,
    compose,
    patch_sheet,
    working_size,
)
from engine.train.models.config import ModelConfig
from engine.train.models.latent_space import LatentSpace
from engine.train.models.layers import freeze_norms
from engine.train.precision import half_precision
from engine.train.sheets import save_sheet
from engine.train.trainer import Schedule, Trainer

LATENT_NOISE = 0.02
"""On the latents of the patches, in deviations of a control; more blurs lines."""
WHOLE_SHARE = 0.5
"""Share of steps on whole pictures; the others teach the patches alone, at half the cost."""
NORM_SAMPLES = 4000
"""Batch norms gather statistics until then."""
FRAMES_PER_ENTRY = 4
FLOWS = "flows"
PARTS = (*HEADS, FLOWS)
"""What can be taught alone."""
PATCH_POINTS = 64
"""Points of each patch, picked anew for every batch, at which its flow is told the truth."""
PATCH_DEPTHS = {"mouth": mouth.DEPTH, "eye_left": eyes.DEPTH, "eye_right": eyes.DEPTH}
"""Of the studio's layers."""
PICTURE_ANCHORS = [
    ANCHOR_NAMES.index(n)
    for n in (
        "leftEye",
        "rightEye",
        "noseTip",
        "hairLeft",
        "hairRight",
        "hairTop",
        "leftShoulder",
        "rightShoulder",
        "chin",
    )
]
"""Points that are seen in every picture, and that no expression moves but the chin, which the jaw does."""
Batch = dict[str, Tensor]


class Pairs:
    """Draws training batches: `entries` references with FRAMES_PER_ENTRY frames each.

    Args:
        folder: rendered pairs.
        device: where batches go.
        names: the arrays to read; all of them when none is named. "ref_small" is the reference at 96 px.
    """

    def __init__(self, folder: Path, device: torch.device, *names: str) -> None:
        self.arrays, self.device = open_folder(folder), device
        self.names = names or tuple(self.arrays)
        self.entries, self.frames = self.arrays["frame"].shape[:2]
        self.small = self._small() if "ref_small" in self.names else None

    def _small(self) -> Tensor:
        """All references at 96 px, uint8: shrinking them for every batch costs more than a small network."""
        parts = [
            torch.from_numpy(np.array(r)).float() for r in np.array_split(self.arrays["ref"], self.entries)
        ]
        return torch.cat([working_size(p).round().byte() for p in parts])

    def batch(self, entries: npt.NDArray[np.int64], frames: npt.NDArray[np.int64]) -> Batch:
        """Entries [E] and frames [E, N] -> reference [E, 4, 384, 384] and per-frame tensors [E * N, ...]."""

        def pick(name: str) -> Tensor:
            values = torch.from_numpy(self.arrays[name][entries[:, None], frames]).to(self.device)
            return (values.float() / 255.0 if values.dtype == torch.uint8 else values).flatten(0, 1)

        batch = {k: pick(k) for k in self.names if k.startswith(("frame", "crop", "region"))}
        if self.small is not None:
            batch["ref_small"] = self.small[torch.from_numpy(entries)].to(self.device).float() / 255.0
        if "ref" in self.names:
            batch["ref"] = (
                torch.from_numpy(np.array(self.arrays["ref"][entries])).to(self.device).float() / 255.0
            )
        for name in {"controls", "anchors", "aperture", "landmarks"}.intersection(self.names):
            values = torch.from_numpy(np.array(self.arrays[name][entries])).to(self.device)
            batch[name] = torch.stack([v[1 + f] for v, f in zip(values, frames, strict=True)]).flatten(0, 1)
            batch[f"{name}_ref"] = values[:, 0]
        return batch

    def draw(self, entries: int, rng: np.random.Generator) -> Batch:
        """A random training batch; half of them with permuted colours, so that hues do not matter."""
        picked = rng.integers(0, self.entries, entries)
        frames = np.stack([rng.permutation(self.frames)[:FRAMES_PER_ENTRY] for _ in range(entries)])
        batch = self.batch(picked, frames)
        if rng.random() < 0.5:
            order = [*rng.permutation(3).tolist(), 3]
            for key in [k for k in batch if k.startswith(("frame", "crop", "region", "ref"))]:
                batch[key] = batch[key][:, order[: batch[key].shape[1]]]
        return batch


def repeat(banks: dict[str, Tensor], times: int) -> dict[str, Tensor]:
    """The banks of E pictures for E * times frames (eye banks hold two rows a picture, flows take one)."""
    return {
        k: v
        if k.endswith("fields")
        else (
            v.unflatten(0, (-1, 2)).repeat_interleave(times, 0).flatten(0, 1)
            if k.startswith("eyes_")
            else v.repeat_interleave(times, 0)
        )
        for k, v in banks.items()
    }


def anchor_loss(flow: Tensor, anchors: Tensor, still: Tensor) -> Tensor:
    """A flow [B, 2, h, w], where a point that rides on the head is, leads back to its place in the reference.

    Anchors and still are [B, N, 2], in the frame and in the reference.
    """
    at = anchors[:, None]
    offset = F.grid_sample(flow, at, align_corners=False, padding_mode="border").permute(0, 2, 3, 1)
    return ((at + offset)[:, 0] - still).abs().mean()


def shrunk(decoded: dict[str, Tensor], small: Tensor) -> Tensor:
    """The composed frame at 96 px, patches averaged down to that size: [B, 4, 96, 96]."""
    sheet = F.avg_pool2d(patch_sheet(decoded), geo.REFERENCE_PX // geo.WORKING_PX)
    whole = geo.Box(0, 0, geo.REFERENCE_PX, geo.REFERENCE_PX)
    return compose(decoded, sheet, small, geo.WORKING_PX, view=whole)


def painted_over(crop: Tensor, patch: Tensor) -> Tensor:
    """A patch [B, 4, h, w] laid over what it covers [B, 3, h, w], both unmoved."""
    return crop + patch[:, 3:] * (patch[:, :3] - crop)


def patch_losses(patch: Tensor, moved: Tensor, new: Tensor, crop: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Losses of one patch [B, 4, h, w] against the crop as the studio draws it, unmoved.

    The mixed result alone leaves the cover shut for ever (bad first colours close it, and a shut cover
    teaches no colours), so flow, new pixels and cover are also told directly. What changes against the
    reference counts most.
    """
    change = F.max_pool2d((crop - truth).abs().mean(1, keepdim=True), 3, 1, 1)
    rgb, cover = patch[:, :3], patch[:, 3:]
    painted = painted_over(crop, patch)
    focus = 1.0 + 8.0 * change
    wanted = (change * 8.0).clamp(max=1.0)
    return {
        "crop": picture_loss(painted, truth) + ((painted - truth).abs() * focus).mean(),
        "paint": 0.5 * ((rgb - truth).abs() * (0.1 + 8.0 * change)).mean(),
        "moved": 0.3 * ((moved - truth).abs() * (0.1 + 8.0 * change)).mean(),
        "new": 0.1 * ((new - truth).abs() * (0.1 + 8.0 * change)).mean(),
        "cover": 0.3 * ((cover - wanted).abs() * focus).mean(),
    }


def patch_flow_loss(flow: Tensor, controls: Tensor, controls_ref: Tensor) -> Tensor:
    """The patches' flow against the studio's own warp, at random points of the patches.

    Flow [B, 2, h, w]; controls of frames and references [B, 21].
    """
    device = flow.device
    parts, depths = [], []
    for name, box in PATCH_BOXES.items():
        corner = torch.tensor([box.left, box.top], device=device)
        side = torch.tensor([box.width, box.height], device=device)
        spots = corner + side * torch.rand(len(flow), PATCH_POINTS, 2, device=device)
        parts.append(spots / (geo.REFERENCE_PX / 2) - 1.0)
        depths += [PATCH_DEPTHS[name]] * PATCH_POINTS
    points = torch.cat(parts, dim=1)
    truth = carried(points, by_name(controls), by_name(controls_ref), torch.tensor(depths, device=device))
    return anchor_loss(flow, points, truth)


def drawing_losses(net: Autoencoder, batch: Batch, heads: Collection[str] = HEADS) -> dict[str, Tensor]:
    """Losses of some patches alone, in place and at full sharpness; costs half of `losses`, or less."""
    times, z, z_ref = _latents(net, batch)
    with half_precision(batch["ref"].device):
        banks = repeat(net.reference.patches(batch["ref"], heads), times)
        patches = net.decoder.patches(noised(z), noised(z_ref), banks, heads)
    return _patch_losses(patches, batch, times)


def _latents(net: Autoencoder, batch: Batch) -> tuple[int, Tensor, Tensor]:
    """How many frames each picture has, and the latents of the frames and of their pictures."""
    times = len(batch["controls"]) // len(batch["ref"])
    z, z_ref = net.latent_space(batch["controls"]), net.latent_space(batch["controls_ref"])
    return times, z, z_ref.repeat_interleave(times, 0)


def noised(z: Tensor) -> Tensor:
    """Latents with LATENT_NOISE."""
    return z + LATENT_NOISE * torch.randn_like(z)


def _patch_losses(patches: dict[str, Tensor], batch: Batch, times: int) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for name in [name for name in PATCH_BOXES if name in patches]:
        crop = PATCH_BOXES[name].crop(batch["ref"])[:, :3].repeat_interleave(times, 0)
        weight = 1.5 if name == "mouth" else 1.0
        made = (patches[name], patches[f"{name}_moved"], patches[f"{name}_new"])
        parts = patch_losses(*made, crop, batch[f"crop_{name}"])
        out |= {f"{k}_{name}": weight * v for k, v in parts.items()}
    return out


def losses(net: Autoencoder, batch: Batch) -> dict[str, Tensor]:
    """All losses of one batch: the patches', and those of the picture they are carried into."""
    times, z, z_ref = _latents(net, batch)
    with half_precision(batch["ref"].device):
        banks = repeat(net.reference(batch["ref"]), times)
        decoded = {
            **net.decoder.flows(z, z_ref, banks),
            **net.decoder.patches(noised(z), noised(z_ref), banks),
        }
    decoded = {k: v.float() for k, v in decoded.items()}
    return {**_patch_losses(decoded, batch, times), **_picture_losses(decoded, batch, times)}


def flow_losses(net: Autoencoder, batch: Batch) -> dict[str, Tensor]:
    """Losses of the flows alone: the patches are the studio's own; costs a third of `losses`."""
    times, z, z_ref = _latents(net, batch)
    with half_precision(batch["ref"].device):
        decoded = dict(net.decoder.flows(z, z_ref, net.reference.motions(batch["ref"])))
    for name, window in net.decoder.windows().items():
        crop = batch[f"crop_{name}"]
        decoded[name] = torch.cat([crop, window.expand(len(crop), 1, -1, -1)], dim=1)
    return _picture_losses(decoded, batch, times)


def _picture_losses(decoded: dict[str, Tensor], batch: Batch, times: int) -> dict[str, Tensor]:
    small = working_size(batch["ref"]).repeat_interleave(times, 0)
    out = {"whole": 2.0 * picture_loss(shrunk(decoded, small), batch["frame"])}
    still = batch["anchors_ref"].repeat_interleave(times, 0)[:, PICTURE_ANCHORS]
    out["anchors"] = 6.0 * anchor_loss(decoded["flow"], batch["anchors"][:, PICTURE_ANCHORS], still)
    controls_ref = batch["controls_ref"].repeat_interleave(times, 0)
    out["patch_flow"] = 12.0 * patch_flow_loss(decoded["patch_flow"], batch["controls"], controls_ref)
    ref = batch["ref"][:, :3].repeat_interleave(times, 0)
    for name in PATCH_BOXES:
        region = compose(decoded, patch_sheet(decoded, (name,)), ref, ref.shape[-1], REGIONS[name])
        weight = 1.5 if name == "mouth" else 1.0
        out[f"region_{name}"] = weight * picture_loss(region, batch[f"region_{name}"])
    return out


@torch.no_grad()
def evaluate(
    networks: dict[str, nn.Module],
    pairs: Pairs,
    sheet: Path | None,
    entries: int = 16,
) -> dict[str, float]:
    """PSNR on held-out identities at 384 px: mouth and eye regions; and of the whole picture at 96 px.

    `*_in_place` is of the patch in the reference's own pose, so without any flow; `*_ref` is what the
    untouched reference scores.
    """
    space = LatentSpace().to(pairs.device)
    scores: dict[str, list[Tensor]] = {}
    shots = []
    count = min(6, pairs.frames)
    for entry in range(min(entries, pairs.entries)):
        batch = pairs.batch(np.array([entry]), np.arange(count)[None])
        small = working_size(batch["ref"]).expand(count, -1, -1, -1)
        z, z_ref = space(batch["controls"]), space(batch["controls_ref"]).expand(count, -1, -1, -1)
        decoded = networks["decoder"](z, z_ref, repeat(networks["reference"](batch["ref"]), count))
        ref = batch["ref"].expand(count, -1, -1, -1)
        results = {"whole96": (shrunk(decoded, small), batch["frame"], small)}
        for name, region in REGIONS.items():
            made = compose(decoded, patch_sheet(decoded, (name,)), ref[:, :3], ref.shape[-1], region)
            results[name] = (made, batch[f"region_{name}"], region.crop(ref)[:, :3])
            crop = PATCH_BOXES[name].crop(ref)[:, :3]
            results[f"{name}_in_place"] = (painted_over(crop, decoded[name]), batch[f"crop_{name}"], crop)
        for name, (made, truth, still) in results.items():
            scores.setdefault(name, []).append(psnr_db(made, truth))
            scores.setdefault(f"{name}_ref", []).append(psnr_db(still, truth))
        if entry < 10:
            for i in (0, 1, 2):
                one = {k: v[i : i + 1] for k, v in decoded.items()}
                full = compose(one, patch_sheet(one), ref[i : i + 1], ref.shape[-1])
                shots += [batch["ref"][:, :3], F.interpolate(batch["frame"][i : i + 1, :3], 384), full[:, :3]]
                shots += [
                    F.interpolate(results[k][j][i : i + 1], 384)
                    for k in ("mouth", "eye_left")
                    for j in (1, 0)
                ]
    if sheet is not None:
        save_sheet(sheet, torch.cat(shots), columns=14, cell_px=144)
    return {f"db_{k}": torch.cat(v).mean().item() for k, v in scores.items()}


def train(
    data: Path,
    held: Path,
    folder: Path,
    config: ModelConfig,
    schedule: Schedule,
    device: torch.device,
    entries: int,
    head: str | None = None,
) -> None:
    """Runs the stage; `data` and `held` are folders of rendered pairs.

    With `head` that one draws its patch and nothing else is taught, or "flows" are taught and no patch: three
    times as many samples a second for what the eye looks at most.
    """
    torch.manual_seed(0)
    net = Autoencoder(config).to(device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch forgot to declare it
    pairs, test = Pairs(data, device), Pairs(held, device)
    heads = [head] if head in HEADS else list(HEADS)
    drawings = Pairs(data, device, "ref", "controls", *(f"crop_{n}" for h in heads for n in HEADS[h]))
    trainer = Trainer(
        folder,
        {"reference": net.reference, "decoder": net.decoder},
        schedule,
        device=device,
        on_checkpoint=lambda nets: evaluate(nets, test, folder / "sheet.png"),
    )
    rng = np.random.default_rng(trainer.samples)
    for samples in trainer:
        if samples >= NORM_SAMPLES:
            freeze_norms(net)
        if head == FLOWS:
            step_losses = flow_losses(net, pairs.draw(entries, rng))
        elif head is None and rng.random() < WHOLE_SHARE:
            step_losses = losses(net, pairs.draw(entries, rng))
        else:
            step_losses = drawing_losses(net, drawings.draw(entries, rng), heads)
        trainer.step(step_losses, entries * FRAMES_PER_ENTRY)
