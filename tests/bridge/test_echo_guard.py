from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from bridge.inputs.echo_guard import LIKENESS, RELEASE_MS, EchoGuard, likeness
from bridge.inputs.talk_gate import TalkGate
from tests.bridge.test_vad import speech

Float = npt.NDArray[np.float32]
BLOCK = 320


def silence(duration_ms: int) -> Float:
    return np.zeros(duration_ms * 16, np.float32)


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


def shut(guard: EchoGuard, heard: Float, played: Float, utterance_id: str) -> list[bool]:
    """Whether the guard is shut after each block of 20 ms."""
    told = []
    for at in range(0, len(heard) - BLOCK, BLOCK):
        guard.play(played[at : at + BLOCK], utterance_id)
        told.append(guard.hear(heard[at : at + BLOCK]))
    return told


@pytest.mark.parametrize("delay_ms", [20, 150, 900])
def test_its_own_voice_from_a_loudspeaker_shuts_it(delay_ms: int) -> None:
    guard = EchoGuard("echo", lambda _: True)
    played = voice()
    told = shut(guard, in_a_room(played, delay_ms), played, "microphone-1")
    assert np.mean(told[(delay_ms + 600) // 20 :]) > 0.95
    guard.hear(silence(1_000))
    assert not guard.hear(silence(RELEASE_MS))


def test_another_voice_does_not() -> None:
    """The same voice, but another sentence than the one just spoken, is the hardest case."""
    spoken = voice()
    half = len(spoken) // 2
    guard = EchoGuard("echo", lambda _: True)
    assert not any(shut(guard, spoken[half:], spoken[:half], "say"))
    rest = spoken[half : half + 9_600]
    assert likeness(rest, spoken[:half][-40_000:]) < LIKENESS < likeness(rest, spoken[-half:][:40_000])
    assert likeness(np.zeros(9_600, np.float32), spoken[:40_000]) == 0.0
    assert likeness(rest, np.zeros(40_000, np.float32)) == 0.0


def test_half_duplex_is_deaf_while_others_speak_through_the_avatar() -> None:
    guard = EchoGuard("half_duplex", lambda name: name.startswith("microphone-"))
    quiet, loud = np.zeros(BLOCK, np.float32), np.full(BLOCK, 0.1, np.float32)
    guard.play(loud, "microphone-1")
    assert not guard.hear(loud)
    guard.play(loud, "greeting")
    assert guard.hear(quiet)
    assert guard.hear(silence(RELEASE_MS - 100))
    assert not guard.hear(silence(200))
    guard.play(quiet, "greeting")  # silent
    guard.play(loud, "")  # no speech
    assert not guard.hear(quiet)


def test_off_is_always_open_and_unknown_words_are_refused() -> None:
    guard = EchoGuard("off", lambda _: False)
    guard.play(voice()[:40_000], "greeting")
    assert not guard.hear(voice()[:40_000])
    with pytest.raises(ValueError, match="'duck'; there are off"):
        EchoGuard("duck", lambda _: True)
    with pytest.raises(ValueError, match="'loud'; there are vad"):
        TalkGate("loud", 400.0, guard)


def test_a_shut_guard_shuts_the_gate_in_every_mode() -> None:
    guard = EchoGuard("half_duplex", lambda _: False)
    gates = [TalkGate(mode, 400.0, guard) for mode in ("vad", "open", "push_to_talk")]
    for gate in gates:
        gate.talking = True
    spoken = voice()[: 2 * 16_000]
    assert [gate.hear(spoken) for gate in gates] == [True] * 3
    guard.play(spoken, "greeting")
    assert [gate.hear(spoken[:BLOCK]) for gate in gates] == [False] * 3
    assert not any(gate.lets_through for gate in gates)


def test_a_loudspeaker_that_was_heard_is_known_for_a_while() -> None:
    guard = EchoGuard("echo", lambda name: name.startswith("microphone-"))
    played = voice()[: 2 * 16_000]
    assert any(shut(guard, in_a_room(played, 50), played, "say"))
    quiet, loud = np.zeros(BLOCK, np.float32), np.full(BLOCK, 0.1, np.float32)
    guard.hear(silence(5_000))
    assert not guard.hear(quiet)
    guard.play(loud, "microphone-2")  # the user's own voice must not shut it
    assert not guard.hear(quiet)
    guard.play(loud, "say")
    assert guard.hear(quiet)
    guard.hear(silence(60_000))
    guard.play(loud, "say")
    assert not guard.hear(quiet)


def test_a_voice_that_begins_is_compared_before_it_is_let_through() -> None:
    """The first 100 ms of the avatar's voice are not spoken either; another voice is not held up."""
    played = voice()
    for own in (True, False):
        guard = EchoGuard("echo", lambda _: True)
        gate = TalkGate("vad", 400.0, guard)
        let_through = []
        heard = in_a_room(played, 40) if own else np.roll(played, len(played) // 2)
        for at in range(0, len(played) - BLOCK, BLOCK):
            guard.play(played[at : at + BLOCK], "say")
            let_through.append(gate.hear(heard[at : at + BLOCK]))
        assert any(let_through) is not own
