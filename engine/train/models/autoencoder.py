"""The reference-conditioned autoencoder: a frame becomes a latent, and a latent plus the reference a frame.

What the reference already shows is copied by a flow (so it stays as sharp as the picture is); only the
mouth and the eyes get new pixels, drawn by small patch heads in the coordinates of the reference picture
and carried to their place by a second flow. Both flows are mixes of a few fields of motion that the
reference network finds once per picture, so a frame costs no convolution for them. The design is our choice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.train.models import geometry as geo
from engine.train.models.config import ModelConfig
from engine.train.models.latent_space import LATENT_SHAPE, LatentSpace
from engine.train.models.layers import ConvBlock, LatentMap, ResBlock
from engine.types import CONTROL_NAMES

Banks = Mapping[str, Tensor]
HEADS = {"mouth": ("mouth",), "eyes": ("eye_left", "eye_right")}
"""What draws the patches, and which."""
POSE = [CONTROL_NAMES.index(n) for n in ("headYaw", "headPitch", "headRoll", "headShift", "breath")]
"""Controls that move the whole picture."""
MOUTH_REGION = geo.MOUTH.grow(geo.REGION_MARGIN_PX)
EYES_REGION = geo.Box(
    geo.EYES[0].left,
    geo.EYES[0].top,
    geo.EYES[1].left + geo.EYES[1].width - geo.EYES[0].left,
    geo.EYES[0].height,
).grow(geo.REGION_MARGIN_PX)
"""Both eyes; the frame encoder looks at these from nearer."""


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def views(picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the frame encoder sees of a premultiplied picture [B, 4, 384, 384].

    The whole of it at 96 px [B, 4, 96, 96], and the regions of mouth and eyes from nearer: RGB at half size,
    [B, 3, 72, 72] and [B, 3, 68, 106].
    """
    mouth, eyes = (F.avg_pool2d(box.crop(picture)[:, :3], 2) for box in (MOUTH_REGION, EYES_REGION))
    return working_size(picture), mouth, eyes


class _Trunk(nn.Sequential):
    """One view of frame and reference, stacked, to 32 maps of a sixteenth of its size, flattened."""

    def __init__(self, channels: int, widths: tuple[int, int, int, int]) -> None:
        a, b, c, d = widths
        super().__init__(
            nn.PixelUnshuffle(2), ConvBlock(8 * channels, a), ConvBlock(a, b, 2), ResBlock(b),
            ConvBlock(b, c, 2), ResBlock(c), ConvBlock(c, d, 2), ResBlock(d),
            nn.Conv2d(d, 32, 1), nn.Flatten(),
        )  # fmt: skip


class FrameEncoder(nn.Module):
    """(views of a frame, views of its reference), as `views` gives them -> latent [B, 21, 1, 1]."""

    WIDTH = 256

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.trunks = nn.ModuleList([_Trunk(n, config.encoder) for n in (4, 3, 3)])
        # Each latent number tells of the whole face: the last layers must see all of it at once.
        places = 6 * 6 + 5 * 5 + 5 * 7
        self.out = nn.Sequential(
            nn.Linear(32 * places, self.WIDTH), nn.ReLU(), nn.Linear(self.WIDTH, LATENT_SHAPE[0])
        )

    def features(self, frame: Sequence[Tensor], ref: Sequence[Tensor]) -> Tensor:
        """What the last layer is given: [B, WIDTH]."""
        seen = [
            trunk(torch.cat(pair, dim=1))
            for trunk, pair in zip(self.trunks, zip(frame, ref, strict=True), strict=True)
        ]
        features: Tensor = self.out[:-1](torch.cat(seen, dim=1))
        return features

    def latent(self, features: Tensor) -> Tensor:
        """The last layer: [B, WIDTH] -> latent [B, 21, 1, 1]."""
        latent: Tensor = self.out[-1](features)[..., None, None]
        return latent

    def forward(self, frame: Sequence[Tensor], ref: Sequence[Tensor]) -> Tensor:
        return self.latent(self.features(frame, ref))


