"""Sound in step with the pictures, for real: a private sound server between microphone, daemon and cable."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bridge.audio_file import decode_audio
from bridge.daemon import GREETING
from tests.integration.sound_server import DEVICE, PROGRAMS, RATE_HZ, SoundServer
from tests.integration.test_daemon_process import Running
from tests.integration.test_microphone import place_of, spoken
from tests.integration.wire import WireClient
from tests.require import require_program

require_program(*PROGRAMS)

ECHO_RATE_HZ = 16_000
STEP_S = 0.25
IN_STEP_MS = (-120, 60)
"""The sound's lateness that viewers accept is 125 ms, its earliness 45 ms (ITU-R BT.1359); the recorder needs
some 20 ms itself."""


class Echo:
    """What the daemon says is heard with its frames, as a recording at RATE_HZ on the monotonic clock."""

    def __init__(self) -> None:
        self.pieces: list[tuple[float, npt.NDArray[np.float32]]] = []

    def read(self, client: WireClient, until: Any) -> list[dict[str, Any]]:
        seen = []
        while not until():
            if client.frames.poll(100):
                _, header, payload = client.published()
                seen.append(header)
                if header["type"] == "echo":
                    self.pieces.append((header["published_ns"] / 1e9, np.frombuffer(payload, "<f4")))
        return seen

    def between(self, start_s: float, end_s: float) -> npt.NDArray[np.float64]:
        sound = np.zeros(int((end_s - start_s) * RATE_HZ))
        for at_s, piece in self.pieces:
            first = int((at_s - start_s) * RATE_HZ)
            samples = np.repeat(piece, RATE_HZ // ECHO_RATE_HZ)
            if first >= 0 and first + len(samples) <= len(sound):
                sound[first : first + len(samples)] = samples
        return sound


def offsets_ms(echo: Echo, recorded: npt.NDArray[np.float32], start_s: float) -> list[float]:
    """How much later than its frame each half second of the recording was heard, where it is loud."""
    shown = echo.between(start_s - 0.2, start_s + len(recorded) / RATE_HZ + 0.2)
    found = []
    step, margin = int(STEP_S * RATE_HZ), RATE_HZ // 5
    for at in range(0, len(recorded) - step, step):
        piece = recorded[at : at + step].astype(np.float64)
        if np.sqrt(np.mean(piece**2)) < 0.02:
            continue
        around = shown[at : at + step + 2 * margin]
        place, likeness = place_of(piece, around)
        if likeness > 0.7:
            found.append((at + margin - (at + place)) * 1_000 / RATE_HZ)
    return found


@pytest.fixture
def echo() -> Iterator[Echo]:
    yield Echo()


@pytest.mark.parametrize("mode", ["open", "vad"])
def test_the_microphone_is_heard_in_step_with_the_pictures(
    server: SoundServer,
    toy_pack: Path,
    echo: Echo,
    mode: str,
) -> None:
    daemon = Running(
        toy_pack, "--no-greeting", "--no-page", "--microphone", DEVICE, "--delay-audio", DEVICE,
        "--set", f"microphone.mode={mode}",
    )  # fmt: skip
    client = WireClient(daemon.places["control"], daemon.places["frames"], ("audio/", "event/"))
    try:
        echo.read(client, waiting(2))
        recorder = server.record("speaker.monitor")
        with ThreadPoolExecutor() as pool:
            playing = pool.submit(server.play, np.tile(spoken(GREETING), 2))
            seen = echo.read(client, playing.done)
            seen += echo.read(client, waiting(1))
        recorded, start_s = recorder.stop()
        assert daemon.end(signal.SIGINT)[0] == 0
    finally:
        client.close()
        daemon.process.kill()
        daemon.process.communicate()
    found = offsets_ms(echo, recorded, start_s)
    leads = [header["lead_ms"] for header in seen if header["type"] == "statistics"]
    print(f"{mode}: sound {np.median(found):.0f} ms after its frame, {min(found):.0f}..{max(found):.0f}, ")
    print(f"{len(found)} pieces of {STEP_S} s; lead {min(leads):.0f}..{max(leads):.0f} ms")
    assert len(found) >= 5
    assert IN_STEP_MS[0] < -np.median(found) < IN_STEP_MS[1]


def test_without_a_microphone_the_avatars_voice_is_heard(
    server: SoundServer,
    toy_pack: Path,
    echo: Echo,
) -> None:
    daemon = Running(toy_pack, "--no-greeting", "--no-page", "--delay-audio", DEVICE)
    client = WireClient(daemon.places["control"], daemon.places["frames"], ("audio/", "event/"))
    samples = np.concatenate([block[0] for block in decode_audio(GREETING, rate_hz=ECHO_RATE_HZ)])
    try:
        echo.read(client, waiting(2))
        recorder = server.record("speaker.monitor")
        echo.read(client, waiting(0.5))
        payload = samples.astype("<f4").tobytes()
        client.send("audio", payload, utterance_id="u", sample_rate_hz=ECHO_RATE_HZ, format="f32", final=True)
        echo.read(client, waiting(len(samples) / ECHO_RATE_HZ + 1))
        recorded, start_s = recorder.stop()
        assert daemon.end(signal.SIGINT)[0] == 0
    finally:
        client.close()
        daemon.process.kill()
        daemon.process.communicate()
    found = offsets_ms(echo, recorded, start_s)
    print(f"echo: sound {np.median(found):.0f} ms after its frame, {min(found):.0f}..{max(found):.0f}")
    assert len(found) >= 3
    assert IN_STEP_MS[0] < -np.median(found) < IN_STEP_MS[1]


def waiting(seconds: float) -> Any:
    """True after so long."""
    end_s = time.monotonic() + seconds
    return lambda: time.monotonic() > end_s
