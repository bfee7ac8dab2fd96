"""The script of a take: who speaks when, turn by turn, with pauses, interruptions and idle time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.train.data.augment import whisper
from engine.train.data.sentences import HELD_SENTENCES
from engine.train.data.speech import (
    Phone,
    Utterance,
    Voice,
    draw_line,
    draw_voice,
    natural_voice,
    speak,
    warp,
)
from engine.types import SAMPLE_RATE_HZ, AvatarState

Float = npt.NDArray[np.float32]

_STATE_SHARES = (0.62, 0.2, 0.18)
_LONGEST_S = 600.0
_BATCH = 4
"""Sentences said per call of a voice program."""
_WHISPERED = 0.04
"""Share of the sentences that are whispered; never held-out ones."""


@dataclass
class Script:
    """A take before it is performed and recorded.

    Attributes:
        own: float32 [T], the avatar's clean voice, 16 kHz.
        other: float32 [T], the other party's clean voice.
        bystander: float32 [m], a further voice: one sentence for babble or beside the two.
        phones: the avatar's phones on the take's clock.
        phrases: start and end in seconds of each phrase the avatar says.
        other_phrases: the same of the other party.
        segments: start_s, end_s and state; they follow each other without gaps.
        warped: the avatar's voice is not the program's own.
    """

    own: Float
    other: Float
    bystander: Float
    warped: bool
    phones: list[Phone] = field(default_factory=list)
    phrases: list[tuple[float, float]] = field(default_factory=list)
    other_phrases: list[tuple[float, float]] = field(default_factory=list)
    segments: list[tuple[float, float, AvatarState]] = field(default_factory=list)

    def states(self, frame_count: int, fps: int) -> npt.NDArray[np.int64]:
        """State label of every frame, int64 [frame_count]; frame k is at k / fps."""
        ends = np.array([end for _, end, _ in self.segments[:-1]])
        labels = np.array([state for _, _, state in self.segments], np.int64)
        return labels[np.searchsorted(ends, np.arange(frame_count) / fps, side="right")]


class _Speaker:
    """Says one sentence after the other, synthesizing a few at a time."""

    def __init__(self, voice: Voice, rng: np.random.Generator, held_out: bool) -> None:
        self.voice, self.rng, self.held_out = voice, rng, held_out
        self.ready: list[Utterance] = []

    def next(self) -> Utterance:
        if not self.ready:
            held = [HELD_SENTENCES[i] for i in self.rng.permutation(len(HELD_SENTENCES))]
            language = self.voice.language
            sentences = held if self.held_out else [draw_line(language, self.rng) for _ in range(_BATCH)]
            self.ready = speak(sentences, self.voice)
        utterance = self.ready.pop(0)
        gain = np.float32(10.0 ** (self.rng.uniform(-4.0, 4.0) / 20.0))
        samples = utterance.samples
        if not self.held_out and self.rng.random() < _WHISPERED:
            samples = whisper(samples, self.rng)
        return Utterance(samples * gain, utterance.phones)


class _Writer:
    """Lays voices and states on the clock."""

    def __init__(self, rng: np.random.Generator, own: _Speaker, other: _Speaker) -> None:
        self.rng, self.own_speaker, self.other_speaker = rng, own, other
        self.clock = 0  # samples
        self.own: list[tuple[int, Float]] = []
        self.other: list[tuple[int, Float]] = []
        self.script = Script(np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros(0, np.float32), False)

    def wait(self, length_s: float) -> None:
        self.clock += int(length_s * SAMPLE_RATE_HZ)

    def say(self, speaker: _Speaker, limit_s: float) -> float:
        """Lays the next sentence down, cut off at the limit; returns its length in seconds."""
        utterance = speaker.next()
        samples, phones = _trim(utterance, self.rng)
        limit = int(limit_s * SAMPLE_RATE_HZ)
        if len(samples) > limit:
            fade = np.ones(limit, np.float32)
            fade[-320:] = np.linspace(1.0, 0.0, 320)
            samples = samples[:limit] * fade
            phones = [
                Phone(p.name, p.start_s, min(p.end_s, limit_s)) for p in phones if p.start_s < limit_s - 0.02
            ]
        start_s = self.clock / SAMPLE_RATE_HZ
        mine = speaker is self.own_speaker
        placed = [Phone(p.name, p.start_s + start_s, p.end_s + start_s) for p in phones]
        (self.own if mine else self.other).append((self.clock, samples))
        (self.script.phrases if mine else self.script.other_phrases).extend(_phrases(placed))
        if mine:
            self.script.phones += placed
        self.clock += len(samples)
        return len(samples) / SAMPLE_RATE_HZ

    def segment(self, state: AvatarState, rapid: bool) -> None:
        """Acts one state out; a rapid one is short and cut off."""
        rng, start = self.rng, self.clock
        left_s = float(rng.uniform(0.4, 1.6)) if rapid else _LONGEST_S
        if state == AvatarState.IDLE:
            self.wait(min(left_s, rng.uniform(0.8, 4.5)))
        elif state == AvatarState.LISTENING:
            self.wait(min(left_s, rng.uniform(0.0, 0.8)))
            for _ in range(1 + int(rng.random() < 0.35)):
                if left_s > 0.3:
                    left_s -= self.say(self.other_speaker, left_s)
                    self.wait(0.0 if rapid else rng.uniform(0.1, 0.9))
        else:
            self.wait(min(left_s, rng.uniform(0.0, 0.12)))
            for _ in range(int(rng.integers(2, 5))):
                if left_s > 0.3:
                    left_s -= self.say(self.own_speaker, left_s)
                    pause_s = rng.uniform(0.8, 2.0) if rng.random() < 0.12 else rng.uniform(0.05, 0.7)
                    self.wait(0.0 if rapid else pause_s)
        self.script.segments.append((start / SAMPLE_RATE_HZ, self.clock / SAMPLE_RATE_HZ, state))


def _trim(utterance: Utterance, rng: np.random.Generator) -> tuple[Float, list[Phone]]:
    """Cuts the outer silences to a random short length."""
    spoken = [p for p in utterance.phones if p.name != "pau"] or utterance.phones
    total_s = len(utterance.samples) / SAMPLE_RATE_HZ
    start_s = max(0.0, spoken[0].start_s - rng.uniform(0.02, 0.2))
    end_s = min(total_s, spoken[-1].end_s + rng.uniform(0.03, 0.25))
    kept = utterance.samples[int(start_s * SAMPLE_RATE_HZ) : int(end_s * SAMPLE_RATE_HZ)]
    moved = [
        Phone(p.name, max(p.start_s - start_s, 0.0), min(p.end_s, end_s) - start_s)
        for p in utterance.phones
        if p.end_s > start_s and p.start_s < end_s
    ]
    return kept, moved


def _phrases(phones: list[Phone]) -> list[tuple[float, float]]:
    """Stretches of speech between silences of at least 150 ms."""
    spans: list[tuple[float, float]] = []
    for phone in phones:
        if phone.name == "pau":
            continue
        if spans and phone.start_s - spans[-1][1] < 0.15:
            spans[-1] = (spans[-1][0], phone.end_s)
        else:
            spans.append((phone.start_s, phone.end_s))
    return spans


def _mix(pieces: list[tuple[int, Float]], count: int) -> Float:
    track = np.zeros(count, np.float32)
    for start, samples in pieces:
        track[start : start + len(samples)] += samples
    return track


def write_script(rng: np.random.Generator, held_index: int | None = None) -> Script:
    """Writes and voices a take of about 15 to 40 s.

    Args:
        rng: source of every choice.
        held_index: None, or the number of a held-out take: held-out sentences, the voice of that number,
            warped in every sixth take.

    Raises:
        EngineError: a voice program is missing.
    """
    held = held_index is not None
    if held_index is not None:
        warped = held_index % 6 == 5
        own = warp(natural_voice(held_index), rng) if warped else natural_voice(held_index)
        other = natural_voice(held_index + 3)
    else:
        warped, own, other = True, draw_voice(rng), draw_voice(rng)
    writer = _Writer(rng, _Speaker(own, rng, held), _Speaker(other, rng, held))
    length_s = rng.uniform(14.0, 33.0)
    shares = rng.dirichlet(14.0 * np.array(_STATE_SHARES))
    spent = np.full(3, 0.5)
    state = AvatarState(int(rng.choice(3, p=[0.2, 0.3, 0.5])))
    writer.wait(0.0)
    while writer.clock < length_s * SAMPLE_RATE_HZ:
        before = writer.clock
        first = not writer.script.segments
        writer.segment(state, rapid=not first and rng.random() < 0.2)
        spent[state] += (writer.clock - before) / SAMPLE_RATE_HZ
        wanted = np.maximum(shares - spent / spent.sum(), 0.01)
        wanted[state] = 0.0
        state = AvatarState(int(rng.choice(3, p=wanted / wanted.sum())))
    writer.segment(AvatarState.IDLE, rapid=state == AvatarState.IDLE)
    script, count = writer.script, writer.clock
    script.own, script.other, script.warped = _mix(writer.own, count), _mix(writer.other, count), warped
    bystander = writer.other_speaker if held else _Speaker(draw_voice(rng), rng, held)
    script.bystander = bystander.next().samples
    return script
