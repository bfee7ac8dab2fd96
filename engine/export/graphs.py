"""The torch modules as the graphs of a pack, with the names, shapes and dtypes of `engine/README.md`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import cast

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.train.instruments import READER_PX
from engine.train.models import geometry as geo
from engine.train.models.autoencoder import (
    EYES_REGION,
    HEADS,
    MOUTH_REGION,
    Autoencoder,
    Decoder,
    PatchHead,
    along,
    views,
    working_size,
)
from engine.train.models.denoiser import AppearanceNet, Denoiser
from engine.train.models.instruments import FaceLocator, Reader, face_mask
from engine.train.models.latent_space import LATENT_SHAPE

OPSET = 17
DECODER_BANKS = ("ref_latent", "flow_fields", "patch_flow_fields")
PATCH_BANKS = {name: ("ref_latent", f"{name}_quarter", f"{name}_half", f"{name}_visible") for name in HEADS}
BANKS = ("bank", *dict.fromkeys((*DECODER_BANKS, *chain(*PATCH_BANKS.values()))))
EYES = geo.Box(geo.FACE.left, geo.FACE.top, geo.FACE.width, geo.EYES[0].height)
"""Both eyes and what is between them."""


def visible(crop: Tensor, window: Tensor) -> Tensor:
    """Where a patch may cover the picture, as the decoder's graph takes it: [B, 4, H / 2, W / 2]."""
    return F.pixel_unshuffle(crop[:, 3:] * window, 2)


class ReferenceGraph(nn.Module):
    """ref_image [1, 4, 384, 384] premultiplied -> all banks, in the order of BANKS."""

    def __init__(
        self, autoencoder: Autoencoder, appearance: AppearanceNet, locator: FaceLocator, denoiser: Denoiser
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.encoder, self.reference = autoencoder.encoder, autoencoder.reference
        self.appearance, self.locator = appearance, locator
        self.mouth_window, self.eyes_window = (
            autoencoder.decoder.mouth.window,
            autoencoder.decoder.eyes.window,
        )

    def forward(self, ref_image: Tensor) -> tuple[Tensor, ...]:
        small = working_size(ref_image)
        banks = self.reference(ref_image)
        seen = self.appearance(small, face_mask(self.locator(small), AppearanceNet.GRID))
        banks["bank"] = self.denoiser.keys_values(seen)
        banks["ref_latent"] = self.encoder(views(ref_image), views(ref_image))
        banks["mouth_visible"] = visible(banks["mouth_crop"], self.mouth_window)
        banks["eyes_visible"] = visible(banks["eyes_crop"], self.eyes_window)
        return tuple(banks[name] for name in BANKS)


class DecoderGraph(nn.Module):
    """latents [F, 21, 1, 1] and DECODER_BANKS -> flow [F, 2, 96, 96] and patch_flow [F, 2, 24, 24].

    Where the picture's and the patches' pixels come from, in halves of the picture's side.
    """

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, latents: Tensor, ref_latent: Tensor, fields: Tensor, patch_fields: Tensor
    ) -> tuple[Tensor, Tensor]:
        ref_latent = ref_latent.expand_as(latents)
        flow = self.decoder.flow(latents, ref_latent, fields)
        patch_flow = self.decoder.patch_flow(latents, ref_latent, patch_fields)
        # Said in so many words: the manifest states these sizes.
        return flow.reshape(-1, 2, geo.WORKING_PX, geo.WORKING_PX), patch_flow.reshape(-1, 2, 24, 24)


