"""Sets OBS up through obs-websocket 5: scene, source, place, the microphone's delay.

The only file that imports obsws-python (GPL-3.0, extra `obs`), and only when it is used.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from bridge.errors import ObsError
from bridge.obs_config import ObsServer

NATIVE_KIND = "llia_avatar_source"
BROWSER_KIND = "browser_source"
DEFAULT_PORT = 4455
ANSWER_LIMIT_S = 5.0
HEIGHT_SHARE = 0.5
"""Height of a newly placed avatar in the scene's."""
BOTTOM_RIGHT = 2 | 8
"""OBS_ALIGN_RIGHT | OBS_ALIGN_BOTTOM."""
CANVAS_FRAMES = 2
"""What OBS adds between a published frame and its encoder: measured 63 to 76 ms at 30 fps, 43 ms at 60."""
MAX_SYNC_OFFSET_MS = 20_000
NEEDED_REQUESTS = frozenset(
    {
        "CreateInput", "CreateScene", "CreateSceneItem", "GetInputAudioSyncOffset", "GetInputKindList",
        "GetInputList", "GetInputSettings", "GetSceneItemId", "GetSceneList", "GetSpecialInputs",
        "GetVideoSettings", "SetInputAudioSyncOffset", "SetInputSettings", "SetSceneItemTransform",
    }
)  # fmt: skip
RESOURCE_NOT_FOUND = 600


@dataclass(frozen=True)
class ObsAvatar:
    """The avatar that OBS is to show.

    Attributes:
        avatar_id: the daemon's id of it, "" for the default one.
        size_px: width and height of its frames.
        endpoint: of the daemon's control socket, for the native source.
        viewer_url: for the browser source.
        sound: play the avatar's voice through OBS.
        lead_ms: measured time from a sample's arrival at the daemon to the published frame.
    """

    avatar_id: str
    size_px: int
    endpoint: str
    viewer_url: str
    sound: bool
    lead_ms: float


