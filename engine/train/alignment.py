"""Stage `align`: when each phone of the people's recordings is said, by the audio encoder's own phones.

Forced alignment: what is said is known from the text, when is the likeliest way through it (Viterbi).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from engine.features import HOP_SAMPLES, MEL_BINS, SILENCE, WINDOW_FRAMES, mel_timeline
from engine.train.data import espeak, people
from engine.train.data.coarticulation import PHONES
from engine.train.models.audio_encoder import AudioEncoder, PhoneHead
from engine.train.models.config import ModelConfig
from engine.train.trainer import load_averaged
from engine.types import SAMPLE_RATE_HZ

Float = npt.NDArray[np.float32]
PAUSE = PHONES.index("pau")
TOKEN = 5
"""Which token of a window tells the phone: one with sound before and after it."""
PAUSE_COST = 15.0
"""Of a pause that the text does not ask for."""
SHORTEST = 3
"""Hundredths of a second that a phone lasts at least."""
PRIOR = 0.6
"""How much of a phone's share of all speech is taken off its chance: the network prefers the frequent."""
LEAST = -2.2
"""Mean chance (log) of the phones of a recording below which its text is not trusted."""


@torch.no_grad()
def phone_scores(encoder: AudioEncoder, teller: PhoneHead, samples: Float) -> Float:
    """Log-chances of the phones at every hundredth of a second: float32 [n, phones]."""
    mel = mel_timeline(samples)
    before = TOKEN * (WINDOW_FRAMES // 10)
    silence = np.full((WINDOW_FRAMES, MEL_BINS), SILENCE, np.float32)
    padded = torch.from_numpy(np.concatenate([silence[:before], mel, silence]))
    windows = padded.unfold(0, WINDOW_FRAMES, 1)[: len(mel)].transpose(1, 2)
    told = [teller(encoder(part)[:, TOKEN : TOKEN + 1])[:, 0] for part in windows.split(1024)]
    return torch.log_softmax(torch.cat(told), dim=1).numpy()


def align(scores: Float, phones: list[int]) -> tuple[list[tuple[int, int]], float]:
    """The likeliest times of phones in a recording, with pauses where some are.

    Args:
        scores: [n, phones], see `phone_scores`; less the phones' shares.
        phones: numbers in `PHONES` of what is said, no pause among them.

    Returns:
        Phones and pauses with the row after their last, and the mean score of the phones' rows.
    """
    # Between two phones is a pause, of any length or none; a phone is SHORTEST states in a row.
    states = [PAUSE]
    for phone in phones:
        states += [phone] * SHORTEST + [PAUSE]
    count, emitted = len(states), scores[:, states]
    place = np.arange(count) % (SHORTEST + 1)
    pause, first, last = place == 0, place == 1, place == SHORTEST
    stays, skips = pause | last, first & (np.arange(count) >= 2)
    best = np.full(count, -np.inf)
    best[:2] = emitted[0, :2]
    came = np.zeros(emitted.shape, np.int8)
    for row in range(1, len(emitted)):
        ways = np.full((3, count), -np.inf)
        ways[0, stays] = best[stays]
        ways[1, 1:] = best[:-1] - PAUSE_COST * pause[1:]
        ways[2, skips] = best[np.flatnonzero(skips) - 2]
        came[row] = ways.argmax(axis=0)
        best = ways.max(axis=0) + emitted[row]
    at = count - 1 if best[-1] >= best[-2] else count - 2
    path = np.zeros(len(emitted), np.int64)
    for row in range(len(emitted) - 1, -1, -1):
        path[row] = at
        at -= int(came[row, at])
    units = (path + SHORTEST) // (SHORTEST + 1) * 2 - pause[path]
    ends = np.append(np.flatnonzero(np.diff(units)) + 1, len(units))
    said = emitted[np.arange(len(path)), path][~pause[path]]
    return [(states[path[end - 1]], int(end)) for end in ends], float(said.mean())


def align_people(runs: Path, config: ModelConfig) -> None:
    """Runs the stage on everyone who has no file in `people.ALIGNMENTS` yet, and writes them.

    Raises:
        EngineError: recordings are not installed.
    """
    encoder, teller = AudioEncoder(config), PhoneHead(config)
    load_averaged(runs / "audio", {"audio_encoder": encoder, "phones": teller})
    people.ALIGNMENTS.mkdir(exist_ok=True)
    for name, person in people.PEOPLE.items():
        if (people.ALIGNMENTS / f"{name}.txt").exists():
            continue
        scores = {
            recording: phone_scores(encoder, teller, people.recorded(name, recording))
            for recording in tqdm(people.texts(name), desc=name, mininterval=10.0)
        }
        shares = np.exp(np.concatenate(list(scores.values()))).mean(axis=0)
        lines = []
        for recording, rows in scores.items():
            said = espeak.synthesize(people.texts(name)[recording], person.voice, 170, 50)[2]
            phones = [PHONES.index(phone) for phone, _, _ in said if phone != "pau"]
            if not phones or len(rows) < (SHORTEST + 1) * len(phones):
                continue
            times, score = align(rows - PRIOR * np.log(shares + 1e-4), phones)
            mean = score + PRIOR * np.log(shares + 1e-4)[phones].mean()
            if mean > LEAST:
                lines.append(" ".join([recording, *(f"{PHONES[phone]}:{end}" for phone, end in times)]))
        (people.ALIGNMENTS / f"{name}.txt").write_text("\n".join(lines) + "\n")
        print(f"{name}: {len(lines)} of {len(scores)} recordings aligned")


assert SAMPLE_RATE_HZ // HOP_SAMPLES == 100
