"""Measures a pack on this machine, end to end: audio pushed in, RGBA frames taken out."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from engine.pipeline import Engine
from engine.runtime.session import threads_per_session
from engine.types import SAMPLE_RATE_HZ, AudioChunk

RUNS = 3
FIRST_FRAME_RUNS = 7
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


def _speech(seconds: float) -> npt.NDArray[np.float32]:
    """Noise in syllables of 4 Hz: what the graphs cost does not depend on what is said."""
    samples = round(seconds * SAMPLE_RATE_HZ)
    noise = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    loudness = 0.05 * (1.0 - np.cos(np.arange(samples) * (8.0 * np.pi / SAMPLE_RATE_HZ)))
    speech: npt.NDArray[np.float32] = np.clip(noise * loudness, -1.0, 1.0).astype(np.float32)
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


def run(
    engine: Engine | str | Path = "nano",
    *,
    sizes: Sequence[int] = (384, 512),
    steps: int = 2,
    threads: int | None = None,
    seconds: float = 4.0,
    provider: str = "auto",
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Measures medians of warm runs.

    Args:
        engine: a loaded engine, or the pack to load.
        sizes: output sizes in px.
        steps: sampling steps.
        threads: as for `Engine`; of a loaded engine, what it was given.
        seconds: of audio per run.
        provider: as for `Engine`.
        progress: told what is measured now and the part done, 0..1.

    Returns:
        `{"machine": {...}, "results": [{"preset", "version", "provider", "size", "steps", "threads",
        "precision", "fps", "first_frame_ms", "stages_ms", "rss_mb"}]}`; threads are those of both
        stages together.

    Raises:
        EngineError: the pack, the provider or a size is wrong.
    """
    loaded = engine if isinstance(engine, Engine) else Engine(engine, threads=threads, provider=provider)
    manifest = loaded.manifest
    precisions = {name: manifest.graphs[name].precision for name in ("denoiser", "decoder")}
    same = len(set(precisions.values())) == 1
    precision = (
        precisions["decoder"] if same else ", ".join(f"{name} {kind}" for name, kind in precisions.items())
    )
    results: list[dict[str, Any]] = []
    runs = 1 + FIRST_FRAME_RUNS + RUNS
    done = 0

    def tick(label: str) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(label, done / (runs * len(sizes)))

    for size_px in sizes:
        _throughput(loaded, size_px, steps, min(1.0, seconds))
        tick(f"{size_px} px: warm-up")
        first_ms = []
        for _ in range(FIRST_FRAME_RUNS):
            first_ms.append(_first_frame_ms(loaded, size_px, steps))
            tick(f"{size_px} px: first frame")
        measured = []
        for _ in range(RUNS):
            measured.append(_throughput(loaded, size_px, steps, seconds))
            tick(f"{size_px} px: frames per second")
        results.append(
            {
                "preset": manifest.preset,
                "version": manifest.version,
                "provider": loaded.provider,
                "size": size_px,
                "steps": steps,
                "threads": 2 * threads_per_session(threads),
                "precision": precision,
                "fps": round(median(fps for fps, _ in measured), 1),
                "first_frame_ms": round(median(first_ms), 1),
                "stages_ms": {
                    name: round(median(stages[name] for _, stages in measured), 2) for name in measured[0][1]
                },
                "rss_mb": _rss_mb(),
            }
        )
    return {"machine": _machine(), "results": results}