class Obs:
    """A connection to OBS; use it as a context manager.

    Attributes:
        version: of OBS.
        websocket_version: of obs-websocket.
        canvas_px: width and height of the scenes.
        fps: of the scenes.
    """

    def __init__(self, host: str, port: int, password: str, server: ObsServer | None = None) -> None:
        """Connects and asks for the versions.

        Args:
            host: where OBS runs.
            port: of obs-websocket.
            password: "" for none.
            server: what OBS has written down; tells a server that is off from an OBS that does not run.

        Raises:
            ObsError: OBS is not there, the password is wrong or missing, or the version is too old.
        """
        self._where = f"{host}:{port}"
        self._client = _connect(host, port, password, server)
        try:
            version = self._ask("GetVersion")
            self.version, self.websocket_version = version["obsVersion"], version["obsWebSocketVersion"]
            lacking = NEEDED_REQUESTS - set(version["availableRequests"])
            if lacking:
                raise ObsError(
                    f"OBS {self.version} is too old: its obs-websocket {self.websocket_version} has no "
                    f"{min(lacking)}; install OBS 28 or newer"
                )
            video = self._ask("GetVideoSettings")
        except BaseException:
            self.close()
            raise
        self.canvas_px = (int(video["baseWidth"]), int(video["baseHeight"]))
        self.fps = float(video["fpsNumerator"]) / float(video["fpsDenominator"])

    def __enter__(self) -> Obs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; calling it again does nothing."""
        self._client.disconnect()
        self._client.base_client.ws.shutdown()  # a broken connection is left open by `disconnect`

    def set_up(self, avatar: ObsAvatar, scene: str, name: str, audio: str) -> list[str]:
        """Makes what is missing and brings the rest up to date; where a user has put the source, it stays.

        Args:
            avatar: what to show.
            scene: the scene's name.
            name: the source's name.
            audio: the input to delay, "" for OBS's first microphone.

        Returns:
            A line for each thing done or found.

        Raises:
            ObsError: a name is taken, no kind of source can show the avatar, or OBS refuses.
        """
        kind, settings = self._wanted_source(avatar)
        lines = [self._make_scene(scene)]
        lines += self._make_source(scene, name, kind, settings)
        lines.append(self._delay_audio(avatar, audio))
        return lines

    def describe(self, scene: str, name: str, audio: str) -> list[str]:
        """What is there now, a line for each thing.

        Args:
            scene: the scene's name.
            name: the source's name.
            audio: the delayed input, "" for OBS's first microphone.

        Raises:
            ObsError: OBS refuses.
        """
        width, height = self.canvas_px
        kinds = self._source_kinds()
        there = self._inputs().get(name)
        item = self._scene_item(scene, name) if scene in self._scenes() and there else None
        delayed = self._audio_input(audio)
        offset_ms = self._sync_offset_ms(delayed) if delayed else 0
        return [
            f"obs       {self.version}, obs-websocket {self.websocket_version}, at {self._where}",
            f"canvas    {width} x {height} px, {self.fps:g} fps",
            f"scene     {scene}: {'there' if scene in self._scenes() else 'missing'}",
            f"source    {name}: {there or 'missing'}{'' if item is None else ', in the scene'}",
            f"plugin    {NATIVE_KIND}: {'installed' if NATIVE_KIND in kinds else 'not installed'}",
            f"browser   {BROWSER_KIND}: {'installed' if BROWSER_KIND in kinds else 'not installed'}",
            f"audio     {delayed}: delayed by {offset_ms} ms"
            if delayed
            else "audio     no microphone in OBS",
        ]

    def _wanted_source(self, avatar: ObsAvatar) -> tuple[str, dict[str, Any]]:
        kinds = self._source_kinds()
        if NATIVE_KIND in kinds:
            return NATIVE_KIND, {
                "endpoint": avatar.endpoint, "avatar_id": avatar.avatar_id, "audio": avatar.sound,
            }  # fmt: skip
        if BROWSER_KIND in kinds:
            return BROWSER_KIND, {
                "url": avatar.viewer_url,
                "width": avatar.size_px,
                "height": avatar.size_px,
                "shutdown": True,  # a hidden source costs nothing
                "reroute_audio": avatar.sound,
                "css": "",
            }
        raise ObsError(
            f"this OBS has neither the LLIA plugin ({NATIVE_KIND}) nor browser sources; install one of them "
            "(plugins/obs/README.md; browser sources come with the OBS of obsproject.com, not with Debian's)"
        )

    def _make_scene(self, scene: str) -> str:
        if scene in self._scenes():
            return f"scene     {scene}: was there"
        if scene in self._inputs():
            raise ObsError(f"{scene!r} is a source in OBS; name the scene otherwise with --scene")
        self._ask("CreateScene", sceneName=scene)
        return f"scene     {scene}: made"

    def _make_source(self, scene: str, name: str, kind: str, settings: dict[str, Any]) -> list[str]:
        there = self._inputs().get(name)
        if there is None:
            made = self._ask(
                "CreateInput", sceneName=scene, inputName=name, inputKind=kind, inputSettings=settings
            )
            told = [f"source    {name}: made ({kind})"]
            return [*told, self._place(scene, made["sceneItemId"])]
        if there not in (NATIVE_KIND, BROWSER_KIND):
            raise ObsError(f"{name!r} is a source of another kind ({there}) in OBS; choose another --name")
        if there != kind:
            raise ObsError(
                f"{name!r} is a {there}, but {kind} is wanted now; remove it in OBS or choose another --name"
            )
        old = self._ask("GetInputSettings", inputName=name)["inputSettings"]
        changed = any(old.get(key) != value for key, value in settings.items())
        if changed:
            self._ask("SetInputSettings", inputName=name, inputSettings=settings, overlay=True)
        told = [f"source    {name}: was there ({kind}), {'brought up to date' if changed else 'unchanged'}"]
        if self._scene_item(scene, name) is not None:
            return [*told, "place     as you have put it"]
        item = self._ask("CreateSceneItem", sceneName=scene, sourceName=name)["sceneItemId"]
        return [*told, self._place(scene, item)]

    def _place(self, scene: str, item: int) -> str:
        width, height = self.canvas_px
        side = min(height * HEIGHT_SHARE, width)
        # Bounds, because a source has no size before its first frame.
        transform = {
            "alignment": BOTTOM_RIGHT,
            "positionX": float(width),
            "positionY": float(height),
            "boundsType": "OBS_BOUNDS_SCALE_INNER",
            "boundsAlignment": BOTTOM_RIGHT,
            "boundsWidth": side,
            "boundsHeight": side,
        }
        self._ask("SetSceneItemTransform", sceneName=scene, sceneItemId=item, sceneItemTransform=transform)
        return f"place     bottom right, {side:.0f} x {side:.0f} px"

    def _delay_audio(self, avatar: ObsAvatar, audio: str) -> str:
        if avatar.sound:
            return "audio     the avatar's voice comes with its picture; no microphone is delayed"
        name = self._audio_input(audio)
        if not name:
            return "audio     OBS has no microphone; name the input to delay with --audio"
        latency_ms = round(avatar.lead_ms + CANVAS_FRAMES * 1_000.0 / self.fps)
        offset_ms = min(latency_ms, MAX_SYNC_OFFSET_MS)
        try:
            self._ask("SetInputAudioSyncOffset", inputName=name, inputAudioSyncOffset=offset_ms)
        except ObsError as error:
            raise ObsError(f"{name!r} cannot be delayed; name a sound input with --audio ({error})") from None
        return (
            f"audio     {name}: delayed by {offset_ms} ms "
            f"(daemon {avatar.lead_ms:.0f} ms, OBS {latency_ms - avatar.lead_ms:.0f} ms)"
        )

    def _audio_input(self, audio: str) -> str:
        """The input to delay; "" where OBS has no microphone."""
        if audio:
            if audio not in self._inputs():
                raise ObsError(f"OBS has no input {audio!r}; there are {', '.join(self._inputs()) or 'none'}")
            return audio
        special = self._ask("GetSpecialInputs")
        return next((special[f"mic{n}"] for n in range(1, 5) if special.get(f"mic{n}")), "")

    def _sync_offset_ms(self, name: str) -> int:
        return int(self._ask("GetInputAudioSyncOffset", inputName=name)["inputAudioSyncOffset"])

    def _scenes(self) -> list[str]:
        return [scene["sceneName"] for scene in self._ask("GetSceneList")["scenes"]]

    def _inputs(self) -> dict[str, str]:
        """Kinds by name."""
        inputs = self._ask("GetInputList")["inputs"]
        return {found["inputName"]: found["unversionedInputKind"] for found in inputs}

    def _source_kinds(self) -> list[str]:
        kinds: list[str] = self._ask("GetInputKindList", unversioned=True)["inputKinds"]
        return kinds

    def _scene_item(self, scene: str, name: str) -> int | None:
        try:
            return int(self._ask("GetSceneItemId", sceneName=scene, sourceName=name)["sceneItemId"])
        except ObsRefusedError as refusal:
            if refusal.status == RESOURCE_NOT_FOUND:
                return None
            raise

    def _ask(self, request: str, **data: Any) -> dict[str, Any]:
        library, websocket = _libraries()
        try:
            return self._client.send(request, data or None, raw=True) or {}
        except library.error.OBSSDKRequestError as error:
            reason = str(error).partition("With message: ")[2] or f"code {error.code}"
            raise ObsRefusedError(f"OBS refuses {request}: {reason}", error.code) from None
        except (OSError, ValueError, library.error.OBSSDKError, websocket.WebSocketException) as error:
            raise ObsError(f"the connection to OBS was lost at {request} ({_reason(error)})") from None


class ObsRefusedError(ObsError):
    """OBS refused a request.

    Attributes:
        status: obs-websocket's `RequestStatus` code.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def _connect(host: str, port: int, password: str, server: ObsServer | None) -> Any:
    library, websocket = _libraries()
    where = f"{host}:{port}"
    try:
        return library.ReqClient(host=host, port=port, password=password, timeout=ANSWER_LIMIT_S)
    except library.error.OBSSDKError:
        if not password:
            raise ObsError(
                f"OBS at {where} asks for a password; set LLIA_OBS__PASSWORD or --password "
                "(OBS shows it: Tools > WebSocket Server Settings > Show Connect Info)"
            ) from None
        raise ObsError(
            f"OBS at {where} refuses the password; take it from "
            "Tools > WebSocket Server Settings > Show Connect Info"
        ) from None
    except ConnectionRefusedError:
        if server is not None and not server.enabled:
            raise ObsError(
                "obs-websocket is off; turn it on in OBS: Tools > WebSocket Server Settings > "
                "Enable WebSocket server"
            ) from None
        raise ObsError(
            f"OBS does not run: nothing listens at {where}; start OBS, or enable its server in "
            "Tools > WebSocket Server Settings"
        ) from None
    except (websocket.WebSocketTimeoutException, TimeoutError):
        raise ObsError(
            f"what listens at {where} does not greet as obs-websocket 5 does; OBS 28 or newer is needed"
        ) from None
    except websocket.WebSocketAddressException:
        raise ObsError(f"there is no machine {host!r}; check --host") from None
    except (ValueError, KeyError, websocket.WebSocketException):
        raise ObsError(f"what listens at {where} is not obs-websocket; give OBS's port with --port") from None
    except OSError as error:
        raise ObsError(f"OBS at {where} cannot be reached ({_reason(error)}); check --host") from None


def _libraries() -> tuple[Any, Any]:
    """The modules obsws_python and websocket.

    Raises:
        ObsError: the extra is not installed.
    """
    try:
        import obsws_python
        import websocket
    except ModuleNotFoundError as error:
        raise ObsError(
            f"the package {error.name!r} is missing; install it with pip install 'llia-bridge[obs]' (GPL-3.0)"
        ) from None
    logging.getLogger("obsws_python").setLevel(logging.CRITICAL)  # it would log the password
    return obsws_python, websocket


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
