"""`python -m tests.quality.hours`: does the avatar stay itself for an hour, or for eight?

As fast as the machine can: speech and pauses of changing length; every frame's controls are kept, one
picture in so many is decoded. Compared are the first and the last tenth of the time (identity, sharpness,
colour, mean pose) and the memory from a quarter on. `--chained` shows the way that this engine does not go:
every picture looked at becomes the next reference.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.pipeline import AvatarPipeline, Engine
from engine.portrait import to_planes
from engine.types import CONTROL_NAMES, SAMPLE_RATE_HZ, AudioChunk, VideoFrame
from tests.quality.performing import greeting
from tests.reliability.processes import rss_mib
from tests.reliability.report import bounded, tell

Float = npt.NDArray[np.float32]
FPS = 25
SIZE_PX = 384
POSE = [CONTROL_NAMES.index(n) for n in ("headYaw", "headPitch", "headRoll", "headShift")]
STATM = Path("/proc/self/statm")


def speech(rng: np.random.Generator) -> Iterator[tuple[Float, str]]:
    """A sentence and the pause after it, again and again, at changing loudness."""
    voice, number = greeting(), 0
    while True:
        yield (voice * rng.uniform(0.4, 1.2)).clip(-1.0, 1.0).astype(np.float32), f"sentence {number}"
        pause = rng.standard_normal(int(rng.uniform(0.5, 8.0) * SAMPLE_RATE_HZ)) * 1e-4
        yield pause.astype(np.float32), ""
        number += 1


class Look:
    """What one picture is like, beside the reference."""

    def __init__(self, engine: Engine, avatar: AvatarPipeline) -> None:
        self._reference = engine.graphs["reference"]
        self._own = self._features(np.asarray(avatar.portrait.view(SIZE_PX)))

    def _features(self, rgba: npt.NDArray[np.uint8]) -> Float:
        planes = to_planes(Image.fromarray(rgba), premultiply=True)
        bank: Float = self._reference.run({"ref_image": planes})["bank"].ravel()
        return bank

    def __call__(self, rgba: npt.NDArray[np.uint8]) -> list[float]:
        """Identity (distance of the appearance features), sharpness, red, green, blue."""
        opaque = rgba[..., 3] == 255
        identity = float(np.linalg.norm(self._features(rgba) - self._own) / np.linalg.norm(self._own))
        edges = cv2.Laplacian(cv2.cvtColor(rgba, cv2.COLOR_RGBA2GRAY), cv2.CV_32F)
        return [identity, float(edges[opaque].var()), *rgba[opaque][:, :3].mean(axis=0).tolist()]


class Poses:
    """Means and deviations of the pose; keeps sums of so many frames, so that memory tells of the engine."""

    def __init__(self, every: int) -> None:
        self._every, self._count = every, 0
        self._sums: list[npt.NDArray[np.float64]] = []

    def add(self, pose: Float) -> None:
        """One frame's, float32 [4]."""
        if self._count % self._every == 0:
            self._sums.append(np.zeros((3, len(POSE))))
        self._sums[-1] += np.stack([np.ones_like(pose), pose, pose**2])
        self._count += 1

    def tenths(self) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        """Mean and deviation of each number in each tenth of the time."""
        parts = [part.sum(axis=0) for part in np.array_split(np.array(self._sums), 10) if len(part)]
        return [(s / n, np.sqrt(np.maximum(q / n - (s / n) ** 2, 0.0))) for n, s, q in parts]


def frames_of(avatar: AvatarPipeline, hours: float, every: int) -> Iterator[VideoFrame]:
    """The frames of so many hours; only one picture in `every` is decoded."""
    total, fed, number = round(hours * 3600 * SAMPLE_RATE_HZ), 0, 0
    sound, frames = speech(np.random.default_rng(0)), avatar.frames()
    while fed < total:
        samples, utterance = next(sound)
        avatar.push_audio(AudioChunk(samples, fed, utterance))
        fed += len(samples)
        # What hangs in the stages comes with the next piece.
        while number * SAMPLE_RATE_HZ // FPS < fed - 2 * SAMPLE_RATE_HZ:
            yield next(frames)
            number += 1
            avatar.watched = number % every >= every - 16
    avatar.finish()
    yield from frames


