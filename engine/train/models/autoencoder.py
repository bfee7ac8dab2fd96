"""The reference-conditioned autoencoder: a frame becomes a latent, and a latent plus the reference a frame.

What the reference already shows is copied by a flow (so it stays as sharp as the picture is); only the
mouth and the eyes get new pixels, drawn by small patch heads in the coordinates of the reference picture
and carried to their place by a second flow. The design is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.train.models import geometry as geo
from engine.train.models.config import ModelConfig
from engine.train.models.embedding import ControlEmbedding
from engine.train.models.layers import ConvBlock, LatentMap, ResBlock

Banks = Mapping[str, Tensor]


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class FrameEncoder(nn.Module):
    """(frame, reference) -> latent [B, 16, 4, 4]; both are premultiplied RGBA [B, 4, 96, 96] in 0..1."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        a, b, c, d = config.encoder
        self.net = nn.Sequential(
            nn.PixelUnshuffle(2), ConvBlock(32, a), ConvBlock(a, b, 2), ResBlock(b),
            ConvBlock(b, c, 2), ResBlock(c), ConvBlock(c, d, 2), ResBlock(d),
        )  # fmt: skip
        # Each latent number tells of the whole face: the last layers must see all of it at once.
        self.latent = config.latent
        self.out = nn.Sequential(
            nn.Conv2d(d, 32, 1),
            nn.Flatten(),
            nn.Linear(32 * 36, 256),
            nn.ReLU(),
            nn.Linear(256, config.latent[0] * config.latent[1] * config.latent[2]),
        )

    def forward(self, frame: Tensor, ref: Tensor) -> Tensor:
        latent: Tensor = self.out(self.net(torch.cat([frame, ref], dim=1))).unflatten(1, self.latent)
        return latent


class PatchReference(nn.Module):
    """Features of one crop of the reference picture, at a quarter and at half of its size."""

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        self.at_half = nn.Sequential(nn.PixelUnshuffle(2), ConvBlock(16, channels[1]))
        self.at_quarter = nn.Sequential(ConvBlock(channels[1], channels[0], 2), ResBlock(channels[0]))

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        half = self.at_half(crop)
        return self.at_quarter(half), half


