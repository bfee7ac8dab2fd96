"""Decides when what the microphone hears is the user talking: by voice, by a button, or always."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.inputs.echo_guard import EchoGuard
from bridge.vad import Vad

MODES = ("vad", "open", "push_to_talk")


class TalkGate:
    """The switches between the microphone and the avatar; they may be set from any thread.

    Attributes:
        mode: "vad": while a voice is heard; "open": always; "push_to_talk": while `talking`.
        talking: the button is pressed.
        muted: nothing is heard, whatever the mode.
    """

    def __init__(self, mode: str, hangover_ms: float, guard: EchoGuard) -> None:
        """Starts unmuted, the button not pressed.

        Args:
            mode: one of `MODES`.
            hangover_ms: silence that ends speech, for "vad".
            guard: tells the user's voice from the avatar's own.

        Raises:
            ValueError: there is no such mode.
        """
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; there are {', '.join(MODES)}")
        self.mode, self.talking, self.muted = mode, False, False
        self._vad = Vad(hangover_ms=hangover_ms)
        self._guard = guard
        self._held = False

    @property
    def lets_through(self) -> bool:
        """What is heard now may be passed on: not muted, not the avatar's own voice, button pressed."""
        return not self.muted and not self._held and (self.mode != "push_to_talk" or self.talking)

    def hear(self, samples: npt.NDArray[np.float32]) -> bool:
        """Takes the next audio, float32 [T] mono at 16 kHz; returns whether it is the user talking."""
        held, speaking = self._guard.hear(samples), self.mode != "vad"
        if self.mode == "vad" and not held:
            silent = not self._vad.speaking
            speaking = self._vad.push(samples)
            # A voice begins: whose, is asked before anything of it is spoken.
            held = speaking and silent and self._guard.compare()
        if held and not self._held:
            self._vad.reset()  # its hangover belongs to the avatar's voice
        self._held = held
        return speaking and self.lets_through

    def reset(self) -> None:
        """The audio broke off: what follows is another stream."""
        self._vad.reset()
        self._held = False
