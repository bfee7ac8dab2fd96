"""From a voice in the microphone to a moved mouth at a subscriber: `python -m tests.reliability.onset`.

A private PulseAudio server is the microphone of `llia run`; words are played to it with pauses between. When
each began is taken from a recording of the same microphone, when the mouth moved from the received pixels.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt
import zmq

import bridge
from bridge.audio_file import decode_audio
from engine.pipeline import Engine
from tests.integration.sound_server import DEVICE, RATE_HZ, SoundServer
from tests.integration.wire import WireClient
from tests.reliability.barge_in import aperture
from tests.reliability.processes import DaemonProcess
from tests.reliability.report import bounded, median_p95_max, tell

Float = npt.NDArray[np.float64]

GREETING = Path(bridge.__file__).parent / "assets" / "greeting.wav"
ECHO_RATE_HZ = 16_000
WORD_S = 0.6
LOUD = 0.02
"""A sample beyond this begins a word."""
MOVED = 0.1
"""The mouth has moved: it is so much farther open than before, of 1."""
SEARCHED_S = (-0.1, 0.6)
"""Around the onset."""


def word() -> Float:
    """The greeting's first word, from its first loud sample on."""
    samples = np.concatenate([block[0] for block in decode_audio(GREETING, rate_hz=RATE_HZ)])
    first = int(np.argmax(np.abs(samples) > LOUD))
    return np.asarray(samples[first : first + int(WORD_S * RATE_HZ)], np.float64)


