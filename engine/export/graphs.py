"""The torch modules as the graphs of a pack, with the names, shapes and dtypes of `engine/README.md`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.train.instruments import READER_PX, READER_REGION
from engine.train.models import geometry as geo
from engine.train.models.autoencoder import Autoencoder, patch_sheet, views, working_size
from engine.train.models.denoiser import AppearanceNet, Denoiser
from engine.train.models.instruments import FaceLocator, Reader, face_mask
from engine.train.models.latent_space import LATENT_SHAPE

OPSET = 17
DECODER_BANKS = (
    "ref_latent", "flow_fields", "patch_flow_fields", "mouth_quarter", "mouth_half", "mouth_crop",
    "eyes_quarter", "eyes_half", "eyes_crop",
)  # fmt: skip
BANKS = ("bank", *DECODER_BANKS)


class ReferenceGraph(nn.Module):
    """ref_image [1, 4, 384, 384] premultiplied -> all banks, in the order of BANKS."""

    def __init__(self, autoencoder: Autoencoder, appearance: AppearanceNet, locator: FaceLocator) -> None:
        super().__init__()
        self.encoder, self.reference = autoencoder.encoder, autoencoder.reference
        self.appearance, self.locator = appearance, locator

    def forward(self, ref_image: Tensor) -> tuple[Tensor, ...]:
        small = working_size(ref_image)
        banks = self.reference(ref_image)
        banks["bank"] = self.appearance(small, face_mask(self.locator(small), AppearanceNet.GRID))
        banks["ref_latent"] = self.encoder(views(ref_image), views(ref_image))
        return tuple(banks[name] for name in BANKS)


class DecoderGraph(nn.Module):
    """latents [F, 21, 1, 1] and banks -> what `engine.compose` makes frames of.

    flow [F, 2, 96, 96] and patch_flow [F, 2, 24, 24] in halves of the picture's side, and the patches' sheet,
    uint8 [F, 160, 164, 4].
    """

    def __init__(self, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.decoder = autoencoder.decoder

    def forward(self, latents: Tensor, *banks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        frames = latents.shape[0]
        named = dict(zip(DECODER_BANKS, banks, strict=True))
        for name, bank in named.items():
            if name.startswith("eyes_"):
                named[name] = bank.repeat(frames, 1, 1, 1)
            elif not name.endswith("fields"):
                named[name] = bank.expand(frames, -1, -1, -1)
        decoded = self.decoder(latents, named["ref_latent"], named)
        sheet = patch_sheet(decoded)
        sheet = torch.minimum(sheet, sheet[:, 3:]).clamp(min=0.0)
        levels = (sheet * 255.0 + 0.5).to(torch.uint8).permute(0, 2, 3, 1)
        # Said in so many words: the manifest states these sizes.
        return (
            decoded["flow"].reshape(-1, 2, geo.WORKING_PX, geo.WORKING_PX),
            decoded["patch_flow"].reshape(-1, 2, 24, 24),
            levels.reshape(-1, geo.FACE.height, geo.FACE.width, 4),
        )


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
        x0: Tensor = self.denoiser(x, timestep, audio_emb[None], state, motion_frames, bank, ref_latent)
        latents = self.denoiser.prior.latents(x0, motion_frames)
        # Said in so many words, since a traced shape is not known to the exporter.
        return x0.reshape(1, -1, *LATENT_SHAPE), latents.reshape(1, -1, *LATENT_SHAPE)


class ReaderGraph(nn.Module):
    """image [F, 4, 192, 192] and ref [1, 4, 192, 192], premultiplied -> controls [F, 22]."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.reader = reader

    def forward(self, image: Tensor, ref: Tensor) -> Tensor:
        def views(picture: Tensor) -> tuple[Tensor, Tensor]:
            scale = geo.REFERENCE_PX // READER_PX
            top, left = READER_REGION.top // scale, READER_REGION.left // scale
            height, width = READER_REGION.height // scale, READER_REGION.width // scale
            near = picture[:, :3, top : top + height, left : left + width]
            return F.avg_pool2d(picture, READER_PX // geo.WORKING_PX), near

        frame, mouth = views(image)
        small, ref_mouth = (v.expand(image.shape[0], -1, -1, -1) for v in views(ref))
        controls: Tensor = self.reader(frame, small, mouth, ref_mouth)
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
