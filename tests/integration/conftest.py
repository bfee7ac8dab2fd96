"""What several integration tests start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.sound_server import DEVICE, SoundServer
from tests.require import skip_for_want_of


def _listed_devices(server: SoundServer) -> str:
    """What PortAudio itself says it has; never the code under test."""
    return subprocess.run(
        [sys.executable, "-m", "sounddevice"],
        env={**os.environ, **server.environment}, capture_output=True, text=True, timeout=20,
    ).stdout  # fmt: skip


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    with SoundServer() as running:
        if DEVICE not in _listed_devices(running):
            skip_for_want_of("libportaudio2 or libasound2-plugins")
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running
