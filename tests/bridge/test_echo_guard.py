from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from bridge.inputs.echo_guard import LIKENESS, RELEASE_MS, EchoGuard, likeness
from bridge.inputs.talk_gate import TalkGate
from tests.bridge.test_vad import speech

Float = npt.NDArray[np.float32]
BLOCK = 320


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def voice() -> Float:
    """The greeting without the silence around it."""
    return speech()[2 * 16_000 : -2 * 16_000]


def in_a_room(samples: Float, delay_ms: int) -> Float:
    """What a microphone hears of a loudspeaker: later, with an echo as strong as the direct sound, noisy."""
    random = np.random.default_rng(0)
    answer = random.standard_normal(4_800) * 10 ** (-3 * np.arange(4_800) / 4_800)
    answer[:40] = 0.0
    answer[0] = np.sqrt(answer @ answer)
    heard = np.convolve(samples, answer / np.abs(answer).sum() * 3)[: len(samples)]
    heard = np.concatenate([np.zeros(delay_ms * 16, np.float32), heard])[: len(samples)]
    return (heard + random.standard_normal(len(heard)) * 0.001).astype(np.float32)


def shut(guard: EchoGuard, clock: Clock, heard: Float, played: Float, utterance_id: str) -> list[bool]:
    """Whether the guard is shut after each block of 20 ms."""
    told = []
    for at in range(0, len(heard) - BLOCK, BLOCK):
        clock.now_s += BLOCK / 16_000
        guard.play(played[at : at + BLOCK], utterance_id)
        told.append(guard.hear(heard[at : at + BLOCK]))
    return told


@pytest.mark.parametrize("delay_ms", [20, 150, 900])
def test_its_own_voice_from_a_loudspeaker_shuts_it(delay_ms: int) -> None:
    clock = Clock()
    guard = EchoGuard("echo", lambda _: True, clock)
    played = voice()
    told = shut(guard, clock, in_a_room(played, delay_ms), played, "microphone-1")
    assert np.mean(told[(delay_ms + 600) // 20 :]) > 0.95
    clock.now_s += RELEASE_MS / 1_000 + 0.1
    assert not guard.hear(np.zeros(BLOCK, np.float32))


def test_another_voice_does_not() -> None:
    """The same voice, but another sentence than the one just spoken, is the hardest case."""
    spoken = voice()
    half = len(spoken) // 2
    clock = Clock()
    guard = EchoGuard("echo", lambda _: True, clock)
    assert not any(shut(guard, clock, spoken[half:], spoken[:half], "say"))
    rest = spoken[half : half + 9_600]
    assert likeness(rest, spoken[:half][-40_000:]) < LIKENESS < likeness(rest, spoken[-half:][:40_000])
    assert likeness(np.zeros(9_600, np.float32), spoken[:40_000]) == 0.0
    assert likeness(rest, np.zeros(40_000, np.float32)) == 0.0


def test_half_duplex_is_deaf_while_others_speak_through_the_avatar() -> None:
    clock = Clock()
    guard = EchoGuard("half_duplex", lambda name: name.startswith("microphone-"), clock)
    quiet, loud = np.zeros(BLOCK, np.float32), np.full(BLOCK, 0.1, np.float32)
    guard.play(loud, "microphone-1")
    assert not guard.hear(loud)
    guard.play(loud, "greeting")
    assert guard.hear(quiet)
    clock.now_s += RELEASE_MS / 1_000 - 0.1
    assert guard.hear(quiet)
    clock.now_s += 0.2
    assert not guard.hear(quiet)
    guard.play(quiet, "greeting")  # silent
    guard.play(loud, "")  # no speech
    assert not guard.hear(quiet)


def test_off_is_always_open_and_unknown_words_are_refused() -> None:
    guard = EchoGuard("off", lambda _: False, Clock())
    guard.play(voice()[:40_000], "greeting")
    assert not guard.hear(voice()[:40_000])
    with pytest.raises(ValueError, match="'duck'; there are off"):
        EchoGuard("duck", lambda _: True)
    with pytest.raises(ValueError, match="'loud'; there are vad"):
        TalkGate("loud", 400.0, guard)


def test_a_shut_guard_shuts_the_gate_in_every_mode() -> None:
    clock = Clock()
    guard = EchoGuard("half_duplex", lambda _: False, clock)
    gates = [TalkGate(mode, 400.0, guard) for mode in ("vad", "open", "push_to_talk")]
    for gate in gates:
        gate.talking = True
    spoken = voice()[: 2 * 16_000]
    assert [gate.hear(spoken) for gate in gates] == [True] * 3
    guard.play(spoken, "greeting")
    assert [gate.hear(spoken) for gate in gates] == [False] * 3
    assert not any(gate.lets_through for gate in gates)
