"""Rendered pictures on disk: what the autoencoder learns, and the performances that the denoiser learns.

Arrays are memory-mapped .npy files (no pickle). `pairs` holds, per entry, one identity, one reference
picture and N frames of it with crops at full sharpness; `performances` holds runs of whole takes: controls,
and the reference picture of who performs them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from engine.train.data.corpus import load_takes
from engine.train.data.performance import Take
from engine.train.data.studio import FULL, Studio, View, neutral_controls, random_controls
from engine.train.models import geometry as geo
from engine.train.models.autoencoder import PATCH_BOXES, POSE
from engine.types import CONTROL_NAMES

BASE = [
    CONTROL_NAMES.index(n)
    for n in ("mouthSmile", "mouthFrown", "browInnerUp", "browOuterUp", "browDown", "eyeWide")
]
"""A take's temperament: the reference picture of a performance wears the same."""
HELD_OUT_SEED = 100_000
"""Identities from this seed on are never trained on."""
IDENTITY_BATCH = 8
Array = npt.NDArray[np.uint8]


def view_of(box: geo.Box) -> View:
    """A box of the 384 px picture as a studio view at the same sharpness."""
    side = geo.REFERENCE_PX / 2
    return View(
        box.left / side - 1.0,
        box.top / side - 1.0,
        (box.left + box.width) / side - 1.0,
        (box.top + box.height) / side - 1.0,
        box.width,
        box.height,
    )


REGIONS = {name: box.grow(geo.REGION_MARGIN_PX) for name, box in {**PATCH_BOXES, "mouth": geo.MOUTH}.items()}
"""Where patches may be carried; of the mouth so much as the reader looks at."""


def to_bytes(image: Tensor) -> Array:
    """0..1 -> 0..255."""
    return (image.clamp(0, 1) * 255.0 + 0.5).byte().cpu().numpy()


