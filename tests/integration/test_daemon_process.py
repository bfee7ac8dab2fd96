"""The command `llia` as a user starts it: a process of its own, its lines, signals and exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "bridge" / "README.md"


def llia(*arguments: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge.cli", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=timeout_s,
    )  # fmt: skip


class Running:
    """`llia run` with the toy pack."""

    def __init__(self, pack: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bridge.cli", "run", "--pack", str(pack), "--size", "64",
             "--control-port", "0", "--frames-port", "0", "--page-port", "0", *arguments],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.places: dict[str, str] = {}
        assert self.process.stdout is not None
        for line in self.process.stdout:
            name, _, value = line.strip().partition(" ")
            self.places[name] = value.strip().split("  ")[0]
            if name == "microphone":
                return
        raise AssertionError(f"llia run ended: {self.process.communicate()}")

    def end(self, number: signal.Signals) -> tuple[int, float, str, str]:
        start_s = time.monotonic()
        self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=10)
        return self.process.returncode, time.monotonic() - start_s, out, errors


@pytest.fixture
def running(toy_pack: Path) -> Iterator[Running]:
    daemon = Running(toy_pack, "--no-greeting")
    yield daemon
    if daemon.process.poll() is None:
        daemon.process.kill()
    daemon.process.communicate()


def test_the_client_of_the_readme_works(running: Running, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "speech.wav"), "wb") as file:
        file.setparams((2, 2, 22_050, 0, "NONE", ""))
        tone = (np.sin(np.arange(22_050) * 0.1) * 9_000).astype("<i2")
        file.writeframes(np.repeat(tone[:, None], 2, axis=1).tobytes())
    found = re.search(r"## A client in ten lines.*?```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert found is not None
    code = found.group(1)
    assert len(code.strip().splitlines()) <= 10
    for default, actual in (("5570", running.places["control"]), ("5571", running.places["frames"])):
        assert f"tcp://127.0.0.1:{default}" in code
        code = code.replace(f"tcp://127.0.0.1:{default}", actual)
    client = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=20
    )
    assert client.returncode == 0, client.stderr
    assert "first_frame" in client.stdout
    assert re.search(r"frame/default .*'speaking'.* 16384 bytes", client.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_within_two_seconds(running: Running, number: signal.Signals) -> None:
    assert running.places["page"].startswith("http://127.0.0.1:")
    code, spent_s, _, errors = running.end(number)
    assert (code, errors) == (0, "")
    assert spent_s < 2.0


def test_it_speaks_its_greeting_and_says_so(toy_pack: Path) -> None:
    daemon = Running(toy_pack)
    assert daemon.process.stdout is not None
    line = daemon.process.stdout.readline()
    while not line.startswith("speaking"):
        line = daemon.process.stdout.readline()
    assert re.match(r"speaking +\d+\.\d fps  first frame (\d+ ms|-)  lead \d+ ms", line)
    assert daemon.end(signal.SIGINT)[0] == 0


def test_a_signal_while_loading_ends_it_too(toy_pack: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import time, bridge.commands.run as run, bridge.cli as cli\n"
         "run.Daemon = lambda *a, **k: (print('loading', flush=True), time.sleep(30))\n"
         "raise SystemExit(cli.main(['run']))"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (0, "")


def test_a_busy_port_is_one_line_and_a_code(toy_pack: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        result = llia("run", "--pack", str(toy_pack), "--control-port", port, "--no-page")
    assert result.returncode == 1
    assert result.stderr == (
        f"llia: port {port} on 127.0.0.1 is in use; choose another with --control-port PORT\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "loopback only"),
        (["--avatar", "nobody"], "no avatar 'nobody'"),
        (["--config", "none.toml"], "none.toml: cannot be read"),
        (["--fps", "1000"], "fps = 1000"),
        (["--say", "none.wav"], "none.wav does not exist"),
    ],
)
def test_wrong_arguments_are_one_line(toy_pack: Path, arguments: list[str], words: str) -> None:
    ports = ["--control-port", "0", "--frames-port", "0", "--no-page", "--no-greeting"]
    result = llia("run", "--pack", str(toy_pack), *ports, *arguments)
    assert result.returncode == 1
    assert words in result.stderr and result.stderr.startswith("llia: ")
    assert result.stderr.count("\n") == 1


def test_check_tells_what_is_there_and_what_to_mend(toy_pack: Path, tmp_path: Path) -> None:
    result = llia("check", "--pack", str(toy_pack))
    assert result.returncode == 0, result.stdout
    for subject in ("python", "packages", "model pack", "provider", "port", "sound", "camera", "video files"):
        assert re.search(rf"^(ok|warn) +{subject}", result.stdout, re.MULTILINE), subject
    altered = tmp_path / "altered"
    altered.mkdir()
    for file in toy_pack.rglob("*"):
        if file.is_file():
            copy = altered / file.relative_to(toy_pack)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(file.read_bytes())
    (altered / "decoder.onnx").write_bytes(b"other")
    result = llia("check", "--pack", str(altered))
    assert result.returncode == 1
    assert re.search(r"^fail +model pack .*decoder.*--pack", result.stdout, re.MULTILINE)


def test_devices_says_what_it_found() -> None:
    result = llia("devices")
    assert result.returncode == 0
    assert "microphone" in result.stdout and "camera" in result.stdout


def test_bench_writes_its_file(toy_pack: Path, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    result = llia("bench", "--pack", str(toy_pack), "--size", "64", "--seconds", "0.5", "--json", str(file))
    assert result.returncode == 0, result.stderr
    assert json.loads(file.read_text())["results"][0]["fps"] > 0
    assert "fps" in result.stdout
    assert "does not exist" in llia("bench", "--json", str(tmp_path / "no" / "b.json")).stderr


def test_the_daemon_needs_no_training_packages() -> None:
    code = (
        "import sys, bridge.daemon, bridge.cli, bridge.commands.run, bridge.commands.bench\n"
        "print([m for m in ('torch', 'onnx', 'scipy', 'skia', 'soundfile') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert result.stdout.strip() == "[]", result.stderr + os.linesep + result.stdout