class PatchReference(nn.Module):
    """What one crop of the reference picture gives to its patch head, at a quarter and at half of its size.

    The head adds these to its own features: they are found once per picture, not once per frame.
    """

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        wide, narrow = channels
        self.at_half = nn.Sequential(nn.PixelUnshuffle(2), ConvBlock(16, narrow))
        self.at_quarter = nn.Sequential(ConvBlock(narrow, wide, 2), ResBlock(wide))
        self.to_half = nn.Conv2d(narrow, narrow, 3, 1, 1, bias=False)
        self.to_quarter = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        half = self.at_half(crop)
        return self.to_quarter(self.at_quarter(half)), self.to_half(half)


def _with_inside(crop: Tensor) -> Tensor:
    """RGB and, in place of alpha, where the picture is opaque all around: only there may a patch cover it.

    At a transparent edge premultiplied colours are black; carried by a turning head they would be seen.
    """
    inside = -F.max_pool2d(-crop[:, 3:], 7, 1, 3)
    return torch.cat([crop[:, :3], inside], dim=1)


class ReferenceNet(nn.Module):
    """What the decoder needs of a picture, computed once.

    In: premultiplied RGBA [B, 4, 384, 384]. Out: named banks; `flow_fields` [B, K, 2, 96, 96] and
    `patch_flow_fields` [B, K', 2, 24, 24] are the motions that the flows are mixed from, `mouth_*` and
    `eyes_*` feed the patch heads (eyes: [2 B, ...], picture-left first, the right one mirrored).
    """

    FIELD_SCALE = 0.1

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        a, b, c = config.reference
        self.to_48 = nn.Sequential(nn.PixelUnshuffle(2), ConvBlock(16, a), ResBlock(a))
        self.to_24 = nn.Sequential(ConvBlock(a, b, 2), ResBlock(b))
        self.to_12 = nn.Sequential(ConvBlock(b, c, 2), ResBlock(c), ResBlock(c))
        self.at_24 = nn.Sequential(ConvBlock(b + c, b), ResBlock(b))
        self.at_48 = nn.Sequential(ConvBlock(a + b, b), ResBlock(b))
        self.fields = nn.Sequential(nn.Conv2d(b, 8 * config.flow_fields, 3, 1, 1), nn.PixelShuffle(2))
        self.patch_fields = nn.Conv2d(b, 2 * config.patch_flow_fields, 3, 1, 1)
        self.mouth = PatchReference(config.mouth)
        self.eyes = PatchReference(config.eyes)

    def patches(self, picture: Tensor, heads: Collection[str] = HEADS) -> dict[str, Tensor]:
        """The banks of the patch heads."""
        eyes = torch.stack([geo.EYES[0].crop(picture), geo.EYES[1].crop(picture).flip(-1)], dim=1)
        crops = {"mouth": geo.LIPS.crop(picture), "eyes": eyes.flatten(0, 1)}
        banks: dict[str, Tensor] = {}
        for head in heads:
            quarter, half = getattr(self, head)(crops[head])
            banks |= {f"{head}_quarter": quarter, f"{head}_half": half}
            banks[f"{head}_crop"] = _with_inside(crops[head])
        return banks

    def motions(self, picture: Tensor) -> dict[str, Tensor]:
        """The banks of the flows."""
        f48 = self.to_48(working_size(picture))
        f24 = self.to_24(f48)
        f24_up = self.at_24(torch.cat([_up(self.to_12(f24)), f24], dim=1))
        f48_up = self.at_48(torch.cat([_up(f24_up), f48], dim=1))
        return {
            "flow_fields": self.FIELD_SCALE * self.fields(f48_up).float().unflatten(1, (-1, 2)),
            "patch_flow_fields": self.FIELD_SCALE * self.patch_fields(f24_up).float().unflatten(1, (-1, 2)),
        }

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        return {**self.motions(picture), **self.patches(picture)}


