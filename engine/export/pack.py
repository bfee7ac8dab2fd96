"""Builds a pack from checkpoints: graphs, INT8 where it pays, avatars, manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor

from engine import features
from engine.compose import paint
from engine.errors import EngineError
from engine.export.graphs import (
    BANKS,
    DECODER_BANKS,
    PATCH_BANKS,
    PATCH_GRAPHS,
    DecoderGraph,
    DenoiserGraph,
    GraphSpec,
    ReaderGraph,
    ReferenceGraph,
    export_onnx,
)
from engine.export.quantize import Feed, halve_weights, quantize_convolutions, quantize_products
from engine.runtime.manifest import FORMAT_VERSION
from engine.train.data.shards import open_folder
from engine.train.diffusion import NOISE_SCALE, STUDENT_TIMESTEPS
from engine.train.instruments import READER_PX
from engine.train.models import geometry as geo
from engine.train.models.audio_encoder import AudioEncoder
from engine.train.models.autoencoder import Autoencoder
from engine.train.models.config import ModelConfig
from engine.train.models.denoiser import AppearanceNet, Denoiser
from engine.train.models.instruments import FaceLocator, Reader
from engine.train.models.latent_space import CONTROL_MEAN, CONTROL_STD, LATENT_SHAPE
from engine.train.trainer import load_averaged
from engine.types import CONTROL_NAMES, SAMPLE_RATE_HZ

FPS = 25
SAMPLING_TIMESTEPS = {str(n): list(steps) for n, steps in STUDENT_TIMESTEPS.items()}
FRAMING = {"eyes": [-0.215, 0.215, 0.089], "mouth": [0.0, 0.297]}
"""Where eyes and mouth lie in an aligned picture, -1..1: the mean of the studio's identities."""


class Networks:
    """All trained networks of a preset, averaged weights, on the CPU."""

    def __init__(self, runs: Path, config: ModelConfig, denoiser_stage: str = "distill") -> None:
        self.config = config
        self.autoencoder, self.locator = Autoencoder(config), FaceLocator()
        self.audio_encoder, self.denoiser = AudioEncoder(config), Denoiser(config)
        self.appearance = AppearanceNet(config)
        self.reader = Reader(config)
        for stage, name, network in (
            ("encoder", "encoder", self.autoencoder.encoder),
            ("autoencoder", "reference", self.autoencoder.reference),
            ("autoencoder", "decoder", self.autoencoder.decoder),
            ("locator", "locator", self.locator),
            ("audio", "audio_encoder", self.audio_encoder),
            ("diffusion", "appearance", self.appearance),
            (denoiser_stage, "denoiser", self.denoiser),
            ("reader", "reader", self.reader),
        ):
            load_averaged(runs / stage, {name: network})


@torch.no_grad()
def graph_specs(
    nets: Networks, picture: Tensor | None = None, controls: Tensor | None = None
) -> dict[str, GraphSpec]:
    """Every graph of the pack with example inputs; clips have 3 frames, so that no axis looks constant.

    Args:
        nets: the trained networks.
        picture: reference picture of the examples [1, 4, 384, 384]; noise when None.
        controls: what the decoder's example frames show [3, 21]; noise when None.
    """
    config, frames = nets.config, 3
    image = torch.rand(1, 4, geo.REFERENCE_PX, geo.REFERENCE_PX) if picture is None else picture
    reference = ReferenceGraph(nets.autoencoder, nets.appearance, nets.locator, nets.denoiser).eval()
    banks = dict(zip(BANKS, reference(image), strict=True))
    windows = torch.randn(frames, features.WINDOW_FRAMES, features.MEL_BINS)
    clip = torch.randn(1, frames, *LATENT_SHAPE)
    shown = clip[0] if controls is None else nets.autoencoder.latent_space(controls)
    reader_image = torch.rand(frames, 4, READER_PX, READER_PX)
    cond = {k: banks[k] for k in ("bank", "ref_latent")}
    per_frame = {0: "F"}
    return {
        "audio_encoder": GraphSpec(
            nets.audio_encoder,
            {"mel_windows": windows},
            ["audio_emb"],
            {"mel_windows": per_frame, "audio_emb": per_frame},
        ),
        "reference": GraphSpec(reference, {"ref_image": image}, BANKS, {}),
        "denoiser": GraphSpec(
            DenoiserGraph(nets.denoiser),
            {
                "x": clip,
                "timestep": torch.tensor([0.5]),
                "audio_emb": torch.randn(frames, config.audio_tokens, config.audio_width),
                "state": torch.zeros(1, frames, dtype=torch.int64),
                "motion_frames": torch.randn(1, config.motion_frames, *LATENT_SHAPE),
                **cond,
            },
            ["x0", "latents"],
            {k: {1: "F"} for k in ("x", "state", "x0", "latents")} | {"audio_emb": per_frame},
        ),
        "decoder": GraphSpec(
            DecoderGraph(nets.autoencoder.decoder),
            {"latents": shown, **{k: banks[k] for k in DECODER_BANKS}},
            ["flow", "patch_flow"],
            {k: per_frame for k in ("latents", "flow", "patch_flow")},
        ),
        **{
            name: GraphSpec(
                graph(nets.autoencoder.decoder),
                {"latents": shown, **{k: banks[k] for k in PATCH_BANKS[name]}},
                ["levels", "flow"],
                {k: per_frame for k in ("latents", "levels", "flow")},
            )
            for name, graph in PATCH_GRAPHS.items()
        },
        "face_locator": GraphSpec(
            nets.locator, {"image": torch.rand(1, 4, geo.WORKING_PX, geo.WORKING_PX)}, ["landmarks"], {}
        ),
        "expression": GraphSpec(
            nets.autoencoder.latent_space,
            {"controls": torch.rand(1, len(CONTROL_NAMES))},
            ["latents"],
            {},
        ),
        "reader": GraphSpec(
            ReaderGraph(nets.reader),
            {"image": reader_image, "ref": reader_image[:1]},
            ["controls"],
            {"image": per_frame, "controls": per_frame},
        ),
    }


