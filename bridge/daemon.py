"""Wires an avatar to its inputs and outputs and orders start and stop; no logic."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import zmq

from bridge.config import SessionSettings, Settings, SpeechSettings
from bridge.control import Control, daemon_version
from bridge.inputs.audio_file import FileSpeaker
from bridge.keys import Doorkeeper
from bridge.meter import Counter
from bridge.metrics import MetricsServer
from bridge.outputs.web import WebServer
from bridge.outputs.zmq_frames import FramePublisher
from bridge.packs import Packs
from bridge.picture_outputs import PictureOutputs
from bridge.reload import Reloader
from bridge.sessions import Sessions
from bridge.sockets import RequestServer, bind, bound_port, endpoint, is_loopback, require_free_port
from bridge.sound import Sound
from bridge.web.panel import Panel

GREETING = Path(__file__).parent / "assets" / "greeting.wav"


class Daemon:
    """The running program.

    Attributes:
        session: the default avatar.
        sessions: all avatars.
        control_endpoint: where the ROUTER socket is.
        frames_endpoint: where the XPUB socket is.
        page_url: where the page is, "" without one.
        microphone: name of the microphone heard, "" if none.
        sound: the sound devices.
        pictures: camera, rig and recordings.
        metrics: the figures for Prometheus.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        say: Path | None = None,
    ) -> None:
        """Starts everything; ports first, so that a busy one is told before the model is loaded.

        Args:
            settings: see `bridge.config`.
            say: an audio file to speak after the greeting.

        Raises:
            BridgeError: a port, device, file or value is wrong; everything started so far is ended.
            EngineError: the pack or the picture is wrong; likewise.
        """
        self.page_url = ""
        self.microphone = ""
        self._stack = ExitStack()
        with self._stack:
            self._start(settings, say)
            self._stack = self._stack.pop_all()

    def _start(self, settings: Settings, say: Path | None) -> None:
        host, page = settings.sockets.host, settings.page
        # The page has no keys: with a public host it stays on loopback.
        page_host = host if is_loopback(host) else "127.0.0.1"
        if page.enabled:
            require_free_port(page_host, page.port, "--page-port")
        context = zmq.Context[zmq.Socket[bytes]]()
        self._stack.callback(context.term)
        counter = Counter()
        doorkeeper = Doorkeeper(context, counter, settings.sockets.keys)
        self._stack.callback(doorkeeper.close)
        control_socket = bind(
            context, zmq.ROUTER, host, settings.sockets.control_port, "--control-port", doorkeeper
        )
        self._stack.callback(control_socket.close)
        frames_socket = bind(
            context, zmq.XPUB, host, settings.sockets.frames_port, "--frames-port", doorkeeper
        )
        self._stack.callback(frames_socket.close)
        doorkeeper.watch()
        self.control_endpoint = endpoint(host, bound_port(control_socket))
        self.frames_endpoint = endpoint(host, bound_port(frames_socket))

        self.pictures = PictureOutputs(settings.camera, settings.vmc, settings.recording)
        self._stack.callback(self.pictures.close)
        speech = settings.speech
        self._packs = Packs(settings.engine, lead_ms=speech.lead_ms, queue_limit_s=speech.waiting_limit_s)
        self._stack.callback(self._packs.close)
        self.session = self._packs.open()
        self._stack.callback(self.session.close)
        self.pictures.show(self.session)

        publisher = FramePublisher(frames_socket, counter)
        self._stack.callback(publisher.close)
        self.sessions = Sessions(publisher, settings.sessions, counter)
        self._stack.callback(self.sessions.close)
        self.sessions.add(self.session)
        self._control = Control(
            self.sessions,
            self._packs,
            frames_endpoint=self.frames_endpoint,
            speech_limit_s=speech.waiting_limit_s,
            local=is_loopback(host),
            counter=counter,
        )
        requests = RequestServer(control_socket, self._control.answer, self.sessions.expire)
        self._control.post = requests.post
        self._stack.callback(requests.close)
        panel = Panel()
        self.pictures.offer(panel)
        if page.enabled:
            endpoints = {"control": self.control_endpoint, "frames": self.frames_endpoint}
            server = WebServer(self.sessions.all, panel, page_host, page.port, endpoints, counter)
            server.start()
            self._stack.callback(server.close)
            self.page_url = server.url
        self.metrics = MetricsServer(self.sessions.all, self.sessions.counts, daemon_version())
        self._stack.callback(self.metrics.close)
        self.metrics.apply(settings.metrics)

        if speech.greeting:
            self._speak(GREETING, "greeting")
        if say is not None:
            self._speak(say, "say")
        self.sound = Sound(settings.microphone, settings.delayed_audio, self.session)
        self._stack.callback(self.sound.close)
        self.sound.offer(panel)
        self._control.microphone = self.sound.microphone
        if self.sound.microphone is not None:
            self.microphone = self.sound.microphone.name

    def register_reloads(self, reloader: Reloader) -> None:
        """Lets settings take effect that can without a restart."""
        reloader.register("camera", self.pictures.apply_camera)
        reloader.register("recording", self.pictures.apply_recording)
        reloader.register("metrics", self.metrics.apply)
        reloader.register("sessions", self._apply_sessions)
        reloader.register("speech", self._apply_speech)

    def _apply_sessions(self, settings: SessionSettings) -> None:
        self.sessions.settings = settings

    def _apply_speech(self, speech: SpeechSettings) -> None:
        self._packs.queue_limit_s = self._control.speech_limit_s = speech.waiting_limit_s
        for session in self.sessions.all():
            session.set_waiting_limit(speech.waiting_limit_s)

    def close(self) -> None:
        """Ends everything in reverse order, within 2 s; calling it again does nothing."""
        self._stack.close()

    def _speak(self, path: Path, utterance_id: str) -> None:
        speaker = FileSpeaker(path, utterance_id, self.session.push_audio, self.session.end_utterance)
        self._stack.callback(speaker.close)
