"""A private PulseAudio server: a microphone that hears what a test plays, a loudspeaker that it records.

It lives in a temporary folder of its own and listens on a socket there only. PortAudio reaches it by ALSA's
pulse plugin, under a configuration that knows no other device.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
import time
import wave
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

PROGRAMS = ("pulseaudio", "pacat", "paplay", "parec", "pactl")
RATE_HZ = 48_000
DEVICE = "pulse"
START_LIMIT_S = 10.0
WARM_S = 2.5
_FORMAT = ("--device=micfeed", "--latency-msec=20")
# PortAudio 19.6 aborts the process where ALSA knows no `default`.
_ALSA = "pcm.pulse { type pulse }\npcm.!default { type pulse }\n"
_MODULES = f"""
load-module module-native-protocol-unix auth-anonymous=1 socket=SOCKET
load-module module-null-sink sink_name=micfeed rate={RATE_HZ} channels=1
load-module module-remap-source source_name=mic master=micfeed.monitor
load-module module-null-sink sink_name=speaker rate={RATE_HZ} channels=2
set-default-sink speaker
set-default-source mic
"""


class Recorder:
    """Records a source at RATE_HZ, and when each piece of it came."""

    def __init__(self, source: str, environment: dict[str, str]) -> None:
        self._pieces: list[bytes] = []
        self._times: list[tuple[int, float]] = []
        form = ("--format=s16le", f"--rate={RATE_HZ}", "--channels=1", "--latency-msec=10", "--raw")
        self._process = subprocess.Popen(
            ["parec", f"--device={source}", *form],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._read, name=f"record-{source}", daemon=True)
        self._thread.start()

    def stop(self) -> tuple[npt.NDArray[np.float32], float]:
        """Returns what was recorded, [T] in -1..1, and the monotonic time of its first sample, seconds."""
        self._process.terminate()
        self._thread.join(timeout=START_LIMIT_S)
        self._process.wait(timeout=START_LIMIT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        samples = np.frombuffer(b"".join(self._pieces), "<i2").astype(np.float32) / 32_768
        # Pieces come late, never early: the earliest tell.
        starts = [at_s - count / RATE_HZ for count, at_s in self._times]
        return samples, float(np.percentile(starts[len(starts) // 4 :], 10))

    def _read(self) -> None:
        assert self._process.stdout is not None
        samples = 0
        while piece := self._process.stdout.read(1_920):
            samples += len(piece) // 2
            self._pieces.append(piece)
            self._times.append((samples, time.monotonic()))


class SoundServer:
    """A running server; programs started with its `environment` hear the source `mic`.

    Attributes:
        environment: variables to set. PortAudio and PulseAudio read them once, when a process begins.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="llia-sound-")
        folder = Path(self._folder.name)
        (folder / "runtime").mkdir(mode=0o700)
        (folder / "default.pa").write_text(_MODULES.replace("SOCKET", str(folder / "socket")))
        (folder / "asound.conf").write_text(_ALSA)
        (folder / "client.conf").write_text("autospawn = no\n")
        self.environment = {
            "PULSE_SERVER": f"unix:{folder / 'socket'}",
            "PULSE_RUNTIME_PATH": str(folder / "runtime"),
            "PULSE_STATE_PATH": str(folder / "state"),
            "PULSE_COOKIE": str(folder / "cookie"),
            "PULSE_CLIENTCONFIG": str(folder / "client.conf"),
            "PULSE_SOURCE": "mic",
            "PULSE_SINK": "speaker",
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
            "XDG_RUNTIME_DIR": str(folder / "runtime"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "HOME": str(folder),
            "LC_ALL": "C",
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> SoundServer:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Starts the server, or starts it again after `kill`; returns when it is warm."""
        folder = Path(self._folder.name)
        (folder / "socket").unlink(missing_ok=True)
        self._server = self._start(
            "pulseaudio", "-n", f"--file={folder / 'default.pa'}", "--daemonize=no", "--use-pid-file=no",
            "--exit-idle-time=-1", "--realtime=no", "--high-priority=no",
            f"--log-target=file:{folder / 'log'}",
        )  # fmt: skip
        self._wait_for("info", "Default Source: mic")
        # A null sink that nobody plays to is suspended, and its monitor gives the first block late.
        zeros = ("--format=s16le", f"--rate={RATE_HZ}", "--channels=1", "/dev/zero")
        self._start("pacat", *_FORMAT, *zeros)
        self._wait_for("list", "RUNNING")
        time.sleep(WARM_S)

    def play(self, samples: npt.NDArray[np.float64]) -> None:
        """Plays [T] mono in -1..1 at RATE_HZ to the microphone; returns at its end."""
        path = Path(self._folder.name) / "played.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes((samples * 32_767).astype("<i2").tobytes())
        command = ["paplay", *_FORMAT, str(path)]
        limit_s = len(samples) / RATE_HZ + START_LIMIT_S
        subprocess.run(command, env=self._variables(), check=True, capture_output=True, timeout=limit_s)

    def loudspeaker(self, rate_hz: int) -> subprocess.Popen[bytes]:
        """A program that plays float32 mono written to its `stdin` where the microphone hears it."""
        form = ("--format=float32le", f"--rate={rate_hz}", "--channels=1", "--raw")
        return subprocess.Popen(
            ["pacat", "--device=micfeed", "--latency-msec=150", *form],
            env=self._variables(), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
        )  # fmt: skip

    def record(self, source: str) -> Recorder:
        """Begins to record a source, "mic" or "speaker.monitor"; `Recorder.stop` ends it."""
        return Recorder(source, self._variables())

    def kill(self) -> None:
        """Ends the server as a crash does."""
        self._server.kill()
        self._server.wait(timeout=START_LIMIT_S)

    def close(self) -> None:
        """Ends all programs, the clients first, and removes the folder."""
        for process in reversed(self._processes):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2.0)
            process.kill()
            process.wait(timeout=2.0)
        self._processes.clear()
        self._folder.cleanup()

    def _variables(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], **self.environment}

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        self._processes.append(
            subprocess.Popen(command, env=self._variables(), stdin=quiet, stdout=quiet, stderr=quiet)
        )
        return self._processes[-1]

    def _wait_for(self, question: str, answer: str) -> None:
        """Asks the server until it answers so."""
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s:
            told = subprocess.run(
                ["pactl", question],
                env=self._variables(), capture_output=True, text=True, timeout=START_LIMIT_S,
            )  # fmt: skip
            if answer in told.stdout:
                return
            time.sleep(0.05)
        log = Path(self._folder.name) / "log"
        raise AssertionError(f"no sound server: {log.read_text() if log.exists() else told.stderr}")