def reference_for(take: Take, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Controls of a reference picture that shares the take's base expression: float32 [1, 21]."""
    ref = neutral_controls(1, rng)
    ref[:, BASE] = take.base[BASE]
    return ref


def _frame_controls(
    count: int, takes: list[Take], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Reference controls [21] and frame controls [count, 21]: three in five entries are performances."""
    if takes and rng.random() < 0.6:
        take = takes[rng.integers(len(takes))]
        frames = take.controls[rng.integers(0, len(take.controls), count)]
        return reference_for(take, rng)[0], frames
    frames = random_controls(count, rng)
    calm = rng.random(count) < 0.4
    frames[np.ix_(calm, np.array(POSE))] *= 0.3
    return neutral_controls(1, rng)[0], frames


def _begin(folder: Path) -> Path:
    """An empty folder to render into: a run that is killed must not leave black frames to learn from."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def _finish(part: Path, folder: Path) -> None:
    """Puts the rendered folder in the place of an older one."""
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)


def render_pairs(
    folder: Path, entries: int, frames: int, first_seed: int, takes: list[Take], device: str
) -> None:
    """Writes `entries` entries of one identity each; identities come from seeds first_seed onwards."""
    folder, finished = _begin(folder), folder
    rng = np.random.default_rng(first_seed)
    w = geo.WORKING_PX
    shapes: dict[str, tuple[tuple[int, ...], str]] = {
        "ref": ((entries, 4, geo.REFERENCE_PX, geo.REFERENCE_PX), "u1"),
        "frame": ((entries, frames, 4, w, w), "u1"),
        "controls": ((entries, frames + 1, len(CONTROL_NAMES)), "f4"),
        "aperture": ((entries, frames + 1), "f4"),
    }
    for kind, boxes in (("crop", PATCH_BOXES), ("region", REGIONS)):
        for name, box in boxes.items():
            shapes[f"{kind}_{name}"] = ((entries, frames, 3, box.height, box.width), "u1")
    out = {
        k: np.lib.format.open_memmap(folder / f"{k}.npy", "w+", np.dtype(d), s)
        for k, (s, d) in shapes.items()
    }
    points: dict[str, list[npt.NDArray[np.float32]]] = {"anchors": [], "landmarks": []}
    for start in tqdm(range(0, entries, IDENTITY_BATCH), desc="pairs", mininterval=10.0):
        count = min(IDENTITY_BATCH, entries - start)
        studio = Studio(list(range(first_seed + start, first_seed + start + count)), device=device)
        drawn = [_frame_controls(frames, takes, rng) for _ in range(count)]
        refs = torch.from_numpy(np.stack([d[0] for d in drawn])).to(device)
        moves = torch.from_numpy(np.stack([d[1] for d in drawn])).to(device)
        both = torch.cat([refs[:, None], moves], dim=1)
        still = moves.clone()
        still[:, :, POSE] = refs[:, None, POSE]
        ids = torch.arange(count, device=device)
        many = ids.repeat_interleave(frames)
        rows = slice(start, start + count)
        out["ref"][rows] = to_bytes(studio.render(ids, refs, FULL(geo.REFERENCE_PX)))
        flat = moves.flatten(0, 1)
        out["frame"][rows] = to_bytes(studio.render(many, flat, FULL(w))).reshape(out["frame"][rows].shape)
        for name in PATCH_BOXES:
            for kind, boxes, controls in (("crop", PATCH_BOXES, still), ("region", REGIONS, moves)):
                image = studio.render(many, controls.flatten(0, 1), view_of(boxes[name]))[:, :3]
                target = out[f"{kind}_{name}"]
                target[rows] = to_bytes(image).reshape(target[rows].shape)
        every = ids.repeat_interleave(frames + 1)
        out["controls"][rows] = both.cpu().numpy()
        out["aperture"][rows] = studio.aperture(every, both.flatten(0, 1)).view(count, -1).cpu().numpy()
        for name, place in (("anchors", studio.anchors), ("landmarks", studio.landmarks)):
            points[name].append(place(every, both.flatten(0, 1)).unflatten(0, (count, -1)).cpu().numpy())
    for name, values in points.items():
        np.save(folder / f"{name}.npy", np.concatenate(values).astype(np.float32))
    _finish(folder, finished)


def render_performances(
    folder: Path, takes: list[Take], run_frames: int, first_seed: int, device: str, limit: int | None = None
) -> None:
    """Cuts takes into runs of `run_frames` frames, each with an identity and a reference of its own.

    Writes ref [R, 4, 384, 384], ref_controls [R, 21], seed [R] (identity), take [R], first [R] (frame index
    in the take), controls [R, run_frames, 21], aperture [R, run_frames]. The frames themselves need not be
    drawn: their latents are their controls.
    """
    folder, finished = _begin(folder), folder
    rng = np.random.default_rng(first_seed)
    runs = [
        (k, first)
        for k, take in enumerate(takes)
        for first in range(0, len(take.controls) - run_frames + 1, run_frames)
    ]
    rng.shuffle(runs)
    runs = runs[:limit]
    n = len(runs)
    shape = (n, 4, geo.REFERENCE_PX, geo.REFERENCE_PX)
    ref = np.lib.format.open_memmap(folder / "ref.npy", "w+", np.dtype(np.uint8), shape)
    controls = np.stack([takes[k].controls[first : first + run_frames] for k, first in runs]).astype(
        np.float32
    )
    aperture = np.zeros((n, run_frames), np.float32)
    ref_controls = np.zeros((n, len(CONTROL_NAMES)), np.float32)
    studio = Studio([first_seed], device=device)
    for i, (k, _) in enumerate(tqdm(runs, desc="performances", mininterval=10.0)):
        if i % 2 == 0:  # an identity performs two runs: painting takes longest
            studio = Studio([first_seed + i // 2], device=device)
        ref_controls[i] = reference_for(takes[k], rng)[0]
        still = torch.from_numpy(ref_controls[i : i + 1]).to(device)
        ref[i] = to_bytes(studio.render(torch.zeros(1, dtype=torch.long), still, FULL(geo.REFERENCE_PX)))[0]
        moves = torch.from_numpy(controls[i]).to(device)
        ids = torch.zeros(run_frames, dtype=torch.long, device=device)
        aperture[i] = studio.aperture(ids, moves).cpu().numpy()
    np.save(folder / "seed.npy", first_seed + np.arange(n) // 2)
    np.save(folder / "take.npy", np.array([k for k, _ in runs]))
    np.save(folder / "first.npy", np.array([first for _, first in runs]))
    np.save(folder / "controls.npy", controls)
    np.save(folder / "ref_controls.npy", ref_controls)
    np.save(folder / "aperture.npy", aperture)
    _finish(folder, finished)


def open_folder(folder: Path) -> dict[str, npt.NDArray[np.generic]]:
    """All arrays of a folder by name, memory-mapped; FileNotFoundError names the stage to run first."""
    files = sorted(folder.glob("*.npy"))
    if not files:
        stage = "encode" if folder.name.startswith("latents") else "render"
        raise FileNotFoundError(f"{folder} is missing or empty: run the stage '{stage}' first")
    return {f.stem: np.load(f, mmap_mode="r", allow_pickle=False) for f in files}


def takes_of(folder: Path) -> list[Take]:
    """Takes of a corpus folder; FileNotFoundError names the command to run first."""
    if not folder.exists():
        command = f"python -m engine.train.data.corpus --out {folder}"
        raise FileNotFoundError(f"{folder} is missing: run {command} first (held-out: with --held-out)")
    return load_takes(folder)