class FlowMixer(nn.Module):
    """A flow as a mix of the picture's own fields of motion; the latents say how much of each.

    (z [B, 21, 1, 1], z_ref of B pictures, fields [B or 1, K, 2, h, w]) -> backward flow [B, 2, h, w], picture
    coordinates. It is exactly zero where z is the reference's own latent: what does not move stays as it is.
    Controls of the face move only what `reach` lets them: hair and shoulders follow the pose alone.
    """

    reach: Tensor | None

    def __init__(self, fields: int, reach: Tensor | None = None) -> None:
        """The reach [h, w], 0..1; None: everywhere."""
        super().__init__()
        self.register_buffer("reach", reach, persistent=False)
        self.register_buffer(
            "pose", torch.tensor([i in POSE for i in range(len(CONTROL_NAMES))]), persistent=False
        )
        self.pose: Tensor
        self.mix = nn.Sequential(
            nn.Linear(3 * LATENT_SHAPE[0], 128),
            nn.SiLU(),
            nn.Linear(128, 128),
            nn.SiLU(),
            nn.Linear(128, fields),
        )

    def weights(self, z: Tensor, z_ref: Tensor) -> Tensor:
        """How much of each field: [B, K]."""
        a, b = z.flatten(1), z_ref.flatten(1)
        weights: Tensor = self.mix(torch.cat([a, b, a - b], dim=1))
        return weights

    def forward(self, z: Tensor, z_ref: Tensor, fields: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):  # half precision would be a pixel off
            z, z_ref = z.float(), z_ref.float()
            weights, still = self.weights(z, z_ref), self.weights(z_ref, z_ref)
            if self.reach is None:
                return self._mixed(weights - still, fields)
            turned = self.weights(torch.where(self.pose[:, None, None], z, z_ref), z_ref)
            return self._mixed(turned - still, fields) + self.reach * self._mixed(weights - turned, fields)

    def _mixed(self, weights: Tensor, fields: Tensor) -> Tensor:
        mixed: Tensor = weights.unflatten(0, (fields.shape[0], -1)) @ fields.flatten(2)
        return mixed.view(-1, *fields.shape[2:])


def face_reach() -> Tensor:
    """[96, 96]: 1 on the face wherever a turn may carry it, chin of an open jaw included; 0 on hair, body."""
    x, y = geo.centre_grid(geo.WORKING_PX, geo.WORKING_PX, torch.device("cpu"))[0]
    radius = ((x / 0.52) ** 2 + ((y - 0.2) / 0.5) ** 2).sqrt()
    reach: Tensor = ((1.25 - radius) / 0.25).clamp(0.0, 1.0)
    return reach


def mouth_window() -> Tensor:
    """[72, 80]: 1 about the lips, 0 towards the jaw's outline.

    The outline lies deeper than the lips: carried with them by a turning head it would be seen twice.
    """
    ys, xs = (torch.arange(side) + 0.5 - side / 2 for side in (geo.LIPS.height, geo.LIPS.width))
    radius = (xs[None] / 34.0) ** 2 + (ys[:, None] / 30.0) ** 2
    return ((1.25 - radius) / 0.35).clamp(0.0, 1.0)


def along(do: Callable[[Tensor, Tensor], Tensor], x: Tensor, bank: Tensor) -> Tensor:
    """A sum or product of x [F * N, C, H, W] and a bank [N, C, H, W] that all frames share."""
    shape = [int(n) for n in bank.shape]
    return do(x.reshape(-1, *shape), bank).reshape(-1, *shape[1:])


