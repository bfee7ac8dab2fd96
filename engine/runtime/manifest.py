"""A pack's `manifest.json`: names, shapes and sha256 of everything in it, checked when it is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import ModelError
from engine.features import HOP_SAMPLES, MEL_BINS, WINDOW_FRAMES
from engine.types import CONTROL_NAMES, SAMPLE_RATE_HZ, AvatarState

FORMAT_VERSION = 4
REF_IMAGE_PX = 384
LOCATOR_PX = 96
BANK_CONSUMERS = ("denoiser", "decoder", "expression")
"""And the graphs of the patches."""
"""Graphs whose further inputs are fed from the outputs of `reference` that bear the same name."""

V = TypeVar("V")


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a graph.

    Attributes:
        dtype: numpy's name, as "float32".
        shape: sizes; a letter (F, video frames) where the size is free.
    """

    dtype: str
    shape: tuple[int | str, ...]

    def can_be(self, wanted: TensorSpec) -> bool:
        """Whether a tensor of this spec may turn out as wanted: exporters lose constant sizes of outputs."""
        return (
            self.dtype == wanted.dtype
            and len(self.shape) == len(wanted.shape)
            and all(isinstance(d, str) or d == w for d, w in zip(self.shape, wanted.shape, strict=True))
        )

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class GraphSpec:
    """One ONNX graph of a pack."""

    path: Path
    precision: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


@dataclass(frozen=True)
class PatchSpec:
    """A part of the picture that the graph of its name draws anew.

    Attributes:
        box: left, top, right, bottom of its place in the unmoved picture, -1..1.
        levels_per_unit: by how many levels of 255 its most changed pixels (99th percentile) change with a
            control, per unit of each control.
    """

    box: tuple[float, ...]
    levels_per_unit: tuple[float, ...]


@dataclass(frozen=True)
class Manifest:
    """What a pack says of itself; `engine/README.md` shows the file.

    Attributes:
        fps: frames the model makes per second.
        latent_shape: channels, height, width: a number for every control.
        control_mean: of each control over the training data; a control is mean + std * its latent number.
        control_std: its deviation.
        framing_eyes: x of the picture's left eye, x of its right eye, y of both; -1..1.
        framing_mouth: x, y of the middle of the mouth, -1..1.
        patches: by the name of their graph, each laid over those before it.
        motion_lags: which latents of the past are the motion frames: so many frames before the clip.
        sampling_timesteps: timesteps 0..1 by number of steps.
        noise_scale: temperature of the sampler for every latent number, by `AvatarState`.
        reanchor_every_frames: how often the oldest motion frame is replaced by the reference's own
            latent, against drift; None: never.
    """

    root: Path
    preset: str
    version: str
    fps: int
    latent_shape: tuple[int, ...]
    control_mean: tuple[float, ...]
    control_std: tuple[float, ...]
    audio_tokens: int
    audio_width: int
    clip_lengths: tuple[int, ...]
    motion_lags: tuple[int, ...]
    sampling_timesteps: Mapping[int, tuple[float, ...]]
    noise_scale: tuple[tuple[float, ...], ...]
    reanchor_every_frames: int | None
    framing_eyes: tuple[float, ...]
    framing_mouth: tuple[float, ...]
    patches: Mapping[str, PatchSpec]
    graphs: Mapping[str, GraphSpec]
    avatars: Mapping[str, Path]
    default_avatar: str

    @property
    def frame_samples(self) -> int:
        """Audio samples per model frame (640 at 25 frames/s)."""
        return SAMPLE_RATE_HZ // self.fps

    @property
    def reader_px(self) -> int:
        """Side of the pictures that the reader looks at, as its graph has it."""
        image = self.graphs["reader"].inputs.get("image") if "reader" in self.graphs else None
        side = image.shape[-1] if image is not None and image.shape else None
        return side if isinstance(side, int) else LOCATOR_PX

    def sides(self, graph: str, output: str) -> tuple[int, ...]:
        """Height and width of an output of the decoder or of a patch: every pack chooses its own."""
        outputs = self.graphs[graph].outputs if graph in self.graphs else {}
        shape = outputs[output].shape if output in outputs else ()
        sides = shape[1:3] if output == "levels" else shape[2:4]
        return tuple(side for side in sides if isinstance(side, int) and side > 0)


def _tensors(raw: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(str(dtype), tuple(shape)) for name, (dtype, shape) in raw.items()}


def _float32(*shape: int | str) -> TensorSpec:
    return TensorSpec("float32", shape)


