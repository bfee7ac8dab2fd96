"""Measures a pack on this machine, end to end: audio pushed in, RGBA frames taken out."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from engine.pipeline import AvatarPipeline, Engine
from engine.runtime.threads import compute_threads
from engine.types import SAMPLE_RATE_HZ, AudioChunk, AvatarState

Float = npt.NDArray[np.float32]

RUNS = 3
REACTION_RUNS = 7
_FIRST_CLIP_SAMPLES = 1320
"""Audio that frame 0 needs: its 80 ms of look-ahead, to the end of the last mel frame."""


def _machine() -> dict[str, Any]:
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        processor = models[0] if models else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def _rss_mb() -> float | None:
    """Memory this process holds now; its peak where only that is known; None where neither is."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        pages = int(statm.read_text(encoding="ascii").split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
    if sys.platform == "darwin":
        import resource

        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)
    return None


def _speech(seconds: float) -> Float:
    """Noise in syllables of 4 Hz: what the graphs cost does not depend on what is said."""
    samples = round(seconds * SAMPLE_RATE_HZ)
    noise = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    loudness = 0.05 * (1.0 - np.cos(np.arange(samples) * (8.0 * np.pi / SAMPLE_RATE_HZ)))
    speech: Float = np.clip(noise * loudness, -1.0, 1.0).astype(np.float32)
    return speech


def _throughput(engine: Engine, size_px: int, steps: int, seconds: float) -> tuple[float, dict[str, float]]:
    """Frames per second of one recording, and the mean milliseconds per frame of each stage."""
    with engine.avatar(size_px=size_px, steps=steps, seed=0, lead_ms=None) as avatar:
        start_s = time.perf_counter()
        avatar.push_audio(AudioChunk(_speech(seconds), 0, "bench"))
        avatar.finish()
        stage_ms = [frame.stage_ms for frame in avatar.frames()]
        fps = len(stage_ms) / (time.perf_counter() - start_s)
    return fps, {name: sum(ms[name] for ms in stage_ms) / len(stage_ms) for name in stage_ms[0]}


def _first_frame_ms(engine: Engine, size_px: int, steps: int) -> float:
    """From the audio of the first clip pushed to its frame taken."""
    with engine.avatar(size_px=size_px, steps=steps, seed=0) as avatar:
        chunk = AudioChunk(_speech(_FIRST_CLIP_SAMPLES / SAMPLE_RATE_HZ), 0, "bench")
        start_s = time.perf_counter()
        avatar.push_audio(chunk)
        next(avatar.frames())
        return (time.perf_counter() - start_s) * 1000.0


def _change_state(avatar: AvatarPipeline, speech: Float, _: int) -> None:
    start = len(speech) - SAMPLE_RATE_HZ // avatar.fps
    avatar.set_state(AvatarState.LISTENING)
    avatar.push_audio(AudioChunk(speech[start:], start, "bench"))


def _barge_in(avatar: AvatarPipeline, speech: Float, shown: int) -> None:
    start = shown * SAMPLE_RATE_HZ // avatar.fps
    avatar.clear(start)
    avatar.push_audio(AudioChunk(speech[:_FIRST_CLIP_SAMPLES], start, "bench"))


def _reaction_ms(
    engine: Engine, size_px: int, steps: int, act: Callable[[AvatarPipeline, Float, int], None]
) -> float:
    """From an act upon a speaking avatar, which brings the next frame's audio, to that frame taken."""
    shown, step = 8, SAMPLE_RATE_HZ // engine.manifest.fps
    speech = _speech((_FIRST_CLIP_SAMPLES + shown * step) / SAMPLE_RATE_HZ)
    with engine.avatar(size_px=size_px, steps=steps, seed=0) as avatar:
        avatar.push_audio(AudioChunk(speech[: len(speech) - step], 0, "bench"))
        frames = avatar.frames()
        for _ in range(shown):
            next(frames)
        start_s = time.perf_counter()
        act(avatar, speech, shown)
        next(frames)
        return (time.perf_counter() - start_s) * 1000.0


REACTIONS: dict[str, Callable[[Engine, int, int], float]] = {
    "first_frame_ms": _first_frame_ms,
    "state_change_ms": partial(_reaction_ms, act=_change_state),
    "barge_in_ms": partial(_reaction_ms, act=_barge_in),
}
"""What is soon to be seen; each is a time of computing alone, since the audio is there at once."""


