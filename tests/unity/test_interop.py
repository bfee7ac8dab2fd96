"""The package's core against the real daemon, and against what is no daemon."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq

from tests.reliability.processes import DaemonProcess
from tests.unity.client import CoreClient, sound_file
from tests.unity.ready_daemon import ReadyDaemon, picture

pytestmark = pytest.mark.program("mcs", "mono")
RATE_HZ = 48_000
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
"""Of a ZMTP peer without keys."""


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonProcess]:
    with DaemonProcess() as running:
        yield running


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Two seconds of a tone."""
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    return sound_file(tmp_path / "speech.f32", (0.3 * np.sin(2 * np.pi * 220 * time_s)).astype(np.float32))


def event(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda told: told["kind"] == "event" and told["event"] == name


def status(state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda told: told["kind"] == "status" and told["state"] == state


def sha(width: int, height: int, pts_samples: int) -> str:
    return hashlib.sha256(picture(width, height, pts_samples).tobytes()).hexdigest().upper()


@pytest.mark.parametrize(("width", "height", "hash_every"), [(384, 384, 1), (1920, 1080, 10)])
def test_frames_at_60_fps_arrive_byte_for_byte(width: int, height: int, hash_every: int) -> None:
    """Those that arrive are whole, in order, each once; on a busy machine the daemon publishes fewer."""
    with ReadyDaemon(width, height, 60) as ready, CoreClient(ready.control_endpoint) as client:
        client.do("hashes", hash_every)
        client.do("open", "default", 0, 0, "frames")
        client.wait_for("frame")
        before = client.figures()
        frames = [client.wait_for("frame") for _ in range(60 // hash_every)]
        after = client.figures()
        for frame in frames:
            assert (frame["width"], frame["height"]) == (width, height)
            assert frame["sha"] == sha(width, height, frame["pts"])
        pts = [frame["pts"] for frame in frames]
        assert pts == sorted(set(pts))
        published = (pts[-1] - pts[0]) * 60 / 16_000
        assert after["received"] - before["received"] >= 0.3 * published
        assert after["malformed"] == 0


def test_speaks_and_tells_of_it(daemon: DaemonProcess, speech: Path) -> None:
    with CoreClient(daemon.control_endpoint) as client:
        client.do("open", "", 96, 25, "frames,faces,voice")
        client.do("hashes", 1)
        client.do("times", "on")
        opened = client.wait_for(event("Opened"))
        assert opened["avatar"].startswith("avatar-") and opened["text"] == "toy"
        assert client.wait_for("frame")["width"] == 96
        client.do("speak", speech, RATE_HZ)
        spoken = client.wait_for("speech")["id"]
        assert client.wait_for(event("SpeakingStarted"))["utterance"] == spoken
        assert client.wait_for(lambda told: told["kind"] == "face")["shapes"] > 20
        assert client.wait_for("spoken") == {"kind": "spoken", "id": spoken, "end": "Finished"}
        assert client.has_told(event("SpeakingEnded"))["end"] == "Finished"
        states = [told["state"] for told in client.told if event("State")(told)]
        assert "Speaking" in states
        shown = {told["utterance"] for told in client.told if told["kind"] == "frame"}
        assert shown == {"", spoken}
        figures = client.figures()
        assert figures["echo_end"] > 2 * 16_000 and figures["malformed"] == 0
        assert 0 <= figures["round_trip_ms"] < 1_000


def test_a_stream_with_pauses_is_spoken_whole(daemon: DaemonProcess, speech: Path) -> None:
    with CoreClient(daemon.control_endpoint) as client:
        client.do("open", "", 64, 25, "frames")
        client.wait_for(event("Opened"))
        client.do("stream", speech, RATE_HZ, 777)
        client.wait_for(event("SpeakingStarted"))
        client.do("end")
        assert client.wait_for("spoken")["end"] == "Finished"


def test_barge_in_lets_nothing_old_through(daemon: DaemonProcess, speech: Path) -> None:
    with CoreClient(daemon.control_endpoint) as client:
        client.do("open", "", 64, 25, "frames,voice")
        client.do("hashes", 1)
        client.wait_for(event("Opened"))
        for _ in range(3):
            client.do("speak", speech, RATE_HZ)
            client.wait_for(event("SpeakingStarted"))
            epoch = client.wait_for("frame")["epoch"]
            client.do("stop")
            assert client.wait_for("spoken")["end"] == "Cancelled"
            client.wait_for("frame")  # one may be on its way to standard output
            after = [told for told in client.watch(0.5) if told["kind"] == "frame"]
            assert after and all(frame["epoch"] == epoch + 1 for frame in after)
            assert all(frame["utterance"] == "" for frame in after)
        client.do("speak", speech, RATE_HZ)
        assert client.wait_for("spoken")["end"] == "Finished"


def test_state_and_expression_are_kept(daemon: DaemonProcess) -> None:
    with CoreClient(daemon.control_endpoint) as client:
        client.do("open", "", 64, 25, "frames")
        client.do("state", "Listening")  # before there is an avatar
        client.wait_for(lambda told: event("State")(told) and told["state"] == "Listening")
        client.do("expression", "no such")
        assert (
            "no such" in client.wait_for(lambda told: told["kind"] == "answered" and told["error"])["error"]
        )


def test_a_refused_avatar_is_told(daemon: DaemonProcess) -> None:
    with CoreClient(daemon.control_endpoint) as client:
        client.do("open", "nobody", 64, 25, "frames")
        refused = client.wait_for(event("Error"))
        assert refused["code"] == "avatar" and "nobody" in refused["text"]
        assert client.figures()["phase"] == "Refused"


def test_comes_back_after_kill_9(speech: Path) -> None:
    with DaemonProcess() as daemon, CoreClient(daemon.control_endpoint) as client:
        client.do("open", "", 64, 25, "frames")
        client.do("hashes", 1)
        first = client.wait_for(event("Opened"))["avatar"]
        client.do("speak", speech, RATE_HZ)
        client.do("speak", speech, RATE_HZ)
        begun, waiting = client.wait_for("speech")["id"], client.wait_for("speech")["id"]
        client.wait_for(event("SpeakingStarted"))
        time.sleep(0.5)  # the second one arrives, too
        daemon.kill()
        assert (
            "nothing listens"
            in client.wait_for(
                lambda told: status("Disconnected")(told) and "nothing listens" in told["problem"]
            )["problem"]
        )
        daemon.start()
        assert client.wait_for("spoken") == {"kind": "spoken", "id": begun, "end": "Interrupted"}
        again = client.has_told(lambda told: event("Opened")(told) and told["avatar"] != first)
        assert again["text"] == "toy"
        client.wait_for("frame")
        # The second one had not begun: the new avatar says it.
        assert client.wait_for("spoken") == {"kind": "spoken", "id": waiting, "end": "Finished"}


class _Proxy(socketserver.ThreadingTCPServer):
    """Passes bytes on to a port until it is told to cut all connections."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Pass)
        self.to_port = port
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def cut(self) -> None:
        for one, other in self.pairs:
            for end in (one, other):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:  # it has ended by itself
                    continue
        self.pairs.clear()


class _Pass(socketserver.BaseRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.to_port)) as there:
            self.server.pairs.append((self.request, there))
            back = threading.Thread(target=_pump, args=(there, self.request), daemon=True)
            back.start()
            _pump(self.request, there)
            back.join(2)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
    except OSError:  # cut
        return


@contextmanager
def proxied(endpoint: str) -> Iterator[_Proxy]:
    with _Proxy(int(endpoint.rsplit(":", 1)[1])) as proxy:
        try:
            yield proxy
        finally:
            proxy.shutdown()
            proxy.cut()


def test_a_lost_connection_costs_neither_avatar_nor_speech(daemon: DaemonProcess, speech: Path) -> None:
    with proxied(daemon.control_endpoint) as control, proxied(daemon.frames_endpoint) as frames:
        control_endpoint, frames_endpoint = (
            f"tcp://127.0.0.1:{proxy.server_address[1]}" for proxy in (control, frames)
        )
        with CoreClient(control_endpoint, "--frames", frames_endpoint, "--retry-ms", "200") as client:
            client.do("open", "", 64, 25, "frames")
            opened = client.wait_for(event("Opened"))["avatar"]
            client.do("stream", speech, RATE_HZ, 4_800)
            client.wait_for(event("SpeakingStarted"))
            for _ in range(2):
                control.cut()
                frames.cut()
                client.wait_for(status("Disconnected"))
                client.wait_for(status("Ready"))
            client.do("end")
            assert client.wait_for("spoken")["end"] == "Finished"
            assert client.figures()["connections"] == 3
            assert {told["avatar"] for told in client.told if told["kind"] == "event"} == {opened}
            assert not [told for told in client.told if event("Lost")(told)]


def test_a_frozen_daemon_is_noticed_and_taken_up_again() -> None:
    with (
        DaemonProcess() as daemon,
        CoreClient(daemon.control_endpoint, "--silence-ms", "3000", "--retry-ms", "200") as client,
    ):
        client.do("open", "", 64, 25, "frames")
        client.do("hashes", 1)
        client.wait_for("frame")
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            began_s = time.monotonic()
            told = client.wait_for(status("Disconnected"))
            assert "3000 ms" in told["problem"] and time.monotonic() - began_s < 10
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        client.wait_for(status("Ready"))
        client.wait_for("frame")


def test_ends_in_time_whatever_the_daemon_does() -> None:
    with DaemonProcess() as daemon, CoreClient(daemon.control_endpoint) as client:
        client.do("open", "", 64, 25, "frames,voice")
        client.wait_for(event("Opened"))
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            began_s = time.monotonic()
            assert client.close() == 0
            assert time.monotonic() - began_s < 3.0
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        assert client.told[-1]["kind"] == "closed"


def test_a_slow_viewer_sees_the_newest_picture() -> None:
    with ReadyDaemon(384, 384, 60) as ready, CoreClient(ready.control_endpoint) as client:
        client.do("open", "default", 0, 0, "frames")
        client.wait_for(event("Opened"))
        client.do("pause", 400)
        client.do("times", "on")
        time.sleep(2.5)  # the first ping tells how the clocks stand
        ages_ms = sorted(told["age_ms"] for told in client.watch(4.0) if told["kind"] == "time")
        figures = client.figures()
        assert len(ages_ms) >= 6
        # Looked at every 400 ms. Were the socket not read meanwhile, what waits there would be a second old.
        assert ages_ms[len(ages_ms) // 2] < 300
        assert figures["passed_over"] > 100


def test_says_that_there_is_no_daemon() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with CoreClient(f"tcp://127.0.0.1:{port}") as client:
        assert client.wait_for("status")["problem"] == f"tcp://127.0.0.1:{port}: nothing listens there"


@contextmanager
def server_of(answer: bytes) -> Iterator[str]:
    """Listens and gives these bytes to whoever connects; yields its endpoint."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(2)
            try:
                self.request.sendall(answer)
                while self.request.recv(4_096):
                    continue
            except OSError:  # the client has had enough
                return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("garbage", "told"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks no ZeroMQ"),
        (GREETING + b"\xff" * 200, "no ZMTP frame"),
        (bytes(np.random.default_rng(5).integers(0, 255, 5_000, np.uint8)), "speaks no ZeroMQ"),
        (b"", "no answer"),
    ],
)
def test_what_is_no_daemon_is_told_and_tried_again(garbage: bytes, told: str) -> None:
    with (
        server_of(garbage) as endpoint,
        CoreClient(endpoint, "--retry-ms", "50", "--handshake-ms", "500") as client,
    ):
        assert told in client.wait_for(status("Disconnected"))["problem"]
        assert client.figures()["state"] in ("Disconnected", "Greeting")


class FakeDaemon:
    """ZeroMQ sockets that answer whatever a test wants."""

    def __init__(self, answer: Callable[[dict[str, Any]], list[bytes]]) -> None:
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self.control = self._context.socket(zmq.ROUTER)
        self.frames = self._context.socket(zmq.PUB)
        ports = [socket.bind_to_random_port("tcp://127.0.0.1") for socket in (self.control, self.frames)]
        self.control_endpoint, self.frames_endpoint = (f"tcp://127.0.0.1:{port}" for port in ports)
        self._answer = answer
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._closed.is_set():
            if self.control.poll(50):
                identity, header, *_ = self.control.recv_multipart()
                for answer in self._answer(msgpack.unpackb(header)):
                    self.control.send_multipart([identity, answer])

    def __enter__(self) -> FakeDaemon:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()
        self._context.destroy(linger=0)


def packed(kind: str, **fields: Any) -> bytes:
    return bytes(msgpack.packb({"v": 1, "type": kind, **fields}))


def test_another_version_is_told() -> None:
    def refuse(request: dict[str, Any]) -> list[bytes]:
        text = "this daemon speaks protocol versions 2 and 3"
        return [packed("error", request_id=request["request_id"], code="unsupported_version", text=text)]

    def too_new(request: dict[str, Any]) -> list[bytes]:
        return [packed("welcome", request_id=request["request_id"], protocol_version=2)]

    for answer, told in ((refuse, "speaks protocol versions 2 and 3"), (too_new, "protocol version 2")):
        with FakeDaemon(answer) as daemon, CoreClient(daemon.control_endpoint) as client:
            assert told in client.wait_for(status("Refused"))["problem"]


def test_a_daemon_that_does_not_answer_is_told() -> None:
    with (
        FakeDaemon(lambda request: []) as daemon,
        CoreClient(daemon.control_endpoint, "--handshake-ms", "700") as client,
    ):
        assert "does not answer as a LLIA daemon" in client.wait_for(status("Disconnected"))["problem"]


def test_garbage_within_messages_is_counted_and_the_rest_goes_on() -> None:
    """Random headers, sizes that do not fit, fields of wrong types: on both sockets, among good messages."""
    random = np.random.default_rng(3)
    good: dict[str, Any] = {
        "avatar_id": "a", "pts_samples": 0, "epoch": 0, "utterance_id": "", "state": "idle", "width": 4,
        "height": 4, "format": "RGBA", "alpha": "straight", "latency_ms": -1.0, "published_ns": 1,
    }  # fmt: skip

    def answer(request: dict[str, Any]) -> list[bytes]:
        number = request["request_id"]
        garbage = [bytes(random.integers(0, 255, 40, np.uint8)), b"", packed("pong", daemon_ns="x")]
        if request["type"] == "hello":
            garbage.append(
                packed(
                    "welcome", request_id=number, protocol_version=1, frames_endpoint=daemon.frames_endpoint
                )
            )
        elif request["type"] == "get_avatar_info":
            garbage.append(packed("avatar_info", request_id=number, avatar_id="a", width=4, height=4, fps=25))
        elif request["type"] == "ping":
            garbage.append(packed("pong", request_id=number, daemon_ns=1))
        return garbage

    with FakeDaemon(answer) as daemon, CoreClient(daemon.control_endpoint) as client:
        client.do("open", "default", 0, 0, "frames")
        client.do("hashes", 1)
        client.wait_for(event("Opened"))
        time.sleep(0.3)
        for number in range(1, 60):
            pixels = bytes([number]) * 64
            header = packed("frame", **{**good, "pts_samples": number * 640})
            for parts in (
                [bytes(random.integers(0, 255, 60, np.uint8)), pixels],
                [packed("frame", **{**good, "width": 10**12}), pixels],
                [packed("frame", **{**good, "width": 5}), pixels],
                [packed("frame", **{**good, "format": "JPEG"}), pixels],
                [packed("frame", **{**good, "pts_samples": "soon"}), pixels],
                [packed("frame", **good)[:-3]],
                [],
                [header, pixels, b"one", b"too", b"many"],
            ):
                daemon.frames.send_multipart([b"frame/a", *parts])
            daemon.frames.send_multipart([b"event/a", packed("finished", utterance_id=[], pts_samples=1)])
            daemon.frames.send_multipart([b"event/a", packed("of a later version", more=1)])
            time.sleep(0.01)
        frames = [told for told in client.watch(0.5) if told["kind"] == "frame"] + [
            told for told in client.told if told["kind"] == "frame"
        ]
        assert len({frame["pts"] for frame in frames}) > 40
        for frame in frames:
            assert frame["sha"] == hashlib.sha256(bytes([frame["pts"] // 640]) * 64).hexdigest().upper()
        figures = client.figures()
        assert figures["malformed"] > 200 and figures["malformed_text"]
        assert figures["state"] == "Ready" and figures["connections"] == 1


def test_a_payload_beyond_all_bounds_ends_the_connection() -> None:
    ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER"
    huge = b"\x02" + (1 << 40).to_bytes(8, "big")
    answer = GREETING + b"\x04" + bytes([len(ready)]) + ready + huge
    with server_of(answer) as endpoint, CoreClient(endpoint) as client:
        assert "1099511627776 bytes" in client.wait_for(status("Disconnected"))["problem"]