class PatchPixels(nn.Module):
    """A patch head without the last steps, which `engine.compose` does.

    Its last convolution is two here, since only colours bear INT8; pixels are told in four quarters of half
    the size until they are bytes, which are quicker to move about. What `nn.PixelShuffle` does is done with
    the channels of each quarter beside each other, so that whole runs of bytes move.
    """

    LEVELS = 5
    reach: Tensor
    least: Tensor
    most: Tensor

    def __init__(self, head: PatchHead, box: geo.Box) -> None:
        super().__init__()
        self.head, self.box = deepcopy(head), box
        wide = cast(nn.Conv2d, head.up[0])
        self.head.up = nn.Sequential(_part(wide, _by_quarter(range(wide.out_channels))), nn.ReLU(), Spread())
        last = cast(nn.Conv2d, head.out[0])
        new, cover, mix = (range(start, stop) for start, stop in ((0, 12), (12, 16), (16, 20)))
        # 24 channels, the last four for nothing: 20 take onnxruntime a third longer.
        self.colours = _part(last, [*_by_quarter(new), *cover, *mix, *mix])
        self.flow = _part(last, range(4 * self.LEVELS, last.out_channels))
        # Coordinates of the box are -1..1 across it; the flow is told in halves of the picture's side, and
        # ends at the box's edge.
        across = torch.tensor([box.width, box.height]).view(2, 1, 1) / geo.REFERENCE_PX
        grid = geo.centre_grid(box.height, box.width, torch.device("cpu"))[0]
        limit = geo.inside(box.height, box.width)
        self.register_buffer("reach", PatchHead.FLOW_SCALE * across)
        self.register_buffer("least", (-limit - grid) * across)
        self.register_buffer("most", (limit - grid) * across)

    def forward(
        self, latent_map: Tensor, quarter: Tensor, half: Tensor, shown: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Levels uint8 [B, H, W, 5] (new RGB, share of the moved picture, cover), flow [B, 2, H, W]."""
        y = self.head.features(latent_map, quarter, half)
        height, width = self.box.height // 2, self.box.width // 2
        new, cover, mix, _ = self.colours(y).split([12, 4, 4, 4], dim=1)
        cover = along(torch.mul, torch.sigmoid(cover - 1.0), shown)
        painted = cover * torch.sigmoid(mix)
        rgb = (new + 0.5).clamp(0.0, 1.0).reshape(-1, 4, 3, height, width) * painted[:, :, None]
        levels = torch.cat([rgb, (cover - painted)[:, :, None], cover[:, :, None]], dim=2)
        levels = (levels * 255.0 + 0.5).to(torch.uint8).reshape(-1, 4 * self.LEVELS, height * width)
        levels = spread(levels.transpose(1, 2).reshape(-1, height, width, 4 * self.LEVELS))
        flow = F.pixel_shuffle(self.flow(y), 2) * self.reach
        return levels, torch.minimum(torch.maximum(flow, self.least), self.most)


def spread(x: Tensor) -> Tensor:
    """Four quarters of C channels each [B, H, W, 4 C] to pixels [B, 2 H, 2 W, C]."""
    height, width, channels = (int(size) for size in x.shape[1:])
    rows = x.reshape(-1, height, width, 2, channels // 2).transpose(2, 3)
    return rows.reshape(-1, 2 * height, 2 * width, channels // 4)


class Spread(nn.Module):
    """`spread` for channels first: [B, 4 C, H, W] to [B, C, 2 H, 2 W]."""

    def forward(self, x: Tensor) -> Tensor:
        return spread(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _by_quarter(channels: range) -> list[int]:
    """Channels in the order of `nn.PixelShuffle`, the four quarters of each in a row, quarter by quarter."""
    return [channel for quarter in range(4) for channel in channels[quarter::4]]


def _part(layer: nn.Conv2d, channels: Sequence[int]) -> nn.Conv2d:
    """A convolution that gives some of another's outputs."""
    assert layer.bias is not None
    weight, bias = layer.weight.data[list(channels)].clone(), layer.bias.data[list(channels)].clone()
    part = nn.Conv2d(layer.in_channels, len(bias), 3, 1, 1)
    part.weight, part.bias = nn.Parameter(weight), nn.Parameter(bias)
    return part


class MouthGraph(nn.Module):
    """latents [F, 21, 1, 1] and PATCH_BANKS -> levels uint8 [F, 72, 80, 5], flow [F, 2, 72, 80]."""

    box = geo.LIPS

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.latent_map, self.pixels = decoder.mouth_latent, PatchPixels(decoder.mouth, geo.LIPS)

    def forward(
        self, latents: Tensor, ref_latent: Tensor, quarter: Tensor, half: Tensor, shown: Tensor
    ) -> tuple[Tensor, Tensor]:
        both = torch.cat([latents, latents - ref_latent], dim=1)
        levels, flow = self.pixels(self.latent_map(both), quarter, half, shown)
        height, width = self.box.height, self.box.width
        return levels.reshape(-1, height, width, PatchPixels.LEVELS), flow.reshape(-1, 2, height, width)


class EyesGraph(nn.Module):
    """The same for both eyes, as they lie beside each other: [F, 88, 164, 5], [F, 2, 88, 164]."""

    box = EYES

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.latent_maps = decoder.eye_latents
        self.pixels = PatchPixels(decoder.eyes, geo.EYES[0])

    def forward(
        self, latents: Tensor, ref_latent: Tensor, quarter: Tensor, half: Tensor, shown: Tensor
    ) -> tuple[Tensor, Tensor]:
        both = torch.cat([latents, latents - ref_latent], dim=1)
        maps = torch.stack([net(both) for net in self.latent_maps], dim=1).flatten(0, 1)
        levels, flow = self.pixels(maps, quarter, half, shown)
        one, width, apart = geo.EYES[0], self.box.width, geo.EYES_APART_PX
        levels = levels.reshape(-1, 2, one.height, one.width, PatchPixels.LEVELS)
        flow = flow.reshape(-1, 2, 2, one.height, one.width)
        # The right eye is drawn in a mirror.
        mirror = flow.new_tensor([-1.0, 1.0]).view(2, 1, 1)
        levels = torch.cat([F.pad(levels[:, 0], (0, 0, 0, apart)), levels[:, 1].flip(2)], dim=2)
        flow = torch.cat([F.pad(flow[:, 0], (0, apart)), flow[:, 1].flip(3) * mirror], dim=3)
        levels = levels.reshape(-1, one.height, width, PatchPixels.LEVELS)
        return levels, flow.reshape(-1, 2, one.height, width)


PATCH_GRAPHS: dict[str, type[MouthGraph] | type[EyesGraph]] = {"mouth": MouthGraph, "eyes": EyesGraph}


class DenoiserGraph(nn.Module):
    """The denoiser with audio_emb [F, K, D] as the audio encoder gives it.

    Gives x0, the clip's innovations, for a further step, and the latents that they make.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(
        self,
        x: Tensor,
        timestep: Tensor,
        audio_emb: Tensor,
        state: Tensor,
        motion_frames: Tensor,
        bank: Tensor,
        ref_latent: Tensor,
    ) -> tuple[Tensor, Tensor]:
        audio_emb = audio_emb[None]
        readings = self.denoiser.readings(audio_emb)
        x0: Tensor = self.denoiser(x, timestep, audio_emb, state, motion_frames, bank, ref_latent, readings)
        latents = self.denoiser.latents(x0, readings, state, motion_frames)
        # Said in so many words, since a traced shape is not known to the exporter.
        return x0.reshape(1, -1, *LATENT_SHAPE), latents.reshape(1, -1, *LATENT_SHAPE)


class ReaderGraph(nn.Module):
    """image [F, 4, 192, 192] and ref [1, 4, 192, 192], premultiplied -> controls [F, 22]."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.reader = reader

    def forward(self, image: Tensor, ref: Tensor) -> Tensor:
        def seen(picture: Tensor) -> list[Tensor]:
            """What `views` makes of a picture of 384 px."""
            places = (box.slices(READER_PX) for box in (MOUTH_REGION, EYES_REGION))
            near = [picture[:, :3, rows, columns] for rows, columns in places]
            return [F.avg_pool2d(picture, READER_PX // geo.WORKING_PX), *near]

        refs = [v.expand(image.shape[0], -1, -1, -1) for v in seen(ref)]
        controls: Tensor = self.reader(seen(image), refs)
        return controls


@dataclass(frozen=True)
class GraphSpec:
    """One graph to export: a module, example inputs by name, output names, axes that are dynamic."""

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: Sequence[str]
    dynamic: Mapping[str, Mapping[int, str]]


def export_onnx(spec: GraphSpec, path: Path) -> None:
    """Writes one fp32 graph; batch norms are folded into the convolutions."""
    with warnings.catch_warnings():
        # The exporter is deprecated, and warns of every shape it makes a constant; tests compare the graphs.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            spec.module.eval(),
            tuple(spec.inputs.values()),
            str(path),
            input_names=list(spec.inputs),
            output_names=list(spec.outputs),
            dynamic_axes={k: dict(v) for k, v in spec.dynamic.items()},
            opset_version=OPSET,
            dynamo=False,
        )
    # The exporter leaves sizes of outputs open that follow from the graph; the manifest states them.
    onnx.save(onnx.shape_inference.infer_shapes(onnx.load(str(path))), str(path))
