"""Torch against the exported graphs, fp32 and INT8, with random networks of toy size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnx
import onnxruntime as ort
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.compose import Composer, cut_out, paint
from engine.export.graphs import PATCH_GRAPHS, GraphSpec
from engine.export.pack import Networks, export_fp32, graph_specs, levels_per_unit, patch_feeds, quantize
from engine.export.parity import differences
from engine.train.models.audio_encoder import AudioEncoder
from engine.train.models.autoencoder import Autoencoder, compose, patch_sheet, views
from engine.train.models.config import TOY
from engine.train.models.denoiser import AppearanceNet, Denoiser
from engine.train.models.instruments import FaceLocator, Reader
from engine.train.models.latent_space import LATENT_SHAPE
from engine.types import CONTROL_NAMES

PATCHES = tuple(PATCH_GRAPHS)
NAMES = (
    "audio_encoder", "reference", "denoiser", "decoder", *PATCHES, "face_locator", "expression", "reader",
)  # fmt: skip
COUNT = len(CONTROL_NAMES)
Array = npt.NDArray[Any]


def smooth(*shape: int) -> Tensor:
    """A picture without fine detail: in noise a flow that is wrong by a tenth of a pixel would show."""
    return F.interpolate(torch.rand(*shape[:2], 6, 6), shape[2:], mode="bicubic").clamp(0, 1)


def lively() -> Autoencoder:
    """Flows of several pixels and patches of strong colours, so that errors in them are seen."""
    network = Autoencoder(TOY)
    decoder = network.decoder
    with torch.no_grad():
        for mixer in (decoder.flow, decoder.patch_flow):
            mixer.mix.get_parameter("4.weight").mul_(4.0)
        for head in (decoder.mouth, decoder.eyes):
            head.out.get_parameter("0.weight").mul_(8.0)
            # New pixels keep within the range that bytes have.
            head.out.get_parameter("0.weight")[:12].mul_(0.05)
    return network


def trained(network: nn.Module) -> nn.Module:
    """Nothing stays at zero or one, as after training: weights, norms' statistics."""
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval().requires_grad_(False)


@dataclass(frozen=True)
class Exported:
    specs: Mapping[str, GraphSpec]
    fp32: Path
    int8: Path
    pairs: Path
    networks: Networks
    precision: Mapping[str, str]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    runs = tmp_path_factory.mktemp("runs")
    autoencoder = lively()
    stages: dict[str, dict[str, nn.Module]] = {
        "encoder": {"encoder": autoencoder.encoder},
        "autoencoder": {"reference": autoencoder.reference, "decoder": autoencoder.decoder},
        "locator": {"locator": FaceLocator()},
        "audio": {"audio_encoder": AudioEncoder(TOY)},
        "diffusion": {"denoiser": Denoiser(TOY), "appearance": AppearanceNet(TOY)},
        "reader": {"reader": Reader(TOY)},
    }
    for stage, networks in stages.items():
        (runs / stage).mkdir()
        averaged = {name: trained(network).state_dict() for name, network in networks.items()}
        torch.save({"averaged": averaged}, runs / stage / "checkpoint.pt")
    pairs = runs / "pairs"
    pairs.mkdir()
    np.save(pairs / "ref.npy", (smooth(6, 4, 384, 384) * 255.0).byte().numpy())
    np.save(pairs / "controls.npy", torch.rand(6, 4, COUNT).numpy())

    nets = Networks(runs, TOY, "diffusion")
    export_fp32(nets, runs / "fp32")
    precision = quantize(runs / "fp32", runs / "int8", patch_feeds(runs / "fp32", pairs, 6))
    specs = graph_specs(nets)
    return Exported(specs, runs / "fp32", runs / "int8", pairs, nets, precision)


def changed(spec: GraphSpec, **inputs: Tensor) -> GraphSpec:
    return replace(spec, inputs={**spec.inputs, **inputs})


def clip(spec: GraphSpec, frames: int) -> GraphSpec:
    """The denoiser's inputs for a clip of so many frames."""
    x, audio_emb = spec.inputs["x"], spec.inputs["audio_emb"]
    return changed(
        spec,
        x=torch.randn(1, frames, *x.shape[2:]),
        audio_emb=torch.randn(frames, *audio_emb.shape[1:]),
        state=torch.arange(frames)[None] % 3,
    )


def test_every_graph_is_exported(exported: Exported) -> None:
    assert set(exported.specs) == set(NAMES) == set(exported.precision)
    assert {f.stem for f in exported.int8.glob("*.onnx")} == set(NAMES)
    assert {name for name, kind in exported.precision.items() if kind == "int8"} == {"denoiser", *PATCHES}


