"""The daemon's sound devices: the microphone it speaks, the output in step with its pictures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from bridge.config import DelayedAudioSettings, MicrophoneSettings
from bridge.inputs.echo_guard import EchoGuard
from bridge.inputs.microphone import Microphone, is_own
from bridge.inputs.talk_gate import MODES, TalkGate
from bridge.outputs.delayed_audio import DelayedAudio, EchoReader
from bridge.web.panel import Arguments, Panel, choice, flag
from engine.types import SAMPLE_RATE_HZ, AudioChunk

if TYPE_CHECKING:
    from bridge.avatar import AvatarSession

ECHO_QUEUE = 50
"""Pieces of one frame each."""


class Sound:
    """What is open of the two devices.

    Attributes:
        microphone: None without one.
        output: None without one.
    """

    def __init__(
        self, microphone: MicrophoneSettings, delayed_audio: DelayedAudioSettings, session: AvatarSession
    ) -> None:
        """Opens what is enabled.

        Args:
            microphone: its settings.
            delayed_audio: the output's settings; it plays the microphone, or without one all that the avatar
                speaks.
            session: the avatar that speaks.

        Raises:
            DeviceError: a device is missing or does not open; nothing is left open then.
        """
        self._session = session
        self.microphone: Microphone | None = None
        self.output: DelayedAudio | None = None
        self._stack = ExitStack()
        with self._stack:
            if delayed_audio.enabled:
                self.output = DelayedAudio(delayed_audio.device, self._behind_ms)
                self._stack.callback(self.output.close)
            if microphone.enabled:
                guard = EchoGuard(microphone.guard, is_own)
                self.microphone = Microphone(
                    microphone.device,
                    session.push_audio,
                    session.end_utterance,
                    gate=TalkGate(microphone.mode, microphone.hangover_ms, guard),
                    pre_roll_ms=microphone.pre_roll_ms,
                    forward=None if self.output is None else self.output.push,
                )
                self._stack.callback(self.microphone.close)
                if microphone.guard != "off":
                    self._read_echo(lambda chunk: guard.play(chunk.samples, chunk.utterance_id))
            elif self.output is not None:
                output = self.output
                self._read_echo(lambda chunk: output.push(chunk.samples, SAMPLE_RATE_HZ))
            self._stack = self._stack.pop_all()

    def offer(self, panel: Panel) -> None:
        """Gives the page the microphone's controls, if there is one."""
        microphone = self.microphone
        if microphone is None:
            return

        gate = microphone.gate

        def set_mode(session: AvatarSession, arguments: Arguments) -> None:
            gate.mode = choice(arguments, "mode", *MODES)

        def mute(session: AvatarSession, arguments: Arguments) -> None:
            microphone.mute(flag(arguments, "muted"))

        def talk(session: AvatarSession, arguments: Arguments) -> None:
            microphone.set_talking(flag(arguments, "pressed"))

        def state(session: AvatarSession) -> dict[str, Any]:
            return {"name": microphone.name, "modes": MODES, "mode": gate.mode, "muted": gate.muted}

        panel.offer("microphone_mode", set_mode)
        panel.offer("microphone_mute", mute)
        panel.offer("microphone_talk", talk)
        panel.tell("microphone", state)

    def close(self) -> None:
        """Closes the devices; calling it again does nothing."""
        self._stack.close()

    def _read_echo(self, take: Callable[[AudioChunk], None]) -> None:
        audio = self._session.audio.subscribe(newest=False, bound=ECHO_QUEUE)
        self._stack.callback(EchoReader(audio, take).close)

    def _behind_ms(self) -> float:
        """How long after its end arrived a piece has to be heard to be in step with the pictures."""
        microphone = self.microphone
        if microphone is None:  # a piece of the echo arrives whole when its first sample is due
            return 1_000.0 / self._session.fps + self._camera_ms()
        waiting_ms = self._session.statistics().queues["speech_ms"]
        added_ms = waiting_ms if microphone.speaks else microphone.added_ms
        return self._session.lead_ms + added_ms + self._camera_ms()

    def _camera_ms(self) -> float:
        """Where a camera shows the pictures, it is its picture that the sound has to be in step with."""
        return max((delay_ms() for delay_ms in self._session.delays.values()), default=0.0)
