"""The microphone for real: PortAudio, a private sound server, the command as a user starts it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bridge.audio_file import decode_audio
from bridge.daemon import GREETING
from tests.integration.sound_server import DEVICE, PROGRAMS, RATE_HZ, SoundServer
from tests.integration.test_daemon_process import ROOT, Running, llia
from tests.integration.wire import WireClient
from tests.require import require_program

require_program(*PROGRAMS)

CHIRP_S = 3.0
PIECE_S = 0.25
# Runs as a process of its own: PortAudio reads its environment once. Ends at a line on its input.
LISTENER = """
import sys
import numpy as np
from bridge.inputs.echo_guard import EchoGuard
from bridge.inputs.microphone import Microphone
from bridge.inputs.talk_gate import TalkGate

blocks, names, ended = [], set(), []

def push(samples, sample_rate_hz, utterance_id, live=False):
    assert live and samples.shape == (sample_rate_hz // 100, 1) and samples.dtype == np.float32
    names.add(utterance_id)
    blocks.append(samples[:, 0])
    if len(blocks) == 10:
        print(sample_rate_hz, flush=True)

gate = TalkGate("open", 400.0, EchoGuard("off", lambda _: True))
microphone = Microphone(sys.argv[1], push, ended.append, gate=gate)
sys.stdin.readline()
microphone.close()
assert names == set(ended) == {"microphone-1"}
np.save(sys.argv[2], np.concatenate(blocks))
"""


def chirp(rate_hz: int) -> npt.NDArray[np.float64]:
    """Rises from 200 Hz to 3 kHz."""
    time_s = np.arange(int(CHIRP_S * rate_hz)) / rate_hz
    return 0.5 * np.sin(2 * np.pi * (200 * time_s + 2_800 / (2 * CHIRP_S) * time_s**2))


def spoken(path: Path) -> npt.NDArray[np.float64]:
    """A recording at RATE_HZ."""
    return np.concatenate([block[0] for block in decode_audio(path, rate_hz=RATE_HZ)]).astype(np.float64)


def place_of(piece: npt.NDArray[Any], heard: npt.NDArray[Any]) -> tuple[int, float]:
    """Where `piece` [T] lies in `heard` [S], samples, and the correlation there."""
    size = 1 << (len(heard) + len(piece)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(piece, size)), size)
    start = int(np.argmax(product[: len(heard) - len(piece)]))
    found = heard[start : start + len(piece)]
    return start, float(found @ piece / (np.linalg.norm(found) * np.linalg.norm(piece) + 1e-9))


def loudness(pixels: bytes) -> float:
    """The toy pack's red grows with it."""
    return float(np.frombuffer(pixels, np.uint8).reshape(-1, 4)[:, 0].mean())


def frame_louder_than(limit: float, client: WireClient) -> dict[str, Any]:
    """Header of the first such frame."""
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        _, header, pixels = client.published()
        if header["type"] == "frame" and loudness(pixels) > limit:
            return header
    raise AssertionError("no frame shows the sound")


def read_while(
    server: SoundServer, sound: npt.NDArray[np.float64], client: WireClient
) -> list[dict[str, Any]]:
    """Headers of all that is published while `sound` is played and for a second after it."""
    seen: list[dict[str, Any]] = []
    with ThreadPoolExecutor() as pool:  # who does not read loses what is published
        playing = pool.submit(server.play, sound)
        end_s = None
        while end_s is None or time.monotonic() < end_s:
            seen.append(client.published()[1])
            if end_s is None and playing.done():
                end_s = time.monotonic() + 1
        playing.result()
    return seen


def test_what_is_played_is_heard_whole_and_at_its_rate(server: SoundServer, tmp_path: Path) -> None:
    listed = llia("devices").stdout
    assert re.search(rf"^microphone +{DEVICE} +\d+ Hz +\d+ channel", listed, re.MULTILINE), listed
    listener = subprocess.Popen(
        [sys.executable, "-c", LISTENER, DEVICE, str(tmp_path / "heard.npy")],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert listener.stdout is not None
        line = listener.stdout.readline()
        rate_hz = int(line or listener.communicate(timeout=10)[1])
        server.play(chirp(RATE_HZ))
        time.sleep(0.3)  # the way through the server
        _, errors = listener.communicate("\n", timeout=10)
    finally:
        listener.kill()
        listener.communicate()
    assert (listener.returncode, errors) == (0, "")
    heard, played, step = np.load(tmp_path / "heard.npy"), chirp(rate_hz), int(PIECE_S * rate_hz)
    starts = range(0, len(played) - step, step)
    found = [place_of(played[start : start + step], heard) for start in starts]
    assert min(match for _, match in found) > 0.98
    # A wrong rate or a lost block moves all that follows.
    offsets = np.array([place - start for (place, _), start in zip(found, starts, strict=True)])
    assert np.ptp(offsets) < 0.002 * rate_hz, offsets


def test_a_daemon_speaks_while_a_voice_is_heard(server: SoundServer, toy_pack: Path) -> None:
    daemon = Running(toy_pack, "--no-greeting", "--no-page", "--microphone", DEVICE)
    client = WireClient(daemon.places["control"], daemon.places["frames"])
    try:
        client.wait_for(lambda h: h["type"] == "frame" and h["state"] == "idle")
        # What is no voice does not make it speak.
        hum = 0.2 * np.sin(2 * np.pi * 50 * np.arange(2 * RATE_HZ) / RATE_HZ)
        seen = read_while(server, hum, client)
        assert {h["state"] for h in seen if h["type"] == "frame"} == {"idle"}
        seen = read_while(server, spoken(GREETING), client)
        started = [h["utterance_id"] for h in seen if h["type"] == "utterance_started"]
        ended = [h["utterance_id"] for h in seen if h["type"] == "finished"]
        assert started == ended and started[0] == "microphone-1"
        states = [h["state"] for h in seen if h["type"] == "frame"]
        assert (states[0], states[-1]) == ("idle", "idle") and states.count("speaking") > 50
        assert daemon.end(signal.SIGINT)[0] == 0
    finally:
        client.close()
        daemon.process.kill()
        daemon.process.communicate()


def test_clients_mute_it_and_press_its_button(server: SoundServer, toy_pack: Path) -> None:
    daemon = Running(
        toy_pack, "--no-greeting", "--no-page", "--microphone", DEVICE, "--set", "microphone.mode=open"
    )
    client = WireClient(daemon.places["control"], daemon.places["frames"], ("event/",))
    try:
        # "open" speaks always, so every switch begins or ends an utterance.
        client.wait_for(lambda h: h["type"] == "state" and h["state"] == "speaking")
        assert "set_microphone" in client.ask("hello")["capabilities"]
        for number, (switches, event) in enumerate(
            [
                ({"mute": "on"}, "finished"),
                ({"mute": "toggle"}, "utterance_started"),
                ({"mode": "push_to_talk"}, "finished"),
                ({"talk": "on"}, "utterance_started"),
                ({"talk": "off"}, "finished"),
            ]
        ):
            assert client.ask("set_microphone", **switches)["type"] == "ok"
            assert client.event(event)["utterance_id"] == f"microphone-{number // 2 + 1 + number % 2}"
        assert client.ask("set_microphone", mute="loud")["code"] == "bad_field"
        assert daemon.end(signal.SIGINT)[0] == 0
    finally:
        client.close()
        daemon.process.kill()
        daemon.process.communicate()


def test_a_daemon_outlives_the_sound_server(server: SoundServer, toy_pack: Path) -> None:
    daemon = Running(
        toy_pack, "--no-greeting", "--no-page", "--microphone", DEVICE, "--set", "microphone.mode=open"
    )
    client = WireClient(daemon.places["control"], daemon.places["frames"])
    tone = 0.8 * np.sin(2 * np.pi * 1_000 * np.arange(RATE_HZ) / RATE_HZ)
    try:
        quiet = client.wait_for(lambda h: h["type"] == "frame" and h["utterance_id"] == "microphone-1")[-1]
        at_rest = loudness(quiet[2])
        server.play(tone)
        assert frame_louder_than(at_rest + 30, client)["utterance_id"] == "microphone-1"
        server.kill()
        assert client.event("finished")["utterance_id"] == "microphone-1"
        time.sleep(3)  # it tries again, and again
        server.start()
        client.wait_for(lambda h: h["type"] == "frame" and h["utterance_id"] == "microphone-2", 10.0)
        server.play(tone)
        assert frame_louder_than(at_rest + 30, client)["utterance_id"] == "microphone-2"
        code, _, _, errors = daemon.end(signal.SIGINT)
    finally:
        client.close()
        daemon.process.kill()
        daemon.process.communicate()
    # PortAudio and ALSA write of their own accord where in their sources they failed.
    told = [line for line in errors.splitlines() if not line.startswith(("Expression '", "ALSA lib "))]
    assert code == 0
    assert [line.split(": ", 1)[-1] for line in told if "microphone" in line] == [
        f"microphone {DEVICE!r} is gone; waiting for it to return",
        f"microphone {DEVICE!r} is back",
    ], errors


@pytest.mark.parametrize("guard", ["off", "half_duplex", "echo"])
def test_the_guard_keeps_the_avatar_from_repeating_itself(
    server: SoundServer, toy_pack: Path, guard: str
) -> None:
    daemon = Running(
        toy_pack, "--no-greeting", "--no-page", "--microphone", DEVICE, "--set", f"microphone.guard={guard}"
    )
    client = WireClient(daemon.places["control"], daemon.places["frames"], ("audio/", "event/"))
    loudspeaker = server.loudspeaker(16_000)
    said = np.concatenate([block[0] for block in decode_audio(GREETING, rate_hz=16_000)])[:48_000]
    started = []
    try:
        client.send("audio", said.astype("<f4").tobytes(), utterance_id="said", sample_rate_hz=16_000,
                    format="f32", final=True)  # fmt: skip
        end_s = time.monotonic() + 6
        while time.monotonic() < end_s:
            _, header, payload = client.published()
            if header["type"] == "echo":
                assert loudspeaker.stdin is not None
                loudspeaker.stdin.write(payload)
            elif header["type"] == "utterance_started":
                started.append(header["utterance_id"])
        assert daemon.end(signal.SIGINT)[0] == 0
    finally:
        for process in (loudspeaker, daemon.process):
            process.kill()
            process.communicate()
        client.close()
    # Without a guard it hears and says again what it has said.
    assert started[:2] == (["said", "microphone-1"] if guard == "off" else ["said"])


def test_no_sound_server_is_one_clear_line(server: SoundServer, toy_pack: Path) -> None:
    server.kill()
    ports = ["--control-port", "0", "--frames-port", "0", "--no-page", "--no-greeting"]
    result = llia("run", "--pack", str(toy_pack), *ports, "--microphone")
    assert result.returncode == 1
    assert re.fullmatch(r"llia: no microphone was found; .*\n", result.stderr), result.stderr
    listed = llia("devices")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "microphone  none found" in listed.stdout