def _contract(m: Manifest) -> dict[str, tuple[dict[str, TensorSpec], dict[str, TensorSpec]]]:
    """The inputs and outputs that every pack has, as in the table of `engine/README.md`."""
    latent, controls = m.latent_shape, len(CONTROL_NAMES)
    clip, audio_emb = _float32(1, "F", *latent), _float32("F", m.audio_tokens, m.audio_width)
    conditions = {
        "audio_emb": audio_emb,
        "state": TensorSpec("int64", (1, "F")),
        "motion_frames": _float32(1, len(m.motion_lags), *latent),
    }
    side = m.reader_px
    patches = {
        name: (
            {"latents": _float32("F", *latent)},
            {
                "levels": TensorSpec("uint8", ("F", *m.sides(name, "levels"), 5)),
                "flow": _float32("F", 2, *m.sides(name, "flow")),
            },
        )
        for name in m.patches
    }
    return {
        **patches,
        "audio_encoder": (
            {"mel_windows": _float32("F", WINDOW_FRAMES, MEL_BINS)},
            {"audio_emb": audio_emb},
        ),
        "reference": (
            {"ref_image": _float32(1, 4, REF_IMAGE_PX, REF_IMAGE_PX)},
            {"ref_latent": _float32(1, *latent)},
        ),
        "denoiser": (
            {"x": clip, "timestep": _float32(1), **conditions},
            {"x0": clip, "latents": clip},
        ),
        "decoder": (
            {"latents": _float32("F", *latent)},
            {
                "flow": _float32("F", 2, *m.sides("decoder", "flow")),
                "patch_flow": _float32("F", 2, *m.sides("decoder", "patch_flow")),
            },
        ),
        "face_locator": ({"image": _float32(1, 4, LOCATOR_PX, LOCATOR_PX)}, {"landmarks": _float32(1, 7, 2)}),
        "expression": ({"controls": _float32(1, controls)}, {"latents": _float32(1, *latent)}),
        "reader": (
            {"image": _float32("F", 4, side, side), "ref": _float32(1, 4, side, side)},
            {"controls": _float32("F", controls + 1)},
        ),
    }


def _check_contract(m: Manifest) -> None:
    """Raises ModelError naming the first graph or tensor that does not fit the contract."""
    where = m.root / "manifest.json"
    for graph, (inputs, outputs) in _contract(m).items():
        if graph not in m.graphs:
            raise ModelError(f"{where}: graph '{graph}' is missing; export the pack again")
        spec = m.graphs[graph]
        for kind, wanted, given in (("input", inputs, spec.inputs), ("output", outputs, spec.outputs)):
            for name, tensor in wanted.items():
                has = given.get(name)
                if has is None or not (has == tensor or (kind == "output" and has.can_be(tensor))):
                    raise ModelError(
                        f"{where}: graphs.{graph}: {kind} '{name}' is {has or 'missing'}, expected {tensor}"
                    )
        banks = m.graphs["reference"].outputs if graph in (*BANK_CONSUMERS, *m.patches) else {}
        for name in spec.inputs.keys() - inputs.keys():
            if name not in banks or not banks[name].can_be(spec.inputs[name]):
                raise ModelError(
                    f"{where}: graphs.{graph}: nothing feeds input '{name}' ({spec.inputs[name]}); "
                    "only outputs of 'reference' of the same shape can"
                )


def _falling(numbers: tuple[int, ...]) -> bool:
    return all(a > b for a, b in pairwise(numbers))


def _check_ranges(m: Manifest) -> None:
    """Raises ModelError naming the first key whose value the runtime cannot work with."""
    checks = {
        "fps": m.fps > 0 and SAMPLE_RATE_HZ % (m.fps * HOP_SAMPLES) == 0,
        "latent_shape": m.latent_shape == (len(CONTROL_NAMES), 1, 1),
        "control_mean": len(m.control_mean) == len(CONTROL_NAMES),
        "control_std": len(m.control_std) == len(CONTROL_NAMES) and min(m.control_std) > 0.0,
        "clip_lengths": m.clip_lengths[:1] == (1,) and _falling(m.clip_lengths[::-1]),
        "motion_lags": _falling(m.motion_lags) and m.motion_lags[-1:] == (1,),
        "sampling_timesteps": bool(m.sampling_timesteps)
        and all(n == len(t) and t[:1] == (1.0,) for n, t in m.sampling_timesteps.items()),
        "noise_scale": len(m.noise_scale) == len(AvatarState)
        and all(len(scale) == len(CONTROL_NAMES) and min(scale) >= 0.0 for scale in m.noise_scale),
        "reanchor_every_frames": m.reanchor_every_frames is None or m.reanchor_every_frames >= 1,
        "framing": len(m.framing_eyes) == 3 and len(m.framing_mouth) == 2,
        "patches": bool(m.patches)
        and all(
            len(p.box) == 4
            and p.box[0] < p.box[2]
            and p.box[1] < p.box[3]
            and len(p.levels_per_unit) == len(CONTROL_NAMES)
            and min(p.levels_per_unit) >= 0.0
            for p in m.patches.values()
        ),
        "default_avatar": m.default_avatar in m.avatars,
    }
    for key, good in checks.items():
        if not good:
            raise ModelError(f"{m.root / 'manifest.json'}: {key} has a value this engine cannot use")


