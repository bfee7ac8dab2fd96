"""The plug-in in a real OBS: from the user's folder, set up by `llia obs setup`, until a clean end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.daemon import Daemon
from bridge.obs import Obs
from tests.integration.browser import wait_for
from tests.integration.obs_studio import PASSWORD, ObsStudio, require_obs
from tests.integration.test_obs_setup import connect, llia_obs
from tests.integration.wire import WireClient
from tests.obs.toy_daemon import toy_daemon

SIZE_PX = 96
NAME = "LLIA avatar"
TONE_HZ = 500
BUSY_S = 30.0
"""OBS draws on the CPU here, and the daemon computes beside it."""


@pytest.fixture(scope="module")
def daemon(toy_pack: Path) -> Iterator[Daemon]:
    with toy_daemon(toy_pack, SIZE_PX) as running:
        yield running


class Meter:
    """The loudest that OBS's mixer has shown of a source, of full scale 1."""

    def __init__(self, studio: ObsStudio) -> None:
        import obsws_python

        self.peak, self.inputs = 0.0, set[str]()
        self._events = obsws_python.EventClient(
            host="127.0.0.1", port=studio.port, password=PASSWORD, subs=obsws_python.Subs.INPUTVOLUMEMETERS
        )
        self._events.callback.register(self.on_input_volume_meters)

    def on_input_volume_meters(self, data: Any) -> None:
        for shown in data.inputs:
            self.inputs.add(shown["inputName"])
            if shown["inputName"] == NAME and shown["inputLevelsMul"]:
                self.peak = max(self.peak, *(channel[1] for channel in shown["inputLevelsMul"]))

    def close(self) -> None:
        self._events.disconnect()
        self._events.base_client.ws.shutdown()


def speak(client: WireClient, utterance_id: str, length_s: float = 3.0) -> None:
    wave = np.sin(np.arange(int(16_000 * length_s)) * 2 * np.pi * TONE_HZ / 16_000) * 16_000
    client.send(
        "audio", wave.astype("<i2").tobytes(), utterance_id=utterance_id, sample_rate_hz=16_000, final=True
    )


def test_a_streamers_evening(daemon: Daemon) -> None:
    require_obs()
    client = WireClient(daemon.control_endpoint, daemon.frames_endpoint, ("event/",))
    studio = ObsStudio(plugin=True)
    try:
        with studio:
            made = llia_obs("setup", "--sound", environment=studio.environment, daemon=daemon)
            assert (made.returncode, made.stderr) == (0, ""), made.stderr
            assert f"{NAME}: made (llia_avatar_source)" in made.stdout
            assert "the avatar's voice comes with its picture" in made.stdout
            with connect(studio) as link:
                link._ask("SetCurrentProgramScene", sceneName="LLIA")
                wait_for(lambda: daemon.session.watched, "the source's subscription")
                _check_meter(studio, client)
                _check_controls(link, client)
                _check_switches(link, daemon)
        assert studio.exit_code == 0, studio.log[-3_000:]
    finally:
        studio.close()
        client.close()
    assert not daemon.session.watched
    leaks = [line.rpartition(" ")[2] for line in studio.log.splitlines() if "Number of memory leaks" in line]
    # OBS has two of its own where collections are switched; `test_libobs` counts the plug-in's: none.
    assert leaks and int(leaks[-1]) <= 2, studio.log[-2_000:]
    assert "[llia-obs] version" in studio.log and "is connected" in studio.log


def _check_meter(studio: ObsStudio, client: WireClient) -> None:
    meter = Meter(studio)
    try:
        wait_for(lambda: NAME in meter.inputs, "the source in the mixer")
        meter.peak = 0.0
        time.sleep(0.5)
        assert meter.peak < 0.01, "it is not quiet"
        speak(client, "heard")
        wait_for(lambda: meter.peak > 0.3, "the voice on the meter")
    finally:
        meter.close()
    client.event("finished", BUSY_S)


def _check_controls(link: Obs, client: WireClient) -> None:
    """What a Stream Deck does, too: hotkeys by name through obs-websocket; and the list of avatars."""
    items = link._ask("GetInputPropertiesListPropertyItems", inputName=NAME, propertyName="avatar_id")
    assert [(item["itemValue"], item["itemName"]) for item in items["propertyItems"]] == [
        ("", "The daemon's default avatar"), ("default", "default (toy)"),
    ]  # fmt: skip

    def offered() -> bool:
        return "llia.expression.happy" in link._ask("GetHotkeyList")["hotkeys"]

    wait_for(offered, "hotkeys")
    assert {"llia.talk", "llia.mute", "llia.cancel"} <= set(link._ask("GetHotkeyList")["hotkeys"])
    link._ask("TriggerHotkeyByName", hotkeyName="llia.expression.happy")
    assert client.event("expression", BUSY_S)["preset"] == "happy"
    speak(client, "interrupted", 20.0)
    client.event("first_frame", BUSY_S)
    link._ask("TriggerHotkeyByName", hotkeyName="llia.cancel")
    assert client.event("cancelled", BUSY_S)["utterance_id"] == "interrupted"


def _check_switches(link: Obs, daemon: Daemon) -> None:
    """Another scene pauses, another collection removes, back again shows; none of it takes long."""
    link._ask("SetCurrentSceneTransition", transitionName="Cut")
    for _ in range(3):
        link._ask("SetCurrentProgramScene", sceneName="Main")
        wait_for(lambda: not daemon.session.watched, "a pause")
        link._ask("SetCurrentProgramScene", sceneName="LLIA")
        wait_for(lambda: daemon.session.watched, "going on")
    started_s = time.monotonic()
    link._ask("CreateSceneCollection", sceneCollectionName="Another")
    wait_for(lambda: not daemon.session.watched, "the source's end")
    assert NAME not in link._inputs()
    link._ask("SetCurrentSceneCollection", sceneCollectionName="Test")
    wait_for(lambda: daemon.session.watched, "the source's return")
    assert link._inputs()[NAME] == "llia_avatar_source"
    assert time.monotonic() - started_s < BUSY_S