class PatchHead(nn.Module):
    """Latent features + features of the reference crop + the crop itself -> the crop as it looks now.

    A flow within the crop moves what the reference shows (lips, lids, iris keep their lines and colours), a
    mix says where pixels are new (teeth, a closed lid), and a cover where the patch replaces the picture.

    Out: `patch` [B, 4, H, W] (RGB and cover), and what the losses look at: `moved` and `new` [B, 3, H, W].
    """

    FLOW_SCALE = 0.25
    window: Tensor

    def __init__(self, channels: tuple[int, int], latent_channels: int, window: Tensor) -> None:
        """The window [H, W], 0..1, says where the patch may cover the picture at all."""
        super().__init__()
        self.register_buffer("window", window, persistent=False)
        wide, narrow = channels
        self.of_latent = nn.Conv2d(latent_channels, wide, 3, 1, 1)
        self.at_quarter = nn.Sequential(ResBlock(wide), ResBlock(wide))
        self.up = nn.Sequential(nn.Conv2d(wide, 4 * narrow, 3, 1, 1), nn.PixelShuffle(2), nn.ReLU())
        self.of_up = nn.Conv2d(narrow, narrow, 3, 1, 1)
        self.at_half = ResBlock(narrow)
        self.out = nn.Sequential(nn.Conv2d(narrow, 28, 3, 1, 1), nn.PixelShuffle(2))

    def features(self, latent_map: Tensor, quarter: Tensor, half: Tensor) -> Tensor:
        """What `out` makes pixels of: [B, narrow, H / 2, W / 2]. The banks may be those of fewer rows."""
        size = [int(side) for side in quarter.shape[-2:]]
        latent_map = F.interpolate(latent_map, size=size, mode="bilinear", align_corners=False)
        x = self.up(self.at_quarter(torch.relu(along(torch.add, self.of_latent(latent_map), quarter))))
        y: Tensor = self.at_half(torch.relu(along(torch.add, self.of_up(x), half)))
        return y

    def forward(
        self, latent_map: Tensor, quarter: Tensor, half: Tensor, crop: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        out = self.out(self.features(latent_map, quarter, half)).float()
        crop, inside = crop[:, :3].float(), crop[:, 3:].float()
        new, cover, mix = out[:, :3] + 0.5, torch.sigmoid(out[:, 3:4] - 1.0), torch.sigmoid(out[:, 4:5])
        height, width = int(crop.shape[-2]), int(crop.shape[-1])
        grid = geo.centre_grid(height, width, crop.device)
        moved = geo.sample_inside(crop, grid + self.FLOW_SCALE * out[:, 5:])
        return torch.cat([moved + mix * (new - moved), cover * inside * self.window], dim=1), moved, new


class Decoder(nn.Module):
    """Latents of B frames and of their references, and banks -> flows and patches; `compose` makes the frame.

    The banks of the flows are those of E pictures, each for B / E frames in a row; the others are repeated
    for every frame.
    """

    LATENT_CHANNELS = 32

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.flow = FlowMixer(config.flow_fields, face_reach())
        self.patch_flow = FlowMixer(config.patch_flow_fields)
        self.mouth_latent = LatentMap(2 * LATENT_SHAPE[0], self.LATENT_CHANNELS, 5, 5)
        self.eye_latents = nn.ModuleList(
            [LatentMap(2 * LATENT_SHAPE[0], self.LATENT_CHANNELS, 6, 5) for _ in range(2)]
        )
        self.mouth = PatchHead(config.mouth, self.LATENT_CHANNELS, mouth_window())
        self.eyes = PatchHead(
            config.eyes, self.LATENT_CHANNELS, torch.ones(geo.EYES[0].height, geo.EYES[0].width)
        )

    def patches(
        self, z: Tensor, z_ref: Tensor, banks: Banks, heads: Collection[str] = HEADS
    ) -> dict[str, Tensor]:
        """Patches by name: `mouth` [B, 4, 72, 80], `eye_left` and `eye_right` [B, 4, 88, 80], RGB and cover.

        `NAME_moved` and `NAME_new` are the two things each is mixed from, for the losses.
        """
        both = torch.cat([z, z - z_ref], dim=1)
        kinds = ("", "_moved", "_new")
        out: dict[str, Tensor] = {}
        if "mouth" in heads:
            mouth = self.mouth(
                self.mouth_latent(both), banks["mouth_quarter"], banks["mouth_half"], banks["mouth_crop"]
            )
            out |= {f"mouth{kind}": image for kind, image in zip(kinds, mouth, strict=True)}
        if "eyes" in heads:
            maps = torch.stack([net(both) for net in self.eye_latents], dim=1).flatten(0, 1)
            eyes = self.eyes(maps, banks["eyes_quarter"], banks["eyes_half"], banks["eyes_crop"])
            for kind, image in zip(kinds, eyes, strict=True):
                left, right = image.unflatten(0, (-1, 2)).unbind(1)
                out |= {f"eye_left{kind}": left, f"eye_right{kind}": right.flip(-1)}
        return out

    def windows(self) -> dict[str, Tensor]:
        """Where patches may cover the picture, by name: [H, W], 0..1."""
        return {"mouth": self.mouth.window, "eye_left": self.eyes.window, "eye_right": self.eyes.window}

    def flows(self, z: Tensor, z_ref: Tensor, banks: Banks) -> dict[str, Tensor]:
        """Where each output pixel comes from: in the reference (`flow`), in the patches (`patch_flow`).

        [B, 2, 96, 96] and [B, 2, 24, 24]; patches lie in the reference's own, unmoved coordinates.
        """
        return {
            "flow": self.flow(z, z_ref, banks["flow_fields"]),
            "patch_flow": self.patch_flow(z, z_ref, banks["patch_flow_fields"]),
        }

    def forward(self, z: Tensor, z_ref: Tensor, banks: Banks) -> dict[str, Tensor]:
        return {**self.flows(z, z_ref, banks), **self.patches(z, z_ref, banks)}


PATCH_BOXES = {"mouth": geo.LIPS, "eye_left": geo.EYES[0], "eye_right": geo.EYES[1]}
"""Patches by name, where they lie in the unmoved picture."""


def patch_sheet(decoded: Banks, names: tuple[str, ...] = tuple(PATCH_BOXES)) -> Tensor:
    """Lays patches over each other in the unmoved picture: [B, 4, 160, 164], the pixels of `geo.FACE`.

    RGB is multiplied by the cover, the fourth channel: what lies between patches covers nothing.
    """
    sheet = None
    for name in names:
        box, patch = PATCH_BOXES[name], decoded[name]
        cover = patch[:, 3:]
        left, top = box.left - geo.FACE.left, box.top - geo.FACE.top
        margins = (left, geo.FACE.width - left - box.width, top, geo.FACE.height - top - box.height)
        layer = F.pad(torch.cat([cover * patch[:, :3], cover], dim=1), margins)
        sheet = layer if sheet is None else layer + (1.0 - layer[:, 3:]) * sheet
    assert sheet is not None
    return sheet


def compose(
    decoded: Banks,
    sheet: Tensor,
    picture: Tensor,
    size_px: Tensor | int,
    view: geo.Box | None = None,
) -> Tensor:
    """Warps the reference and lays the patches over it.

    Args:
        decoded: the flows that `Decoder` returned for B frames.
        sheet: their patches, see `patch_sheet`; of any resolution.
        picture: the reference [B, C, s, s], RGB first; of the output's size when there is no view.
        size_px: side of the (whole) output picture.
        view: render only this box of it (384 px pixels).

    Returns:
        [B, C, H, W].
    """
    grid = geo.pixel_grid(size_px, view, picture.device)
    if view is not None:
        frame = geo.sample_inside(picture, geo.sample_flow(decoded["flow"], grid))
        return _lay_over(frame, sheet, geo.sample_flow(decoded["patch_flow"], grid))

    # On a whole picture's regular grid sampling a flow is resizing it, which runtimes do faster.
    def moved(flow: Tensor) -> Tensor:
        return grid + F.interpolate(flow, size=picture.shape[-2:], mode="bilinear", align_corners=False)

    frame = geo.sample_inside(picture, moved(decoded["flow"]))
    rows, columns = geo.FACE.grow(geo.REGION_MARGIN_PX).slices(size_px)
    places = moved(decoded["patch_flow"])[:, :, rows, columns]
    laid = _lay_over(frame[:, :, rows, columns], sheet, places)
    middle = torch.cat([frame[:, :, rows, : columns.start], laid, frame[:, :, rows, columns.stop :]], dim=3)
    return torch.cat([frame[:, :, : rows.start], middle, frame[:, :, rows.stop :]], dim=2)


def _lay_over(frame: Tensor, sheet: Tensor, places: Tensor) -> Tensor:
    """Lays a sheet of patches over frames [B, C, H, W] whose pixels lie at places [B, 2, H, W]."""
    laid = geo.sample(sheet, geo.into_box(places, geo.FACE))
    rgb = (1.0 - laid[:, 3:]) * frame[:, :3] + laid[:, :3]
    return torch.cat([rgb, frame[:, 3:]], dim=1)


class Autoencoder(nn.Module):
    """Encoder, reference network and decoder about the latent space that `LatentSpace` defines."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.encoder = FrameEncoder(config)
        self.reference = ReferenceNet(config)
        self.decoder = Decoder(config)
        self.latent_space = LatentSpace()


def working_size(picture: Tensor) -> Tensor:
    """384 px -> 96 px by averaging."""
    return F.avg_pool2d(picture, geo.REFERENCE_PX // geo.WORKING_PX)
