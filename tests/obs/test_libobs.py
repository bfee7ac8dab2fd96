"""The plug-in in OBS's core, against the real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bridge.config_reader import read_settings
from bridge.daemon import Daemon
from tests.integration.wire import WireClient
from tests.obs.harness import Harness, Pixels

SIZE_PX = 96


@pytest.fixture(scope="module")
def daemon(toy_pack: Path) -> Iterator[Daemon]:
    flags = {
        "engine.pack": str(toy_pack), "engine.size_px": SIZE_PX, "speech.greeting": False,
        "sockets.control_port": 0, "sockets.frames_port": 0, "page.enabled": False,
    }  # fmt: skip
    running = Daemon(read_settings(None, flags))
    yield running
    running.close()


def frames_of(client: WireClient, seen: list[Pixels], timeout_ms: int = 3_000) -> list[Pixels]:
    """Adds what was published meanwhile to the pictures seen."""
    while client.frames.poll(0 if seen else timeout_ms):
        _, header, pixels = client.published()
        seen.append(np.frombuffer(pixels, np.uint8).reshape(header["height"], header["width"], 4))
    return seen


def test_the_pixels_are_the_daemons(daemon: Daemon) -> None:
    client = WireClient(daemon.control_endpoint, daemon.frames_endpoint, ("frame/default",))
    try:
        with Harness() as harness:
            harness.create("avatar", endpoint=daemon.control_endpoint)
            seen: list[Pixels] = []

            def same() -> bool:
                shown = harness.grab("avatar")
                return any(np.array_equal(shown, frame) for frame in frames_of(client, seen))

            harness.wait_for("a picture that equals a frame", same)
            shown = harness.grab("avatar")
            assert shown.shape == (SIZE_PX, SIZE_PX, 4)
            assert 0.2 < (shown[..., 3] == 255).mean() < 0.9 and (shown[..., 3] == 0).any()
        assert (harness.left, harness.exit_code) == (0, 0)
    finally:
        client.close()