def chained_frames(engine: Engine, hours: float, every: int) -> Iterator[VideoFrame]:
    """The same with every picture looked at as the next reference."""
    sound, picture = speech(np.random.default_rng(0)), None
    length, rest = every * SAMPLE_RATE_HZ // FPS, np.zeros(0, np.float32)
    for _ in range(round(hours * 3600 * FPS / every)):
        while len(rest) < length:
            rest = np.concatenate([rest, next(sound)[0]])
        with engine.avatar(picture, size_px=SIZE_PX, seed=1, lead_ms=None) as avatar:
            avatar.push_audio(AudioChunk(rest[:length], 0, "chained"))
            avatar.finish()
            for number, frame in enumerate(avatar.frames()):
                avatar.watched = number >= every - 16
                yield frame
        rest, picture = rest[length:], Image.fromarray(frame.rgba)


def measure(hours: float, every: int, chained: bool, pack: str) -> tuple[dict[str, object], list[str]]:
    """The figures and the faults."""
    start_s, poses, looks, memory = time.monotonic(), Poses(every), [], []
    with Engine(pack) as engine, engine.avatar(size_px=SIZE_PX, seed=1, lead_ms=None) as avatar:
        look, count, apart_ms = Look(engine, avatar), 0, 0.0
        frames = chained_frames(engine, hours, every) if chained else frames_of(avatar, hours, every)
        for frame in frames:
            poses.add(frame.controls[POSE])
            due_samples = count * SAMPLE_RATE_HZ // FPS
            apart_ms = max(apart_ms, abs(frame.pts_samples - due_samples) * 1000.0 / SAMPLE_RATE_HZ)
            if count % every == every - 1:
                looks.append(look(frame.rgba))
                memory.append(rss_mib(os.getpid()) if STATM.exists() else 0.0)
            count += 1
    tenth = max(1, len(looks) // 10)
    first, last = (np.mean(part, axis=0) for part in (looks[:tenth], looks[-tenth:]))
    tenths = poses.tenths()
    moved = np.abs(tenths[-1][0] - tenths[0][0]) / 2.0
    change = {
        "identity": last[0] - first[0],
        "sharpness": last[1] / first[1] - 1.0,
        "colour": float(np.abs(last[2:] / first[2:] - 1.0).max()),
        "mean pose, of its range": float(moved.max()),
        "memory": memory[-1] / memory[len(memory) // 4] - 1.0 if memory[0] else 0.0,
    }
    result: dict[str, object] = {
        "hours": hours,
        "frames": count,
        "times faster than real time": round(hours * 3600 / (time.monotonic() - start_s), 1),
        "pictures looked at": len(looks),
        "identity distance, first and last tenth": [round(float(v[0]), 4) for v in (first, last)],
        "sharpness, first and last tenth": [round(float(v[1]), 1) for v in (first, last)],
        "deviation of the pose in each tenth": [round(float(spread.mean()), 3) for _, spread in tenths],
        "memory, MiB": [
            round(float(v)) for v in np.array(memory)[np.linspace(0, len(memory) - 1, 6).astype(int)]
        ],
        "frames apart from their sound, most, ms": "-" if chained else round(apart_ms, 3),
        **{f"change of {name}": f"{value:+.2%}" for name, value in change.items()},
    }
    if apart_ms > 1000.0 / FPS and not chained:
        change["frame clock, against the sound's"] = apart_ms
    faults = [f"{name} changed by {value:.1%}" for name, value in change.items() if abs(value) > 0.02]
    return result, ([] if chained else faults)


def main() -> int:
    """Measures and tells."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.hours", description=__doc__)
    parser.add_argument("--hours", type=bounded(float, 0.005, 24.0), default=1.0, help="to live (1)")
    parser.add_argument(
        "--every", type=bounded(int, 32, 10_000), default=250, help="frames per picture (250)"
    )
    parser.add_argument("--chained", action="store_true", help="every picture becomes the reference")
    parser.add_argument("--pack", default="nano")
    args = parser.parse_args()
    return tell(*measure(args.hours, args.every, args.chained, args.pack))


if __name__ == "__main__":
    sys.exit(main())