def export_fp32(nets: Networks, folder: Path) -> None:
    """Writes all graphs as fp32 into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, spec in graph_specs(nets).items():
        export_onnx(spec, folder / f"{name}.onnx")


def patch_feeds(folder: Path, pairs: Path, count: int) -> list[Feed]:
    """Examples for the patches, with picture and banks: expressions of rendered pairs, by the fp32 graphs.

    Raises:
        FileNotFoundError: there are no rendered pairs; the message names the stage to run first.
    """
    arrays = open_folder(pairs)
    refs, controls = arrays["ref"], arrays["controls"]
    reference = ort.InferenceSession(str(folder / "reference.onnx"), providers=["CPUExecutionProvider"])
    expression = ort.InferenceSession(str(folder / "expression.onnx"), providers=["CPUExecutionProvider"])
    feeds = []
    for entry in np.linspace(0, len(refs) - 1, count).astype(int):
        picture = refs[entry : entry + 1].astype(np.float32) / 255.0
        banks = dict(zip(BANKS, reference.run(None, {"ref_image": picture}), strict=True))
        wanted = controls[entry, 1 + entry % (controls.shape[1] - 1)][None]
        latents = expression.run(None, {"controls": wanted})[0]
        feeds.append({"ref_image": picture, "latents": latents, **banks})
    return feeds


def levels_per_unit(folder: Path, feeds: list[Feed]) -> dict[str, list[float]]:
    """By how many levels the most changed pixels of each patch change with a control, per unit of it.

    Args:
        folder: of the fp32 graphs.
        feeds: examples, see `patch_feeds`.

    Returns:
        For each patch a number for every control: the mean over the examples of the 99th percentile of the
        change, for a step of a tenth of the control's deviation.
    """
    steps = np.eye(len(CONTROL_NAMES), dtype=np.float32).reshape(-1, 1, *LATENT_SHAPE) / 10.0
    found = {}
    for name, graph in PATCH_GRAPHS.items():
        session = ort.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        changes = []
        for feed in feeds:
            rgb = graph.box.crop(torch.from_numpy(feed["ref_image"])[0, :3]).permute(1, 2, 0).numpy()
            under = np.rint(np.ascontiguousarray(rgb) * 255.0).astype(np.uint8)
            made = []
            for latents in (feed["latents"], *(feed["latents"] + step for step in steps)):
                levels, flow = session.run(
                    None, {"latents": latents, **{k: feed[k] for k in PATCH_BANKS[name]}}
                )
                made.append(paint(under, flow[0], levels[0], graph.box.corners).rgba.astype(np.float32))
            moved = np.abs(np.stack(made[1:]) - made[0]).max(axis=3).reshape(len(steps), -1)
            changes.append(np.percentile(moved, 99.0, axis=1))
        per_unit = np.mean(changes, axis=0) * 10.0 / np.array(CONTROL_STD)
        found[name] = [round(float(value), 1) for value in per_unit]
    return found


def quantize(fp32: Path, out: Path, feeds: list[Feed], *, int8: bool = True) -> dict[str, str]:
    """INT8 for what runs per frame, the rest copied (all without `int8`); returns each graph's precision.

    Args:
        fp32: folder of the graphs.
        out: where they go.
        feeds: examples to calibrate with, see `patch_feeds`.
        int8: False to compare with.
    """
    out.mkdir(parents=True, exist_ok=True)
    precision: dict[str, str] = {}
    for source in sorted(fp32.glob("*.onnx")):
        name, target = source.stem, out / source.name
        precision[name] = "int8" if int8 and name in ("denoiser", *PATCH_GRAPHS) else "fp32"
        if int8 and name in PATCH_GRAPHS:
            own = [{k: feed[k] for k in ("latents", *PATCH_BANKS[name])} for feed in feeds]
            quantize_convolutions(source, target, own, keep=_nodes(source, "Conv", FLOW_LAYERS))
        elif int8 and name == "denoiser":
            # The quantizer makes products of layers with a bias, and names them so.
            layers = tuple(f"{node}_MatMul" for node in _nodes(source, "Gemm", MOTION_LAYERS))
            quantize_products(source, target, keep=(*_nodes(source, "MatMul", MOTION_LAYERS), *layers))
        else:
            shutil.copy(source, target)
        halve_weights(target)
    return precision


FLOW_LAYERS = ("/pixels/flow",)
"""Convolutions whose output is a flow: 256 levels of it would be seen as steps of a moving picture."""
MOTION_LAYERS = (
    "/denoiser/MatMul", "/MatMul", "/denoiser/stem", "/denoiser/out", "/denoiser/skip", "/denoiser/mouth",
    "/mouth", "/phones",
)  # fmt: skip
"""Products between motion frames and latents, and of the lips: rounded, a head at rest would tremble."""


def _nodes(graph: Path, kind: str, layers: tuple[str, ...]) -> tuple[str, ...]:
    """Names of a graph's nodes of a kind within some layers."""
    nodes = onnx.load(str(graph)).graph.node
    return tuple(n.name for n in nodes if n.op_type == kind and n.name.startswith(layers))


