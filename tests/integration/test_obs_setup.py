"""`llia obs` against a real OBS: what it makes, the daemon's pixels in it, what it says when it cannot."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from aiohttp import web
from PIL import Image

from bridge.daemon import Daemon
from bridge.errors import ObsError
from bridge.obs import Obs, ObsAvatar, ObsRefusedError
from tests.integration.browser import wait_for
from tests.integration.obs_studio import (
    FPS,
    PASSWORD,
    SCREEN_PX,
    ObsStudio,
    require_obs,
    require_obs_library,
)
from tests.integration.wire import WireClient
from tests.obs.toy_daemon import toy_daemon

ROOT = Path(__file__).parents[2]
BROWSER_STAND_IN = """obslua.obs_register_source({
  id = "browser_source", type = obslua.OBS_SOURCE_TYPE_INPUT, output_flags = obslua.OBS_SOURCE_VIDEO,
  get_name = function() return "Browser" end, create = function() return {} end,
  get_width = function() return 0 end, get_height = function() return 0 end,
})"""
SIZE_PX = 96
SIDE_PX = SCREEN_PX[1] // 2
AVATAR = ObsAvatar("default", SIZE_PX, "tcp://127.0.0.1:1", "http://127.0.0.1:2/view", False, 200.0)

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def daemon(toy_pack: Path) -> Iterator[Daemon]:
    with toy_daemon(toy_pack, SIZE_PX) as running:
        yield running


@pytest.fixture(scope="module")
def obs() -> Iterator[ObsStudio]:
    require_obs()
    with ObsStudio(plugin=True) as studio:
        yield studio


def llia_obs(
    *arguments: str, environment: dict[str, str], daemon: Daemon | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs `llia obs` as a user does, under the settings of an OBS."""
    variables = {**os.environ, **environment}
    if daemon is not None:
        variables["LLIA_SOCKETS__CONTROL_PORT"] = daemon.control_endpoint.rpartition(":")[2]
    return subprocess.run(
        [sys.executable, "-m", "bridge.cli", "obs", *arguments],
        cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def connect(studio: ObsStudio) -> Obs:
    return Obs("127.0.0.1", studio.port, PASSWORD)


def screenshot(link: Obs, source: str) -> Pixels:
    """uint8 [H, W, 4] of a source or scene, as OBS renders it."""
    found = link._ask("GetSourceScreenshot", sourceName=source, imageFormat="png")["imageData"]
    picture = Image.open(io.BytesIO(base64.b64decode(found.partition(",")[2])))
    return np.asarray(picture.convert("RGBA"))


def difference(shown: Pixels, frame: Pixels) -> float:
    """Greatest difference of a channel; colours count as far as they are opaque."""
    ours, theirs = shown.astype(np.float32), frame.astype(np.float32)
    colours = np.abs(ours[..., :3] * ours[..., 3:] - theirs[..., :3] * theirs[..., 3:]) / 255.0
    return float(max(colours.max(), np.abs(ours[..., 3] - theirs[..., 3]).max()))


def transform(link: Obs) -> dict[str, Any]:
    item = link._scene_item("LLIA", "LLIA avatar")
    found: dict[str, Any] = link._ask("GetSceneItemTransform", sceneName="LLIA", sceneItemId=item)
    return {
        key: found["sceneItemTransform"][key]
        for key in ("positionX", "positionY", "alignment", "boundsType", "boundsWidth", "boundsHeight")
    }


def test_obs_shows_the_daemons_pixels_and_keeps_what_the_user_moved(
    obs: ObsStudio, daemon: Daemon, tmp_path: Path
) -> None:
    made = llia_obs("setup", environment=obs.environment, daemon=daemon)
    assert (made.returncode, made.stderr) == (0, ""), made.stderr
    for line in (
        "LLIA: made",
        "LLIA avatar: made (llia_avatar_source)",
        "bottom right",
        "Mic/Aux: delayed by",
    ):
        assert line in made.stdout
    frames = WireClient(daemon.control_endpoint, daemon.frames_endpoint, ("frame/",))
    try:
        with connect(obs) as link:
            link._ask("SetCurrentProgramScene", sceneName="LLIA")
            _compare(link, frames, tmp_path)
            offset_ms = link._sync_offset_ms("Mic/Aux")
            lead_ms = frames.ask("get_statistics")["lead_ms"]
            assert offset_ms >= 100 and abs(offset_ms - lead_ms - 2_000 / FPS) < 200
            placed = transform(link)
            assert (placed["positionX"], placed["positionY"], placed["boundsHeight"]) == (*SCREEN_PX, SIDE_PX)

            item = link._scene_item("LLIA", "LLIA avatar")
            moved = {"positionX": 300.0, "positionY": 200.0, "boundsWidth": 90.0, "boundsHeight": 90.0}
            link._ask("SetSceneItemTransform", sceneName="LLIA", sceneItemId=item, sceneItemTransform=moved)
            again = llia_obs("setup", environment=obs.environment, daemon=daemon)
            assert again.returncode == 0, again.stderr
            for line in (
                "LLIA: was there",
                "was there (llia_avatar_source), unchanged",
                "as you have put it",
            ):
                assert line in again.stdout
            assert transform(link) == {**placed, **moved}
            assert [name for name, kind in link._inputs().items() if kind == "llia_avatar_source"] == [
                "LLIA avatar"
            ]

            link._ask("RemoveSceneItem", sceneName="LLIA", sceneItemId=item)
            assert "LLIA avatar: made" in llia_obs("setup", environment=obs.environment, daemon=daemon).stdout
            assert transform(link) == placed
            link._ask("RemoveInput", inputName="LLIA avatar")  # and with it its connection to the daemon
    finally:
        frames.close()


def _compare(link: Obs, frames: WireClient, folder: Path) -> None:
    """The source's own picture equals a frame of that moment; the scene shows it in its place."""
    recent: list[Pixels] = []

    def same() -> bool:
        try:
            seen = screenshot(link, "LLIA avatar")
        except ObsRefusedError:  # it has no size before its first frame
            return False
        while frames.frames.poll(0 if recent else 3_000):
            _, header, pixels = frames.published()
            recent.append(np.frombuffer(pixels, np.uint8).reshape(header["height"], header["width"], 4))
        del recent[:-60]
        return any(seen.shape == frame.shape and difference(seen, frame) <= 2 for frame in recent)

    wait_for(same, "a screenshot that equals a frame")
    shown = screenshot(link, "LLIA")
    Image.fromarray(shown).save(folder / "scene.png")
    width, height = SCREEN_PX
    assert shown.shape == (height, width, 4)
    corner = shown[height - SIDE_PX :, width - SIDE_PX :, :3].astype(np.float32)
    large = Image.fromarray(recent[-1]).resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
    wanted = np.asarray(large).astype(np.float32)
    opaque = wanted[..., 3] == 255
    assert opaque.mean() > 0.2 and np.abs(corner - wanted[..., :3])[opaque].mean() < 8.0
    assert not shown[: height - SIDE_PX, :, :3].any() and not shown[:, : width - SIDE_PX, :3].any()


def test_status_says_what_it_sees(obs: ObsStudio, daemon: Daemon) -> None:
    seen = llia_obs("status", "--scene", "None such", environment=obs.environment, daemon=daemon)
    assert (seen.returncode, seen.stderr) == (0, "")
    for line in (
        "canvas    1280 x 720 px, 30 fps", "scene     None such: missing", "llia_avatar_source: installed",
        "browser_source: not installed", "Mic/Aux: delayed by", "daemon    runs",
    ):  # fmt: skip
        assert line in seen.stdout
    alone = llia_obs("status", environment={**obs.environment, "LLIA_SOCKETS__CONTROL_PORT": "1"})
    assert alone.returncode == 0 and "no daemon answers at tcp://127.0.0.1:1" in alone.stdout


def test_names_that_are_taken_are_told(obs: ObsStudio) -> None:
    with connect(obs) as link:
        with pytest.raises(ObsError, match="Mic/Aux' is a source in OBS"):
            link.set_up(AVATAR, "Mic/Aux", "avatar", "")
        with pytest.raises(ObsError, match=r"another kind \(pulse_input_capture\)"):
            link.set_up(AVATAR, "Main", "Mic/Aux", "")
        with pytest.raises(ObsError, match=r"no input 'Nobody'; there are .*Mic/Aux"):
            link.set_up(AVATAR, "Main", "Avatar of this test", "Nobody")
        colour = {"inputName": "Colour", "inputKind": "color_source_v3", "inputSettings": {}}
        link._ask("CreateInput", sceneName="Main", **colour)
        with pytest.raises(ObsError, match="cannot be delayed"):
            link.set_up(AVATAR, "Main", "Avatar of this test", "Colour")
        link._ask("RemoveInput", inputName="Colour")
        link._ask("RemoveInput", inputName="Avatar of this test")


def test_a_browser_source_where_the_plug_in_is_missing(tmp_path: Path) -> None:
    require_obs()
    script = tmp_path / "browser.lua"
    script.write_text(BROWSER_STAND_IN)
    voice = ObsAvatar("second", 256, "tcp://127.0.0.1:1", "http://127.0.0.1:2/view?sound=1", True, 200.0)
    with ObsStudio([script]) as studio, connect(studio) as link:
        lines = link.set_up(AVATAR, "Main", "LLIA avatar", "")
        assert "source    LLIA avatar: made (browser_source)" in lines and "Main: was there" in lines[0]
        assert link._sync_offset_ms("Mic/Aux") == 267  # 200 ms and two pictures of 33 ms
        lines = link.set_up(voice, "Main", "LLIA avatar", "")
        assert any("brought up to date" in line for line in lines) and "voice" in lines[-1]
        settings = link._ask("GetInputSettings", inputName="LLIA avatar")["inputSettings"]
        assert (settings["url"], settings["width"], settings["height"]) == (voice.viewer_url, 256, 256)
        assert settings["reroute_audio"] and settings["shutdown"]


def test_an_obs_that_can_show_nothing_is_told_what_to_install() -> None:
    require_obs()
    with ObsStudio() as studio, connect(studio) as link:
        with pytest.raises(ObsError, match=r"neither the LLIA plugin .* nor browser sources; install"):
            link.set_up(AVATAR, "LLIA", "LLIA avatar", "")
        assert "LLIA" not in link._scenes()  # nothing half made


def told(*arguments: str, environment: dict[str, str]) -> str:
    """The one line of a failing `llia obs status`."""
    require_obs_library()
    result = llia_obs("status", *arguments, environment=environment)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith("llia: ") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_wrong_and_missing_passwords_are_told(obs: ObsStudio, tmp_path: Path) -> None:
    wrong = told(environment={**obs.environment, "LLIA_OBS__PASSWORD": "wrong"})
    assert "refuses the password" in wrong and "Show Connect Info" in wrong and PASSWORD not in wrong
    nowhere = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    assert "asks for a password" in told("--port", str(obs.port), environment=nowhere)
    given = llia_obs("status", "--port", str(obs.port), "--password", PASSWORD, environment=nowhere)
    assert given.returncode == 0, given.stderr


def test_no_obs_and_a_server_that_is_off_are_told(tmp_path: Path) -> None:
    nowhere = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    with socket.socket() as probe:  # bound, not listening: nobody else gets this port meanwhile
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert "OBS does not run" in told("--port", str(port), environment=nowhere)
        folder = tmp_path / "obs-studio" / "plugin_config" / "obs-websocket"
        folder.mkdir(parents=True)
        written = {
            "server_enabled": False,
            "server_port": port,
            "server_password": "",
            "auth_required": False,
        }
        (folder / "config.json").write_text(json.dumps(written))
        assert "obs-websocket is off; turn it on" in told(environment=nowhere)
    assert "no machine 'no-such-host.invalid'" in told("--host", "no-such-host.invalid", environment=nowhere)


def serve(talk: Callable[[web.WebSocketResponse], Any]) -> tuple[int, Callable[[], None]]:
    """A WebSocket server on a thread; returns its port and how to end it."""
    loop, ready, port = asyncio.new_event_loop(), threading.Event(), []

    async def handle(request: web.Request) -> web.WebSocketResponse:
        link = web.WebSocketResponse()
        await link.prepare(request)
        await talk(link)
        return link

    async def start() -> web.AppRunner:
        application = web.Application()
        application.router.add_get("/", handle)
        runner = web.AppRunner(application, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.append(runner.addresses[0][1])
        ready.set()
        return runner

    def run() -> None:
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()

    def end() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    return port[0], end


async def greet_as_old_version_4(link: web.WebSocketResponse) -> None:
    await link.receive()  # version 4 waits for the client


async def answer_with_few_requests(link: web.WebSocketResponse) -> None:
    await link.send_json({"op": 0, "d": {"obsWebSocketVersion": "5.0.0", "rpcVersion": 1}})
    await link.receive()
    await link.send_json({"op": 2, "d": {"negotiatedRpcVersion": 1}})
    asked = (await link.receive()).json()["d"]
    version = {"obsVersion": "27.9.9", "obsWebSocketVersion": "5.0.0", "availableRequests": ["GetVersion"]}
    status = {"result": True, "code": 100}
    answer = {**asked, "requestStatus": status, "responseData": version}
    await link.send_json({"op": 7, "d": answer})
    await link.receive()


async def talk_nonsense(link: web.WebSocketResponse) -> None:
    await link.send_str("good morning")


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (greet_as_old_version_4, "OBS 28 or newer is needed"),
        (answer_with_few_requests, "OBS 27.9.9 is too old"),
        (talk_nonsense, "is not obs-websocket; give OBS's port"),
    ],
)
def test_old_versions_and_strangers_are_told(
    talk: Callable[[web.WebSocketResponse], Any], words: str, tmp_path: Path
) -> None:
    """No OBS that old can be installed beside the real one; these speak as it does."""
    port, end = serve(talk)
    try:
        nowhere = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
        started_s = time.monotonic()
        assert words in told("--port", str(port), environment=nowhere)
        assert time.monotonic() - started_s < 30.0
    finally:
        end()


def test_what_is_no_web_server_is_told(tmp_path: Path, daemon: Daemon) -> None:
    nowhere = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    port = daemon.frames_endpoint.rpartition(":")[2]
    assert "is not obs-websocket" in told("--port", port, environment=nowhere)


def test_an_obs_that_ends_meanwhile_is_told() -> None:
    require_obs()
    with ObsStudio() as studio, connect(studio) as link:
        studio.close()
        with pytest.raises(ObsError, match="the connection to OBS was lost at"):
            link.describe("LLIA", "LLIA avatar", "")


def test_the_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obsws_python", None)
    with pytest.raises(ObsError, match=r"'obsws_python' is missing; install it with .*\[obs\]"):
        Obs("127.0.0.1", 1, "")


def test_setup_needs_the_daemon(obs: ObsStudio) -> None:
    environment = {**obs.environment, "LLIA_SOCKETS__CONTROL_PORT": "1"}
    result = llia_obs("setup", environment=environment)
    assert (result.returncode, result.stderr) == (
        1, "llia: no daemon answers at tcp://127.0.0.1:1; start it with `llia run`\n",
    )  # fmt: skip