def _checked_file(root: Path, entry: Mapping[str, Any], what: str) -> Path:
    path = (root / str(entry["file"])).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ModelError(f"{root / 'manifest.json'}: {what}: file {entry['file']} lies outside the pack")
    if not path.is_file():
        raise ModelError(f"{what}: {path} is missing; install the pack again")
    if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
        raise ModelError(
            f"{what}: {path} was altered (its sha256 is not the manifest's); install the pack again"
        )
    return path


def _parse(root: Path, raw: Mapping[str, Any]) -> Manifest:
    graphs = {
        name: GraphSpec(
            path=_checked_file(root, entry, f"graph '{name}'"),
            precision=str(entry["precision"]),
            inputs=_tensors(entry["inputs"]),
            outputs=_tensors(entry["outputs"]),
        )
        for name, entry in raw["graphs"].items()
    }
    avatars = {name: _checked_file(root, entry, f"avatar '{name}'") for name, entry in raw["avatars"].items()}
    reanchor = raw.get("reanchor_every_frames")
    return Manifest(
        root=root,
        preset=str(raw["preset"]),
        version=str(raw["version"]),
        fps=int(raw["fps"]),
        latent_shape=tuple(map(int, raw["latent_shape"])),
        control_mean=tuple(map(float, raw["control_mean"])),
        control_std=tuple(map(float, raw["control_std"])),
        audio_tokens=int(raw["audio_tokens"]),
        audio_width=int(raw["audio_width"]),
        clip_lengths=tuple(map(int, raw["clip_lengths"])),
        motion_lags=tuple(map(int, raw["motion_lags"])),
        sampling_timesteps={int(n): tuple(map(float, t)) for n, t in raw["sampling_timesteps"].items()},
        noise_scale=tuple(tuple(map(float, scale)) for scale in raw["noise_scale"]),
        reanchor_every_frames=None if reanchor is None else int(reanchor),
        framing_eyes=tuple(map(float, raw["framing"]["eyes"])),
        framing_mouth=tuple(map(float, raw["framing"]["mouth"])),
        patches={
            name: PatchSpec(tuple(map(float, entry["box"])), tuple(map(float, entry["levels_per_unit"])))
            for name, entry in raw["patches"].items()
        },
        graphs=graphs,
        avatars=avatars,
        default_avatar=str(raw["default_avatar"]),
    )


def _required(raw: Mapping[str, Any], key: str, wanted: V, where: Path) -> None:
    if raw.get(key) != wanted:
        raise ModelError(f"{where}: {key} is {raw.get(key)!r}, this engine reads {wanted!r}")


def load_manifest(root: str | Path) -> Manifest:
    """Reads and checks a pack's manifest and the sha256 of every file it names.

    Raises:
        ModelError: the manifest is missing, not JSON, of another format version, does not fit the
            contract, or a file is missing or altered.
    """
    root = Path(root)
    where = root / "manifest.json"
    try:
        raw = json.loads(where.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"{where} cannot be read ({error.strerror}); is this the folder of a pack?"
        ) from error
    except ValueError as error:
        raise ModelError(f"{where} is not JSON ({error})") from error
    if not isinstance(raw, dict):
        raise ModelError(f"{where} holds a {type(raw).__name__}, expected an object")
    _required(raw, "format", "llia-pack", where)
    _required(raw, "format_version", FORMAT_VERSION, where)
    _required(raw, "sample_rate_hz", SAMPLE_RATE_HZ, where)
    _required(raw, "controls", list(CONTROL_NAMES), where)
    try:
        _required(raw["audio"], "hop_samples", HOP_SAMPLES, where)
        _required(raw["audio"], "lookahead_ms", 80, where)
        _required(raw["audio"], "window_frames", WINDOW_FRAMES, where)
        _required(raw["audio"], "mel_bins", MEL_BINS, where)
        manifest = _parse(root, raw)
    except KeyError as error:
        raise ModelError(f"{where}: key {error} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{where}: a value has the wrong type ({error})") from error
    _check_ranges(manifest)
    _check_contract(manifest)
    return manifest