def onsets_s(samples: npt.NDArray[np.floating[Any]], rate_hz: int) -> list[float]:
    """Where words begin after half a second of silence, seconds."""
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    if not len(loud):
        return []
    begins = loud[np.concatenate([[True], np.diff(loud) > rate_hz // 2])]
    return [float(at) / rate_hz for at in begins]


class Received:
    """All that is published, with the time."""

    def __init__(self, endpoint: str) -> None:
        self.frames: list[tuple[float, dict[str, Any], bytes]] = []
        self.echo: list[tuple[float, npt.NDArray[np.float32]]] = []
        self.statistics: list[dict[str, Any]] = []
        self._endpoint, self._ended = endpoint, False
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def end(self) -> None:
        self._ended = True
        self._thread.join()

    def _read(self) -> None:
        context = zmq.Context[zmq.Socket[bytes]]()
        socket = context.socket(zmq.SUB)
        socket.connect(self._endpoint)
        for topic in ("frame/default", "audio/default", "event/default"):
            socket.subscribe(topic)
        while not self._ended:
            if not socket.poll(100):
                continue
            _, packed, *payload = socket.recv_multipart()
            now_s, header = time.monotonic(), msgpack.unpackb(packed)
            if header["type"] == "frame":
                self.frames.append((now_s, header, payload[0]))
            elif header["type"] == "echo":
                self.echo.append((header["published_ns"] / 1e9, np.frombuffer(payload[0], "<f4")))
            elif header["type"] == "statistics":
                self.statistics.append(header)
        context.destroy(linger=0)

    def echo_onsets_s(self) -> list[float]:
        """When words were heard with their frames."""
        times = [at_s for at_s, _ in self.echo]
        sound = np.concatenate([piece for _, piece in self.echo])
        starts = np.cumsum([0, *(len(piece) for _, piece in self.echo)])
        found = []
        for at_s in onsets_s(sound, ECHO_RATE_HZ):
            sample = int(at_s * ECHO_RATE_HZ)
            piece = int(np.searchsorted(starts, sample, "right")) - 1
            found.append(times[piece] + (sample - int(starts[piece])) / ECHO_RATE_HZ)
        return found


def moved_ms(times_s: Float, apertures: Float, onset_s: float) -> float | None:
    """From the onset to the first frame with a moved mouth."""
    before = apertures[(times_s > onset_s - 0.5) & (times_s < onset_s + SEARCHED_S[0])]
    if not len(before):
        return None
    after = (times_s >= onset_s + SEARCHED_S[0]) & (times_s < onset_s + SEARCHED_S[1])
    moved = np.flatnonzero(after & (apertures > np.median(before) + MOVED))
    return float(times_s[moved[0]] - onset_s) * 1_000 if len(moved) else None


def onset(words: int, pack: str, seed: int, flags: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Runs it; the figures and the faults."""
    chance, spoken = random.Random(seed), word()
    pauses = [np.zeros(int(chance.uniform(0.8, 1.3) * RATE_HZ)) for _ in range(words)]
    sound = np.concatenate(
        [piece for pause in pauses for piece in (pause, spoken)] + [np.zeros(RATE_HZ // 2)]
    )
    microphone = ["--microphone", DEVICE, "--set", "microphone.mode=open"]
    with (
        SoundServer() as server,
        DaemonProcess(*microphone, *flags, pack=pack, environment=server.environment) as daemon,
    ):
        received = Received(daemon.frames_endpoint)
        client = WireClient(daemon.control_endpoint, daemon.frames_endpoint, (), patience_ms=30_000)
        try:
            time.sleep(10)  # the lead has found its value
            received.frames.clear()
            received.echo.clear()
            received.statistics.clear()
            recorder = server.record("mic")
            with ThreadPoolExecutor() as pool:
                pool.submit(server.play, sound).result()
            recorded, start_s = recorder.stop()
            statistics = client.ask("get_statistics")
        finally:
            received.end()
            client.close()
        complaints = daemon.complaints()
    engine = Engine(pack, threads=1, provider="CPU")
    reader = engine.avatar(size_px=received.frames[0][1]["width"])
    with reader:
        apertures = np.array([aperture(reader.reader, *frame[1:]) for frame in received.frames])
    times_s = np.array([frame[0] for frame in received.frames])
    heard_s = [start_s + at_s for at_s in onsets_s(recorded, RATE_HZ)]
    echoed_s = received.echo_onsets_s()
    found = [moved_ms(times_s, apertures, at_s) for at_s in heard_s]
    moved = [value for value in found if value is not None]
    echoed = [min((e - at_s for e in echoed_s if e > at_s), default=0.0) * 1_000 for at_s in heard_s]
    latencies = [frame[1]["latency_ms"] for frame in received.frames if frame[1]["latency_ms"] >= 0]
    faults = list(complaints)
    if len(heard_s) != words:
        faults.append(f"{len(heard_s)} words of {words} were heard by the recorder")
    if len(moved) < 0.9 * words:
        faults.append(f"the mouth moved for {len(moved)} words of {words} only")

    told = received.statistics
    return {
        "pack": pack,
        "flags": " ".join(flags),
        "words": words,
        "onset_to_moved_mouth_ms_median_p95_max": median_p95_max(moved),
        "onset_to_its_frame_ms_median_p95_max": median_p95_max(echoed),
        "arrival_to_frame_ms_median_p95_max": median_p95_max(latencies),
        "lead_ms_median_p95_max": median_p95_max([each["lead_ms"] for each in told]),
        "compute_ms_median_p95_max": median_p95_max([each["compute_ms"] for each in told]),
        "waiting_ms_median_p95_max": median_p95_max([each["queues"]["speech_ms"] for each in told]),
        "stalls": told[-1]["stalls"] - told[0]["stalls"] if told else -1,
        "skipped_audio_ms": round(statistics["skipped_audio_ms"]),
        "stages_ms": {name: round(ms, 1) for name, ms in statistics["stages_ms"].items()},
    }, faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.onset", description=__doc__)
    parser.add_argument("--words", type=bounded(int, 1, 200), default=20)
    parser.add_argument("--pack", default="nano", help="a shipped pack (nano)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("flags", nargs="*", help="of `llia run`, after --")
    arguments = parser.parse_args()
    return tell(*onset(arguments.words, arguments.pack, arguments.seed, arguments.flags))


if __name__ == "__main__":
    sys.exit(main())
