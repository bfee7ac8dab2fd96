"""From `cancel` to a shut mouth, at a ZeroMQ subscriber: `python -m tests.reliability.barge_in --rounds 20`.

`llia run` with a shipped pack says the greeting again and again; each time it is cancelled while its mouth is
open. How far the mouth is open is measured from the received pixels.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import zmq

import bridge
from bridge.audio_file import decode_audio
from engine.pipeline import Engine
from engine.reader import FrameReader
from tests.integration.wire import WireClient
from tests.reliability.processes import DaemonProcess
from tests.reliability.report import bounded, median_p95_max, tell

GREETING = Path(bridge.__file__).parent / "assets" / "greeting.wav"
RATE_HZ = 16_000
OPEN_JAW = 0.25
"""The mouth is open: `jawOpen` of the frame."""
SHUT_APERTURE = 0.15
"""The mouth is shut: aperture measured from the pixels (`docs/benchmarks.md`, shut in silence)."""
WATCH_S = 0.8
"""The mouth has to stay shut so long after a barge-in."""
LIMIT_MS = 150.0


@dataclass
class Pictures:
    """What a subscriber receives, with the time: read by a thread, so that nothing waits for measuring."""

    endpoint: str
    frames: list[tuple[int, dict[str, Any], bytes]] = field(default_factory=list)
    jaw_open: float = 0.0
    seen: threading.Event = field(default_factory=threading.Event)
    ended: bool = False

    def read(self) -> None:
        context = zmq.Context[zmq.Socket[bytes]]()
        socket = context.socket(zmq.SUB)
        socket.connect(self.endpoint)
        for topic in ("frame/default", "blendshapes/default"):
            socket.subscribe(topic)
        while not self.ended:
            if socket.poll(100):
                _, packed, *payload = socket.recv_multipart()
                header = msgpack.unpackb(packed)
                if payload:
                    self.frames.append((time.monotonic_ns(), header, payload[0]))
                else:
                    self.jaw_open = header["shapes"]["jawOpen"]
                    self.seen.set()
        context.destroy(linger=0)


@dataclass(frozen=True)
class Round:
    """One barge-in: when it was sent and answered, and the frames from just before to `WATCH_S` after it."""

    sent_ns: int
    answered_ns: int
    frames: list[tuple[int, dict[str, Any], bytes]]

    def figures(self, reader: FrameReader) -> dict[str, float]:
        """Milliseconds from sending to the last frame of the old epoch, the first new one, the shut mouth."""
        after = [frame for frame in self.frames if frame[0] > self.sent_ns]
        old = min(frame[1]["epoch"] for frame in self.frames)
        apertures = [aperture(reader, *frame[1:]) for frame in after]
        shut = len(after)
        while shut and apertures[shut - 1] < SHUT_APERTURE:
            shut -= 1
        times = {
            "answered": self.answered_ns,
            "last_old": max((t for t, header, _ in after if header["epoch"] == old), default=self.sent_ns),
            "first_new": next((t for t, header, _ in after if header["epoch"] > old), 0),
            "shut": after[shut][0] if shut < len(after) else 0,
        }
        figures = {name: (at - self.sent_ns) / 1e6 if at else -1.0 for name, at in times.items()}
        figures["old_after_answer"] = sum(
            header["epoch"] == old and header["published_ns"] > self.answered_ns for _, header, _ in after
        )
        return figures


def aperture(reader: FrameReader, header: dict[str, Any], payload: bytes) -> float:
    return reader.aperture(np.frombuffer(payload, np.uint8).reshape(header["height"], header["width"], 4))


def interrupt(client: WireClient, pictures: Pictures, speech: bytes, chance: random.Random) -> Round | None:
    """Speaks and cancels while the mouth is open; None where it did not open."""
    client.send("audio", speech, utterance_id=uuid.uuid4().hex, sample_rate_hz=RATE_HZ, final=True)
    time.sleep(chance.uniform(0.8, 2.5))
    deadline_s = time.monotonic() + 2.0
    while pictures.jaw_open < OPEN_JAW:
        pictures.seen.clear()
        if not pictures.seen.wait(0.5) or time.monotonic() > deadline_s:
            return None
    first = max(0, len(pictures.frames) - 2)
    sent_ns = time.monotonic_ns()
    client.ask("cancel")
    answered_ns = time.monotonic_ns()
    time.sleep(WATCH_S)
    frames = pictures.frames[first:]
    pictures.frames.clear()
    return Round(sent_ns, answered_ns, frames)


def barge_in(rounds: int, pack: str, seed: int, flags: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Runs it; the figures and the faults."""
    chance = random.Random(seed)
    samples = np.concatenate(list(decode_audio(GREETING, rate_hz=RATE_HZ)), axis=1)[0]
    speech = (samples * 32_767).astype("<i2").tobytes()
    done: list[Round] = []
    with DaemonProcess(*flags, pack=pack) as daemon:
        pictures = Pictures(daemon.frames_endpoint)
        reading = threading.Thread(target=pictures.read)
        reading.start()
        client = WireClient(daemon.control_endpoint, daemon.frames_endpoint, (), patience_ms=30_000)
        try:
            assert pictures.seen.wait(30)
            for _ in range(2 * rounds):
                found = interrupt(client, pictures, speech, chance)
                if found is not None:
                    done.append(found)
                if len(done) == rounds:
                    break
            statistics = client.ask("get_statistics")
        finally:
            pictures.ended = True
            reading.join()
            client.close()
    engine = Engine(pack, threads=1, provider="CPU")
    reader = FrameReader(engine.graphs["reader"], engine.portrait(), done[0].frames[0][1]["width"])
    figures = [each.figures(reader) for each in done]
    faults = []
    if len(done) < rounds:
        faults.append(f"the mouth opened in {len(done)} rounds of {rounds} only")
    if any(each["old_after_answer"] for each in figures):
        faults.append("frames of the old epoch after the answer")
    if any(each["first_new"] < 0 or each["shut"] < 0 for each in figures):
        faults.append("no new frame, or the mouth did not stay shut")
    within = sum(0 <= each["shut"] <= LIMIT_MS for each in figures)
    result: dict[str, Any] = {"pack": pack, "flags": " ".join(flags), "rounds": len(done)}
    for name in ("answered", "last_old", "first_new", "shut"):
        values = [each[name] for each in figures]
        result[f"{name}_ms_median_p95_max"] = median_p95_max(values)
    result |= {f"shut_within_{LIMIT_MS:.0f}_ms": f"{within} of {len(done)}"}
    result |= {name: round(statistics[name], 1) for name in ("compute_ms", "lead_ms")}
    return result, faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.barge_in", description=__doc__)
    parser.add_argument("--rounds", type=bounded(int, 1, 200), default=20)
    parser.add_argument("--pack", default="nano", help="a shipped pack (nano)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("flags", nargs="*", help="of `llia run`, after --")
    arguments = parser.parse_args()
    return tell(*barge_in(arguments.rounds, arguments.pack, arguments.seed, arguments.flags))


if __name__ == "__main__":
    sys.exit(main())