@dataclass(frozen=True)
class _Variant:
    """What is compared: a pack with so many threads."""

    engine: Engine
    pack: str

    @property
    def precision(self) -> str:
        """Of the graphs that run per frame."""
        graphs = self.engine.manifest.graphs
        kinds = {name: graphs[name].precision for name in ("denoiser", *self.engine.manifest.patches)}
        if len(set(kinds.values())) == 1:
            return kinds["denoiser"]
        return ", ".join(f"{name} {kind}" for name, kind in kinds.items())


def _measured(
    variants: Sequence[_Variant], size_px: int, steps: int, seconds: float, tick: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A row of results for each variant at one size; they take turns."""
    soon_ms: list[dict[str, list[float]]] = [{name: [] for name in REACTIONS} for _ in variants]
    runs: list[list[tuple[float, dict[str, float]]]] = [[] for _ in variants]
    for variant in variants:
        _throughput(variant.engine, size_px, steps, min(1.0, seconds))
        tick(f"{size_px} px: warm-up")
    for _ in range(REACTION_RUNS):
        for variant, times in zip(variants, soon_ms, strict=True):
            for name, react in REACTIONS.items():
                times[name].append(react(variant.engine, size_px, steps))
            tick(f"{size_px} px: first frame, turns")
    for _ in range(RUNS):
        for variant, measured in zip(variants, runs, strict=True):
            measured.append(_throughput(variant.engine, size_px, steps, seconds))
            tick(f"{size_px} px: frames per second")
    fps = [median(rate for rate, _ in measured) for measured in runs]
    by_kind = {(v.pack, v.engine.threads): rate for v, rate in zip(variants, fps, strict=True)}
    rows = []
    for variant, rate, times, measured in zip(variants, fps, soon_ms, runs, strict=True):
        engine, pack = variant.engine, variant.pack
        others = [v for v in variants if v.pack != variants[0].pack and pack == variants[0].pack]
        other = by_kind[others[0].pack, engine.threads] if others else None
        rows.append(
            {
                "preset": engine.manifest.preset,
                "version": engine.manifest.version,
                "pack": pack,
                "provider": engine.provider,
                "size": size_px,
                "steps": steps,
                "threads": engine.threads,
                "precision": variant.precision,
                "fps": round(rate, 1),
                "against_one_thread": round(rate / by_kind[pack, 1], 2),
                "against_pack": None if other is None else round(rate / other, 2),
                **{name: round(median(values), 1) for name, values in times.items()},
                "stages_ms": {
                    name: round(median(stages[name] for _, stages in measured), 2) for name in measured[0][1]
                },
                "rss_mb": _rss_mb(),
            }
        )
    return rows


def run(
    pack: str | Path = "nano",
    *,
    against: str | Path | None = None,
    sizes: Sequence[int] = (384, 512),
    steps: int = 2,
    threads: int | None = None,
    seconds: float = 4.0,
    provider: str = "auto",
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Measures medians of warm runs; what is compared takes turns, so that all share the machine's moods.

    Args:
        pack: the pack to measure, with `threads` and with one.
        against: a pack to compare with, as the same weights in fp32.
        sizes: output sizes in px.
        steps: sampling steps.
        threads: as for `Engine`.
        seconds: of audio per run.
        provider: as for `Engine`.
        progress: told what is measured now and the part done, 0..1.

    Returns:
        `{"machine": {...}, "results": [{"preset", "version", "pack", "provider", "size", "steps", "threads",
        "precision", "fps", "against_one_thread", "against_pack", "first_frame_ms", "state_change_ms",
        "barge_in_ms", "stages_ms", "rss_mb"}]}`; the ratios are of frames per second, None where there is
        nothing to compare with.

    Raises:
        EngineError: a pack, the provider or a size is wrong.
    """
    packs = 1 if against is None else 2
    counts = sorted({compute_threads(threads), 1}, reverse=True)
    steps_in_all = (1 + REACTION_RUNS + RUNS) * packs * len(counts) * len(sizes)
    done = 0

    def tick(label: str) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(label, done / steps_in_all)

    with ExitStack() as engines:
        variants = [
            _Variant(engines.enter_context(Engine(name, threads=count, provider=provider)), str(name))
            for name in ([pack] if against is None else [pack, against])
            for count in counts
        ]
        results = [row for size_px in sizes for row in _measured(variants, size_px, steps, seconds, tick)]
    return {"machine": _machine(), "results": results}