@pytest.mark.parametrize("name", NAMES)
def test_fp32_is_torch(exported: Exported, name: str) -> None:
    found = differences(exported.specs[name], exported.fp32 / f"{name}.onnx")
    # A value right between two levels may round either way.
    assert found["max"] <= (1.0 if name in PATCHES else 1e-4)
    assert found["mean"] < (0.001 if name in PATCHES else 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_is_close_to_torch(exported: Exported, name: str) -> None:
    found = differences(exported.specs[name], exported.int8 / f"{name}.onnx")
    match name:
        case "mouth" | "eyes":
            assert found["max"] <= 64.0
            assert found["mean"] < 0.5
        case "denoiser":
            assert found["max"] < 0.1
            assert found["mean"] < 0.02
        case _:
            assert found["max"] <= 1e-4


@pytest.mark.parametrize("frames", TOY.clip_lengths)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_denoiser_takes_every_clip_length(exported: Exported, frames: int, precision: str) -> None:
    folder, bound = (exported.fp32, 1e-4) if precision == "fp32" else (exported.int8, 0.1)
    spec = clip(exported.specs["denoiser"], frames)
    assert differences(spec, folder / "denoiser.onnx")["max"] < bound


@pytest.mark.parametrize("timestep", [0.0, 0.25, 1.0])
def test_denoiser_takes_every_timestep(exported: Exported, timestep: float) -> None:
    spec = changed(exported.specs["denoiser"], timestep=torch.tensor([timestep]))
    assert differences(spec, exported.fp32 / "denoiser.onnx")["max"] < 1e-4


@pytest.mark.parametrize("name", ["audio_encoder", "reader"])
@pytest.mark.parametrize("frames", TOY.clip_lengths)
def test_other_graphs_take_every_clip_length(exported: Exported, name: str, frames: int) -> None:
    spec = exported.specs[name]
    first = next(iter(spec.inputs))
    spec = changed(spec, **{first: torch.rand(frames, *spec.inputs[first].shape[1:])})
    assert differences(spec, exported.fp32 / f"{name}.onnx")["max"] < 1e-4


@pytest.mark.parametrize("name", ["decoder", *PATCHES])
@pytest.mark.parametrize("frames", [1, 3])
def test_decoder_and_patches_take_every_number_of_frames(exported: Exported, frames: int, name: str) -> None:
    spec = changed(exported.specs[name], latents=torch.randn(frames, *LATENT_SHAPE))
    for folder, most, mean in ((exported.fp32, 1.0, 0.001), (exported.int8, 64.0, 0.5)):
        found = differences(spec, folder / f"{name}.onnx")
        assert found["max"] <= most
        assert found["mean"] < mean


@pytest.mark.parametrize("size_px", [256, 384, 512])
def test_the_runtime_composes_as_training_does(exported: Exported, size_px: int) -> None:
    """The same latents through PyTorch's decoder and composition, and through graphs and `engine.compose`."""
    torch.manual_seed(1)
    nets = exported.networks
    picture = (smooth(1, 4, 384, 384) * 255.0).round() / 255.0
    picture[:, 3] = 1.0
    shown = F.interpolate(picture, (size_px, size_px), mode="bilinear", antialias=True)
    shown = (shown * 255.0).round() / 255.0
    latent = torch.randn(1, *LATENT_SHAPE)
    banks = nets.autoencoder.reference(picture)
    ref_latent = nets.autoencoder.encoder(views(picture), views(picture))
    decoded = nets.autoencoder.decoder(latent, ref_latent, banks)
    truth = compose(decoded, patch_sheet(decoded), shown, size_px)[0].permute(1, 2, 0).numpy() * 255.0

    def run(name: str, feeds: dict[str, Array]) -> dict[str, Array]:
        session = ort.InferenceSession(str(exported.fp32 / f"{name}.onnx"))
        wanted = {node.name: feeds[node.name] for node in session.get_inputs()}
        return dict(zip((n.name for n in session.get_outputs()), session.run(None, wanted), strict=True))

    feeds = {**run("reference", {"ref_image": picture.numpy()}), "latents": latent.numpy()}
    flows = run("decoder", feeds)
    under, reference = (
        np.ascontiguousarray((p[0].permute(1, 2, 0).numpy() * 255.0).round().astype(np.uint8))
        for p in (picture, shown)
    )
    patches = []
    for name, graph in PATCH_GRAPHS.items():
        box, made = graph.box, run(name, feeds)
        cut = cut_out(under, box.corners, (box.height, box.width))
        rgb = box.crop(torch.from_numpy(under).permute(2, 0, 1))[:3].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(cut, rgb)
        patches.append(paint(cut, made["flow"][0], made["levels"][0], box.corners))
    frame = Composer(reference, 1.0).compose(flows["flow"][0], flows["patch_flow"][0], patches)
    difference = np.abs(frame - truth)
    # At the patches' edges the training's one sheet mixes a pixel of both; trained patches fade out there.
    assert np.percentile(difference, 97.0) <= 4.0
    assert difference.mean() < 0.5


def test_how_much_a_patch_changes_with_each_control(exported: Exported) -> None:
    feeds = patch_feeds(exported.fp32, exported.pairs, 2)
    found = levels_per_unit(exported.fp32, feeds)
    assert set(found) == set(PATCHES)
    for name in PATCHES:
        assert len(found[name]) == COUNT and max(found[name]) > 0.0


@pytest.mark.parametrize("name", ["audio_encoder", "reference", "face_locator", "reader"])
def test_large_weights_are_stored_in_half_precision(exported: Exported, name: str) -> None:
    """And change a graph's outputs by little."""
    stored = onnx.load(str(exported.int8 / f"{name}.onnx")).graph.initializer
    large = [t for t in stored if np.prod(t.dims) >= 1024]
    assert large
    assert not [t.name for t in large if t.data_type == onnx.TensorProto.FLOAT]
    assert differences(exported.specs[name], exported.int8 / f"{name}.onnx")["max"] < 0.02


def test_sizes_of_the_denoisers_outputs_are_known(exported: Exported) -> None:
    """Its latents go round as motion frames: only the clip's length is free."""
    for output in onnx.load(str(exported.fp32 / "denoiser.onnx")).graph.output:
        assert {d.dim_param for d in output.type.tensor_type.shape.dim if d.dim_param} == {"F"}, output.name
