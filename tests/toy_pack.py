"""Builds a pack of a few kilobytes that honours the whole contract of `engine/README.md`.

What its pictures show, so that tests can read them:
- every pixel's red grows with the loudness of the audio heard at the frame's own time,
- green grows with the class label, blue (slightly) with the noise, hence with the seed,
- the face locator finds the red, green and blue blobs of `avatar_picture` (eyes and mouth).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from PIL import Image, ImageDraw

from engine.types import CONTROL_NAMES

EYES = (-0.2, 0.2, -0.02)
MOUTH = (0.0, 0.33)
CONTROLS = len(CONTROL_NAMES)
LATENT = [CONTROLS, 1, 1]

Shapes = dict[str, tuple[str, list[int | str]]]

GRAPHS: dict[str, tuple[Shapes, Shapes]] = {
    "audio_encoder": (
        {"mel_windows": ("float32", ["F", 40, 40])},
        {"audio_emb": ("float32", ["F", 10, 128])},
    ),
    "reference": (
        {"ref_image": ("float32", [1, 4, 384, 384])},
        {"ref_latent": ("float32", [1, *LATENT]), "tint": ("float32", [1, 3, 1, 1])},
    ),
    "denoiser": (
        {
            "x": ("float32", [1, "F", *LATENT]),
            "timestep": ("float32", [1]),
            "audio_emb": ("float32", ["F", 10, 128]),
            "state": ("int64", [1, "F"]),
            "motion_frames": ("float32", [1, 4, *LATENT]),
            "ref_latent": ("float32", [1, *LATENT]),
        },
        {"x0": ("float32", [1, "F", *LATENT]), "latents": ("float32", [1, "F", *LATENT])},
    ),
    "decoder": (
        {
            "latents": ("float32", ["F", *LATENT]),
            "tint": ("float32", [1, 3, 1, 1]),
        },
        {
            "flow": ("float32", ["F", 2, 2, 2]),
            "patch_flow": ("float32", ["F", 2, 2, 2]),
        },
    ),
    "light": (
        {
            "latents": ("float32", ["F", *LATENT]),
            "tint": ("float32", [1, 3, 1, 1]),
        },
        {
            "levels": ("uint8", ["F", 8, 8, 5]),
            "flow": ("float32", ["F", 2, 2, 2]),
        },
    ),
    "face_locator": ({"image": ("float32", [1, 4, 96, 96])}, {"landmarks": ("float32", [1, 7, 2])}),
    "expression": (
        {"controls": ("float32", [1, CONTROLS]), "ref_latent": ("float32", [1, *LATENT])},
        {"latents": ("float32", [1, *LATENT])},
    ),
    "reader": (
        {"image": ("float32", ["F", 4, 96, 96]), "ref": ("float32", [1, 4, 96, 96])},
        {"controls": ("float32", ["F", CONTROLS + 1])},
    ),
}


class _Graph:
    """Collects nodes; `self(op, ...)` adds one and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def const(self, value: Any, dtype: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def __call__(self, op: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        name = out or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def mean(self, value: str, axes: list[int], keepdims: int = 1) -> str:
        return self("ReduceMean", value, self.const(axes, np.int64), keepdims=keepdims)

    def scale(self, value: str, factor: Any, offset: Any = 0.0) -> str:
        return self("Add", self("Mul", value, self.const(factor)), self.const(offset))

    def cut(self, value: str, start: int, stop: int, out: str = "") -> str:
        """Slices axis 1."""
        return self("Slice", value, *(self.const([v], np.int64) for v in (start, stop, 1)), out=out)

    def pick(self, value: str, axis: int, index: int) -> str:
        return self("Gather", value, self.const([index], np.int64), axis=axis)


def _audio_encoder(g: _Graph) -> None:
    window = g.cut("mel_windows", 32, 36)
    loudness = g.scale(g.mean(window, [1, 2]), 1 / 1.5, 2.3025851 / 1.5)
    rows = g("Expand", loudness, g.const([1, 10, 128], np.int64))
    g("Clip", rows, g.const(0.0), g.const(1.0), out="audio_emb")


def _reference(g: _Graph) -> None:
    mean = g.mean("ref_image", [2, 3])
    g("Concat", *[mean] * 5, g.cut(mean, 0, 1), axis=1, out="ref_latent")
    g.cut(mean, 0, 3, out="tint")


def _denoiser(g: _Graph) -> None:
    def frame(value: str) -> str:
        return g("Reshape", value, g.const([1, -1, 1, 1, 1], np.int64))

    loudness = frame(g.mean("audio_emb", [1, 2]))
    state = frame(g("Cast", "state", to=TensorProto.FLOAT))
    noise = g.mean("x", [2, 3, 4])
    carried = g("Add", g("Mul", noise, g.const(0.0)), g.mean(g.pick("motion_frames", 1, 3), [2, 3, 4]))
    zero = g("Mul", noise, g.const(0.0))
    g("Concat", loudness, state, noise, carried, *[zero] * (CONTROLS - 4), axis=2, out="latents")
    g("Identity", "latents", out="x0")


def _decoder(g: _Graph) -> None:
    still = g("Mul", g.mean("latents", [1, 2, 3]), g.const(np.zeros((1, 2, 2, 2))))
    g("Add", still, g("Mul", g.pick("tint", 1, 0), g.const(0.0)), out="flow")
    g("Identity", "flow", out="patch_flow")


def _light(g: _Graph) -> None:
    mean = g.mean("latents", [2, 3])
    light = g("Concat", *(g.pick(mean, 1, i) for i in range(3)), axis=1)
    light = g("Mul", light, g.const(np.array([0.5, 0.2, 0.1]).reshape(1, 3, 1, 1)))
    light = g("Add", light, g("Mul", "tint", g.const(0.0)))
    # A patch that covers nothing adds its colour to the picture.
    nothing = g("Mul", g.pick(light, 1, 0), g.const(0.0))
    lit = g("Clip", g("Concat", light, nothing, nothing, axis=1), g.const(0.0), g.const(1.0))
    levels = g("Transpose", g("Round", g("Mul", lit, g.const(255.0))), perm=[0, 2, 3, 1])
    spread = g("Mul", levels, g.const(np.ones((1, 8, 8, 1))))
    g("Cast", spread, to=TensorProto.UINT8, out="levels")
    g("Mul", g.pick(light, 1, 0), g.const(np.zeros((1, 2, 2, 2))), out="flow")


def _face_locator(g: _Graph) -> None:
    axis = (np.arange(96) + 0.5) / 48 - 1
    mass = g("ReduceSum", "image", g.const([2, 3], np.int64))
    places = []
    for grid in (axis.reshape(1, 1, 1, 96), axis.reshape(1, 1, 96, 1)):
        weighted = g("ReduceSum", g("Mul", "image", g.const(grid)), g.const([2, 3], np.int64))
        places.append(g("Div", weighted, mass))
    xy = g("Reshape", g("Concat", *places, axis=2), g.const([1, 4, 2], np.int64))
    pick = np.zeros((7, 4))
    pick[0, 0] = pick[1, 1] = pick[3, 2] = pick[4, 2] = pick[5, 2] = 1.0
    pick[2, :3] = 1 / 3
    pick[6, :2] = 0.5
    spread = np.zeros((1, 7, 2))
    spread[0, 3:7] = [[-0.1, 0], [0.1, 0], [0, 0.2], [0, -0.3]]
    g("Add", g("MatMul", g.const(pick[None]), xy), g.const(spread), out="landmarks")


def _expression(g: _Graph) -> None:
    weights = np.zeros((CONTROLS, CONTROLS))
    weights[0, 0] = 1.0
    g("Reshape", g("MatMul", "controls", g.const(weights)), g.const([1, *LATENT], np.int64), out="latents")


def _reader(g: _Graph) -> None:
    red = g.mean(g.pick(g("Sub", "image", "ref"), 1, 0), [1, 2, 3], keepdims=0)
    weights = np.zeros((1, CONTROLS + 1))
    weights[0, [0, CONTROLS]] = 4.0
    column = g("Reshape", red, g.const([-1, 1], np.int64))
    controls = g("MatMul", column, g.const(weights))
    g("Clip", controls, g.const(0.0), g.const(1.0), out="controls")


_BUILDERS = {
    "audio_encoder": _audio_encoder,
    "reference": _reference,
    "denoiser": _denoiser,
    "decoder": _decoder,
    "light": _light,
    "face_locator": _face_locator,
    "expression": _expression,
    "reader": _reader,
}


def build_graph(name: str) -> onnx.ModelProto:
    g = _Graph()
    _BUILDERS[name](g)
    values = [
        [
            helper.make_tensor_value_info(tensor, getattr(TensorProto, _ONNX_TYPES[dtype]), shape)
            for tensor, (dtype, shape) in side.items()
        ]
        for side in GRAPHS[name]
    ]
    graph = helper.make_graph(g.nodes, name, values[0], values[1], g.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


_ONNX_TYPES = {"float32": "FLOAT", "int64": "INT64", "uint8": "UINT8"}


def avatar_picture(size_px: int = 256, *, scale: float = 1.0, shift: float = 0.0) -> Image.Image:
    """A dark disc with a red left eye, a green right eye and a blue mouth; transparent around it.

    `scale` and `shift` (in -1..1 coordinates) move it away from the pack's framing.
    """
    picture = Image.new("RGBA", (size_px * 4, size_px * 4))
    draw = ImageDraw.Draw(picture)

    def disc(x: float, y: float, radius: float, colour: tuple[int, int, int, int]) -> None:
        centre = [((v * scale + shift) + 1) * size_px * 2 for v in (x, y)]
        r = radius * scale * size_px * 2
        draw.ellipse([centre[0] - r, centre[1] - r, centre[0] + r, centre[1] + r], fill=colour)

    disc(0.0, 0.1, 0.8, (0, 0, 0, 255))
    disc(EYES[0], EYES[2], 0.08, (100, 0, 0, 255))
    disc(EYES[1], EYES[2], 0.08, (0, 100, 0, 255))
    disc(MOUTH[0], MOUTH[1], 0.08, (0, 0, 100, 255))
    return picture.resize((size_px, size_px), Image.Resampling.BOX)


def build_toy_pack(root: Path, **changes: Any) -> Path:
    """Writes the pack into `root` (made if need be); `changes` replace keys of its manifest."""
    (root / "avatars").mkdir(parents=True, exist_ok=True)
    avatar_picture().save(root / "avatars" / "toy.png")
    for name in GRAPHS:
        onnx.save(build_graph(name), str(root / f"{name}.onnx"))
    manifest: dict[str, Any] = {
        "format": "llia-pack",
        "format_version": 4,
        "preset": "toy",
        "version": "0.1.0",
        "licence": "Apache-2.0",
        "source_commit": "0" * 40,
        "fps": 25,
        "sample_rate_hz": 16000,
        "audio": {"mel_bins": 40, "hop_samples": 160, "window_frames": 40, "lookahead_ms": 80},
        "latent_shape": LATENT,
        "control_mean": [0.0] * CONTROLS,
        "control_std": [1.0] * CONTROLS,
        "noise_scale": [[1.0] * CONTROLS] * 3,
        "audio_tokens": 10,
        "audio_width": 128,
        "clip_lengths": [1, 2, 4, 8],
        "motion_lags": [4, 3, 2, 1],
        "sampling_timesteps": {"1": [1.0], "2": [1.0, 0.5]},
        "controls": list(CONTROL_NAMES),
        "patches": {"light": {"box": [-2.0, -2.0, 2.0, 2.0], "levels_per_unit": [255.0] * CONTROLS}},
        "framing": {"eyes": list(EYES), "mouth": list(MOUTH)},
        "graphs": {
            name: {
                "file": f"{name}.onnx",
                "sha256": _sha256(root / f"{name}.onnx"),
                "precision": "fp32",
                "inputs": {k: list(v) for k, v in inputs.items()},
                "outputs": {k: list(v) for k, v in outputs.items()},
            }
            for name, (inputs, outputs) in GRAPHS.items()
        },
        "avatars": {"toy": {"file": "avatars/toy.png", "sha256": _sha256(root / "avatars" / "toy.png")}},
        "default_avatar": "toy",
        "figures": {},
    }
    manifest.update(changes)
    (root / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return root


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