def _source_commit() -> str:
    """The commit of the code that exports; "" where it is no git checkout."""
    if (git := shutil.which("git")) is None:
        return ""
    command = [git, "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tensors(values: Any) -> dict[str, list[Any]]:
    names = {1: "float32", 2: "uint8", 7: "int64"}
    return {
        v.name: [
            names[v.type.tensor_type.elem_type],
            [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim],
        ]
        for v in values
    }


def write_manifest(
    folder: Path,
    config: ModelConfig,
    preset: str,
    version: str,
    precision: dict[str, str],
    levels: dict[str, list[float]],
    default_avatar: str,
) -> None:
    """Writes `manifest.json` for the graphs and avatars in the folder; figures there are kept."""
    path = folder / "manifest.json"
    figures = json.loads(path.read_text())["figures"] if path.exists() else {}
    avatars = {
        f.stem: {"file": f"avatars/{f.name}", "sha256": _sha256(f)}
        for f in sorted((folder / "avatars").glob("*.png"))
    }
    if default_avatar not in avatars:
        raise EngineError(f"--avatar {default_avatar}: the pack has {', '.join(avatars)}")
    graphs = {}
    for name, kind in precision.items():
        model = onnx.load(str(folder / f"{name}.onnx")).graph
        graphs[name] = {
            "file": f"{name}.onnx",
            "sha256": _sha256(folder / f"{name}.onnx"),
            "precision": kind,
            "inputs": _tensors(model.input),
            "outputs": _tensors(model.output),
        }
    manifest = {
        "format": "llia-pack",
        "format_version": FORMAT_VERSION,
        "preset": preset,
        "version": version,
        "licence": "Apache-2.0",
        "source_commit": _source_commit(),
        "fps": FPS,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "audio": {
            "mel_bins": features.MEL_BINS,
            "hop_samples": features.HOP_SAMPLES,
            "window_frames": features.WINDOW_FRAMES,
            "lookahead_ms": features.LOOKAHEAD_FRAMES * 10,
        },
        "latent_shape": list(LATENT_SHAPE),
        "control_mean": list(CONTROL_MEAN),
        "control_std": list(CONTROL_STD),
        "audio_tokens": config.audio_tokens,
        "audio_width": config.audio_width,
        "clip_lengths": list(config.clip_lengths),
        "motion_lags": list(config.motion_lags),
        "sampling_timesteps": SAMPLING_TIMESTEPS,
        "noise_scale": [list(scale) for scale in NOISE_SCALE],
        "reanchor_every_frames": None,
        "controls": list(CONTROL_NAMES),
        "framing": FRAMING,
        "patches": {
            name: {"box": list(graph.box.corners), "levels_per_unit": levels[name]}
            for name, graph in PATCH_GRAPHS.items()
        },
        "graphs": graphs,
        "avatars": avatars,
        "default_avatar": default_avatar,
        "figures": figures,
    }
    path.write_text(json.dumps(manifest, indent=1) + "\n")
