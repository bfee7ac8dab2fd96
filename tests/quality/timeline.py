"""`python -m tests.quality.timeline`: which graph runs when, on which thread; with the pipeline and without.

A second of speech, pushed at once as a recording is. Every run of a graph is noted with its thread; the
rest of a frame (composition, bookkeeping) is what lies between. A mark in the chart is 2 ms, the letter that
of the graph which took most of it.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from engine.pipeline import Engine
from engine.runtime.session import GraphSession
from engine.types import SAMPLE_RATE_HZ, AudioChunk
from tests.quality.performing import greeting
from tests.reliability.report import bounded, tell

MARK_S = 0.002
ROW_MARKS = 100
LETTERS = {"audio_encoder": "a", "denoiser": "D", "decoder": "f", "mouth": "m", "eyes": "e"}
RUNS = 5


@dataclass(frozen=True)
class Span:
    """One run of a graph; times in seconds from the first audio on."""

    graph: str
    thread: int
    start_s: float
    end_s: float


def perform(engine: Engine, seconds: float, size_px: int) -> tuple[list[Span], float]:
    """The runs of all graphs for a recording, and how long it took in seconds."""
    spans: list[Span] = []
    original = GraphSession.run

    def run(session: GraphSession, feeds: Mapping[str, Any]) -> dict[str, Any]:
        start_s = time.perf_counter()
        made = original(session, feeds)
        spans.append(Span(session.name, threading.get_ident(), start_s, time.perf_counter()))
        return made

    samples = greeting()[: round(seconds * SAMPLE_RATE_HZ)]
    with engine.avatar(size_px=size_px, seed=0, lead_ms=None) as avatar:
        GraphSession.run = run  # type: ignore[method-assign, assignment]
        try:
            begun_s = time.perf_counter()
            avatar.push_audio(AudioChunk(samples, 0, "timeline"))
            avatar.finish()
            for _ in avatar.frames():
                pass
            ended_s = time.perf_counter()
        finally:
            GraphSession.run = original  # type: ignore[method-assign]
    moved = [Span(s.graph, s.thread, s.start_s - begun_s, s.end_s - begun_s) for s in spans]
    return moved, ended_s - begun_s


def chart(spans: list[Span], marks: int) -> list[str]:
    """A line for each thread, in order of their first run; `.` where none of the graphs ran."""
    lines = []
    for thread in dict.fromkeys(span.thread for span in spans):
        busy: list[dict[str, float]] = [defaultdict(float) for _ in range(marks)]
        for span in spans:
            if span.thread != thread:
                continue
            for mark in range(int(span.start_s / MARK_S), min(marks, int(span.end_s / MARK_S) + 1)):
                low, high = mark * MARK_S, (mark + 1) * MARK_S
                busy[mark][span.graph] += max(0.0, min(high, span.end_s) - max(low, span.start_s))
        lines.append("".join(_letter(part) for part in busy))
    return lines


def _letter(part: Mapping[str, float]) -> str:
    if not part or sum(part.values()) < MARK_S / 4:
        return "."
    return LETTERS.get(max(part, key=lambda graph: part[graph]), "?")


def overlap(spans: list[Span]) -> float:
    """Share of the time with some graph running in which more than one does."""
    edges = sorted([(s.start_s, 1) for s in spans] + [(s.end_s, -1) for s in spans])
    some_s = many_s = 0.0
    running, last_s = 0, 0.0
    for at_s, step in edges:
        some_s += (at_s - last_s) * (running > 0)
        many_s += (at_s - last_s) * (running > 1)
        running, last_s = running + step, at_s
    return many_s / some_s if some_s else 0.0


def main() -> int:
    """Measures and tells."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.timeline", description=__doc__)
    parser.add_argument("--pack", default="nano")
    parser.add_argument("--size", type=bounded(int, 64, 1024), default=384, help="side in px (384)")
    parser.add_argument("--seconds", type=bounded(float, 0.5, 10), default=2.0, help="of speech (2)")
    args = parser.parse_args()
    result: dict[str, Any] = {"letters": " ".join(f"{letter}={graph}" for graph, letter in LETTERS.items())}
    frames = round(args.seconds * 25)
    for name, threads in (("one thread", 1), ("all threads", None)):
        with Engine(args.pack, threads=threads) as engine:
            perform(engine, args.seconds, args.size)
            runs = [perform(engine, args.seconds, args.size) for _ in range(RUNS)]
        spans, _ = sorted(runs, key=lambda run: run[1])[RUNS // 2]
        for number, line in enumerate(chart(spans, ROW_MARKS)):
            result[f"{name}, thread {number}"] = line
        each_ms = {
            graph: round(float(np.mean([(s.end_s - s.start_s) * 1e3 for s in spans if s.graph == graph])), 2)
            for graph in LETTERS
        }
        result[f"{name}, ms a run"] = each_ms
        result[f"{name}, runs beside each other"] = f"{overlap(spans):.0%}"
        result[f"{name}, frames per second"] = round(frames / median(took_s for _, took_s in runs), 1)
    return tell(result, [])


if __name__ == "__main__":
    sys.exit(main())