class ReferenceNet(nn.Module):
    """What the decoder needs of a picture, computed once.

    In: premultiplied RGBA [B, 4, 384, 384]. Out: named banks; `flow_*` feed the flow head, `mouth_*` and
    `eyes_*` the patch heads (eyes: [2 B, ...], picture-left first, the right one mirrored).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        a, b, c = config.reference
        self.to_48 = nn.Sequential(nn.PixelUnshuffle(2), ConvBlock(16, a), ResBlock(a))
        self.to_24 = nn.Sequential(ConvBlock(a, b, 2), ResBlock(b))
        self.to_12 = nn.Sequential(ConvBlock(b, c, 2), ResBlock(c))
        self.mouth = PatchReference(config.mouth)
        self.eyes = PatchReference(config.eyes)

    def patches(self, picture: Tensor) -> dict[str, Tensor]:
        """The banks of the patch heads."""
        eyes = torch.stack([geo.EYES[0].crop(picture), geo.EYES[1].crop(picture).flip(-1)], dim=1)
        mouth = geo.MOUTH.crop(picture)
        mouth_quarter, mouth_half = self.mouth(mouth)
        eyes_quarter, eyes_half = self.eyes(eyes.flatten(0, 1))
        return {
            "mouth_quarter": mouth_quarter,
            "mouth_half": mouth_half,
            "mouth_crop": mouth[:, :3],
            "eyes_quarter": eyes_quarter,
            "eyes_half": eyes_half,
            "eyes_crop": eyes[:, :, :3].flatten(0, 1),
        }

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        f48 = self.to_48(working_size(picture))
        f24 = self.to_24(f48)
        f12 = self.to_12(f24)
        return {"flow_12": f12, "flow_24": f24, "flow_48": f48, **self.patches(picture)}


class FlowHead(nn.Module):
    """Latent + reference features -> two backward flows at 48 px: [B, 2, 48, 48] each, picture coordinates.

    The first says where in the reference each output pixel comes from, the second where in the
    patches' (unmoved) coordinates it lies.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        w12, w24, w48 = config.flow
        r48, r24, r12 = config.reference
        self.latent = LatentMap(config.latent, w12 // 2, 6, 6)
        self.at_12 = nn.Sequential(ConvBlock(w12 // 2 + r12, w12), ResBlock(w12), ResBlock(w12))
        self.at_24 = nn.Sequential(ConvBlock(w12 + r24, w24), ResBlock(w24))
        self.at_48 = nn.Sequential(ConvBlock(w24 + r48, w48), ResBlock(w48))
        self.coarse = nn.Conv2d(w12, 4, 3, 1, 1)
        self.fine = nn.Conv2d(w48, 4, 3, 1, 1)
        for conv in (self.coarse, self.fine):
            nn.init.normal_(conv.weight, std=1e-3)
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)

    def forward(self, z: Tensor, banks: Banks) -> tuple[Tensor, Tensor]:
        x12 = self.at_12(torch.cat([_up(self.latent(z)), banks["flow_12"]], dim=1))
        x24 = self.at_24(torch.cat([_up(x12), banks["flow_24"]], dim=1))
        x48 = self.at_48(torch.cat([_up(x24), banks["flow_48"]], dim=1))
        flow = 0.2 * (_up(_up(self.coarse(x12))) + self.fine(x48))
        return flow[:, :2], flow[:, 2:]


class PatchHead(nn.Module):
    """Latent features + features of the reference crop + the crop itself -> the crop as it looks now.

    A flow within the crop moves what the reference shows (lips, lids, iris keep their lines and colours), a
    mix says where pixels are new (teeth, a closed lid), and a cover where the patch replaces the picture.

    Out: `patch` [B, 4, H, W] (RGB and cover), and what the losses look at: `moved` and `new` [B, 3, H, W].
    """

    FLOW_SCALE = 0.25

    def __init__(self, channels: tuple[int, int], latent_channels: int) -> None:
        super().__init__()
        wide, narrow = channels
        self.at_quarter = nn.Sequential(
            ConvBlock(wide + latent_channels, wide), ResBlock(wide), ResBlock(wide)
        )
        self.up = nn.Sequential(nn.Conv2d(wide, 4 * narrow, 3, 1, 1), nn.PixelShuffle(2), nn.ReLU())
        self.at_half = nn.Sequential(ConvBlock(2 * narrow, narrow), ResBlock(narrow))
        self.out = nn.Sequential(nn.Conv2d(narrow, 28, 3, 1, 1), nn.PixelShuffle(2))

    def forward(
        self, latent_map: Tensor, quarter: Tensor, half: Tensor, crop: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        latent_map = F.interpolate(latent_map, size=quarter.shape[-2:], mode="bilinear", align_corners=False)
        x = self.up(self.at_quarter(torch.cat([latent_map, quarter], dim=1)))
        out = self.out(self.at_half(torch.cat([x, half], dim=1))).float()
        new, cover, mix = out[:, :3] + 0.5, torch.sigmoid(out[:, 3:4] - 1.0), torch.sigmoid(out[:, 4:5])
        height, width = int(crop.shape[-2]), int(crop.shape[-1])
        grid = geo.centre_grid(height, width, crop.device)
        places = grid + self.FLOW_SCALE * out[:, 5:].permute(0, 2, 3, 1)
        moved = _warp(crop.float(), places)
        return torch.cat([moved + mix * (new - moved), cover], dim=1), moved, new


class Decoder(nn.Module):
    """Latents [B, 16, 4, 4] and the banks of B pictures -> flows and patches; `compose` makes the frame."""

    LATENT_CHANNELS = 32

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.flow = FlowHead(config)
        self.mouth_latent = LatentMap(config.latent, self.LATENT_CHANNELS, 6, 6)
        self.eye_latents = nn.ModuleList(
            [LatentMap(config.latent, self.LATENT_CHANNELS, 6, 5) for _ in range(2)]
        )
        self.mouth = PatchHead(config.mouth, self.LATENT_CHANNELS)
        self.eyes = PatchHead(config.eyes, self.LATENT_CHANNELS)

    def patches(self, z: Tensor, banks: Banks) -> dict[str, Tensor]:
        """Patches by name: `mouth` [B, 4, 96, 96], `eye_left` and `eye_right` [B, 4, 88, 80], RGB and cover.

        `NAME_moved` and `NAME_new` are the two things each is mixed from, for the losses.
        """
        mouth = self.mouth(
            self.mouth_latent(z), banks["mouth_quarter"], banks["mouth_half"], banks["mouth_crop"]
        )
        maps = torch.stack([net(z) for net in self.eye_latents], dim=1).flatten(0, 1)
        eyes = self.eyes(maps, banks["eyes_quarter"], banks["eyes_half"], banks["eyes_crop"])
        out: dict[str, Tensor] = {}
        for kind, of_mouth, of_eyes in zip(("", "_moved", "_new"), mouth, eyes, strict=True):
            left, right = of_eyes.unflatten(0, (-1, 2)).unbind(1)
            out |= {f"mouth{kind}": of_mouth, f"eye_left{kind}": left, f"eye_right{kind}": right.flip(-1)}
        return out

    def forward(self, z: Tensor, banks: Banks) -> dict[str, Tensor]:
        flow, patch_flow = self.flow(z, banks)
        return {"flow": flow, "patch_flow": patch_flow, **self.patches(z, banks)}


PATCH_BOXES = {"mouth": geo.MOUTH, "eye_left": geo.EYES[0], "eye_right": geo.EYES[1]}
"""Patches by name, where they lie in the unmoved picture."""


def compose(
    decoded: Banks,
    picture: Tensor,
    size_px: Tensor | int,
    view: geo.Box | None = None,
    names: tuple[str, ...] = (),
) -> Tensor:
    """Warps the reference and lays patches over it.

    Args:
        decoded: what `Decoder` returned for B frames.
        picture: the reference [B, C, s, s], RGB first; of the output's size when there is no view.
        size_px: side of the (whole) output picture.
        view: render only this box of it (384 px pixels).
        names: the patches to lay over a view (for training); all of them, each in its own grown box,
            when there is no view.

    Returns:
        [B, C, H, W].
    """
    grid = geo.pixel_grid(size_px, view, picture.device)
    if view is not None:
        frame = _warp(picture, geo.sample_flow(decoded["flow"], grid))
        for name in names:
            frame = _lay_over(frame, decoded[name], name, geo.sample_flow(decoded["patch_flow"], grid))
        return frame

    # On a whole picture's regular grid sampling a flow is resizing it, which runtimes do faster.
    def moved(flow: Tensor) -> Tensor:
        resized = F.interpolate(flow, size=picture.shape[-2:], mode="bilinear", align_corners=False)
        return grid + resized.permute(0, 2, 3, 1)

    frame, places = _warp(picture, moved(decoded["flow"])), moved(decoded["patch_flow"])
    for name, box in PATCH_BOXES.items():
        region = box.grow(geo.REGION_MARGIN_PX)
        rows, columns = region.slices(size_px)
        laid = _lay_over(frame[:, :, rows, columns], decoded[name], name, places[:, rows, columns])
        middle = torch.cat(
            [frame[:, :, rows, : columns.start], laid, frame[:, :, rows, columns.stop :]], dim=3
        )
        frame = torch.cat([frame[:, :, : rows.start], middle, frame[:, :, rows.stop :]], dim=2)
    return frame


def _warp(picture: Tensor, places: Tensor) -> Tensor:
    return F.grid_sample(picture, places, align_corners=False, padding_mode="border")


def _lay_over(frame: Tensor, patch: Tensor, name: str, places: Tensor) -> Tensor:
    """Mixes a patch [B, 4, h, w] into a frame [B, C, H, W] whose pixels lie at places [B, H, W, 2]."""
    patch = F.grid_sample(
        patch, geo.into_box(places, PATCH_BOXES[name]), align_corners=False, padding_mode="zeros"
    )
    rgb = frame[:, :3] + patch[:, 3:] * (patch[:, :3] - frame[:, :3])
    return torch.cat([rgb, frame[:, 3:]], dim=1)


class Autoencoder(nn.Module):
    """Encoder, reference network and decoder about the latent space that `ControlEmbedding` defines."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.encoder = FrameEncoder(config)
        self.reference = ReferenceNet(config)
        self.decoder = Decoder(config)
        self.embedding = ControlEmbedding(config.latent)


def working_size(picture: Tensor) -> Tensor:
    """384 px -> 96 px by averaging."""
    return F.avg_pool2d(picture, geo.REFERENCE_PX // geo.WORKING_PX)
