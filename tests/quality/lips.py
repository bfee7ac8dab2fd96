"""`python -m tests.quality.lips FOLDER`: the lip-sync score of the shipped pack.

FOLDER holds recordings NAME.wav (16-bit) and their phones NAME.phones.json, {"phones": [{"phone", "start",
"end"}]} in seconds. Without it voice programs say the held-out sentences; `--language` has espeak-ng say
fixed sentences of another language in three of its voices instead. `--hard` adds loudness, sample
rates, noise, a room, a codec and a second voice. The aperture is that of the controls; `--pixels` measures
it in the pictures.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.audio import resample
from engine.pipeline import Engine
from engine.train.data import augment
from engine.types import SAMPLE_RATE_HZ
from tests.quality.lipsync import Phone, Score
from tests.quality.performing import aperture, perform
from tests.reliability.report import tell

Float = npt.NDArray[np.float32]
Change = Callable[[Float, np.random.Generator], Float]
SILENT = frozenset({"SIL", "PAU", "SP", "+SPN+", "NSN", "<SIL>", ""})
TAIL_S = 0.5
SENTENCES = {
    "de": (
        "Meine Mutter kauft am Montag immer frische Brötchen beim Bäcker.",
        "Bitte gib mir bald die Butter und ein paar Pfannkuchen.",
        "Im Sommer baden viele müde Menschen im Fluss.",
        "Der kleine Bruder malt ein blaues Boot mit bunten Punkten.",
        "Warum bleibt die Tür zum Bad heute offen?",
    ),
    "fr": (
        "Maman prépare une bonne soupe pour mon petit frère.",
        "Le facteur apporte beaucoup de belles lettres et un paquet.",
        "Demain, nous partons en bateau vers la plage.",
        "Papa boit un peu de vin blanc avec son ami.",
        "Pourquoi la porte du jardin est-elle fermée?",
    ),
    "es": (
        "Mi madre compra pan, manteca y fruta para mi abuela.",
        "El perro pequeño bebe agua en el campo.",
        "También tomamos un poco de vino blanco y queso.",
        "Mañana empieza el verano y vamos a la playa.",
        "¿Por qué está abierta la puerta del baño?",
    ),
    "ja": (
        "あまい パン と バター を まいにち たべます。",
        "ともだち が みどり の ぼうし を もらいました。",
        "ふゆ の あさ は さむい です。",
        "ぶた と さる が にわ で あそぶ。",
        "でんわばんごう を おしえて ください。",
    ),
    "cmn": (
        "wo3 ma1ma5 mai3 mian4bao1 he2 pu2tao2.",
        "peng2you3 ming2tian1 zuo4 fei1ji1 dao4 bei3jing1.",
        "ba4ba5 he1 pi2jiu3, mei4mei5 he1 niu2nai3.",
        "mao1 he2 gou3 zai4 men2 pang2bian1 pao3bu4.",
        "ni3 wei4shen2me5 bu4 mang2?",
    ),
}


def read_folder(folder: Path) -> Iterator[tuple[Float, list[Phone]]]:
    """Recordings at 16 kHz with the phones that are no silence."""
    for path in sorted(folder.glob("*.wav")):
        with wave.open(str(path)) as sound:
            data = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.float32) / 32768.0
            samples = resample(data.reshape(-1, sound.getnchannels()).mean(axis=1), sound.getframerate())
        told = json.loads(path.with_suffix(".phones.json").read_text())["phones"]
        yield samples, spoken((p["phone"], p["start"], p["end"]) for p in told)


def spoken(phones: Iterator[tuple[str, float, float]]) -> list[Phone]:
    """The phones that are no silence, in the score's spelling."""
    named = [(re.sub(r"\d", "", name).upper(), start_s, end_s) for name, start_s, end_s in phones]
    return [Phone(*phone) for phone in named if phone[0] not in SILENT]


def said(voices: int) -> Iterator[tuple[Float, list[Phone]]]:
    """The held-out sentences in the voice programs' own voices."""
    from engine.train.data.sentences import HELD_SENTENCES
    from engine.train.data.speech import natural_voice, speak

    for index in range(voices):
        for utterance in speak(HELD_SENTENCES[:4], natural_voice(index)):
            yield utterance.samples, spoken((p.name, p.start_s, p.end_s) for p in utterance.phones)


def said_in(language: str) -> Iterator[tuple[Float, list[Phone]]]:
    """The fixed sentences of a language by espeak-ng: its own voice, a woman's and a deeper man's."""
    from engine.train.data.espeak import OTHER_VOICES
    from engine.train.data.speech import Voice, speak

    for variant in ("", "+f2", "+m3"):
        for utterance in speak(SENTENCES[language], Voice("espeak", OTHER_VOICES[language] + variant)):
            yield utterance.samples, spoken((p.name, p.start_s, p.end_s) for p in utterance.phones)


def level(dbfs: float) -> Change:
    """The loud parts at this level; beyond full scale it is clipped."""

    def change(x: Float, rng: np.random.Generator) -> Float:
        scaled: Float = (x * (10.0 ** (dbfs / 20.0) / augment.rms(x))).clip(-1.0, 1.0)
        return scaled

    return change


def rate(hz: int) -> Change:
    """Recorded at another rate."""

    def change(x: Float, rng: np.random.Generator) -> Float:
        count = round(len(x) * hz / SAMPLE_RATE_HZ)
        spectrum = np.zeros(count // 2 + 1, np.complex128)
        kept = np.fft.rfft(x)[: len(spectrum)]
        spectrum[: len(kept)] = kept
        return resample((np.fft.irfft(spectrum, count) * count / len(x)).astype(np.float32), hz)

    return change


def noise(kind: str, below_db: float) -> Change:
    """Something beside the voice, so much below it."""

    def change(x: Float, rng: np.random.Generator) -> Float:
        count = len(x)
        match kind:
            case "pink":
                other = augment.coloured_noise(count, rng, 1.0)
            case "music":
                other = augment.music(count, rng)
            case "keyboard":
                other = augment.keyboard(count, rng)
            case _:
                other = x[::-1] / augment.rms(x)
        mixed: Float = x + other * np.float32(augment.rms(x) * 10.0 ** (-below_db / 20.0))
        return mixed

    return change


HARD: dict[str, Change] = {
    "-40 dBFS": level(-40.0),
    "-30 dBFS": level(-30.0),
    "-10 dBFS": level(-10.0),
    "0 dBFS, clipped": level(0.0),
    "8 kHz": rate(8000),
    "11.025 kHz": rate(11025),
    "44.1 kHz": rate(44100),
    "48 kHz": rate(48000),
    "pink noise, 20 dB": noise("pink", 20.0),
    "pink noise, 10 dB": noise("pink", 10.0),
    "music, 15 dB": noise("music", 15.0),
    "keyboard, 10 dB": noise("keyboard", 10.0),
    "second voice (reversed), 15 dB": noise("voice", 15.0),
    "room": augment.add_room,
    "telephone": lambda x, rng: augment.requantize(augment.limit_band(x, rng), rng),
}


def measure(
    engine: Engine, recordings: list[tuple[Float, list[Phone]]], change: Change | None, pixels: bool
) -> Score:
    """The score of all recordings together."""
    score, rng = Score(), np.random.default_rng(0)
    for samples, phones in recordings:
        heard = samples if change is None else change(samples, rng)
        heard = np.concatenate([heard, np.zeros(round(TAIL_S * SAMPLE_RATE_HZ), np.float32)])
        with engine.avatar(size_px=256, seed=1, lead_ms=None) as avatar:
            read = avatar.reader.aperture
        frames = perform(engine, heard, watched=pixels)
        score.add(phones, [read(f.rgba) if pixels else float(aperture(f.controls)) for f in frames], 25)
    return score


def main() -> int:
    """Prints a line for each condition."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.lips", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="recordings and phones")
    parser.add_argument("--pack", default="nano")
    parser.add_argument("--hard", action="store_true", help="the hard conditions, too")
    parser.add_argument("--pixels", action="store_true", help="read the aperture off the pictures")
    parser.add_argument("--voices", type=int, default=4, help="of the voice programs, without FOLDER (4)")
    parser.add_argument("--language", choices=SENTENCES, help="said by espeak-ng, without FOLDER")
    args = parser.parse_args()
    if args.folder is not None:
        recordings = list(read_folder(args.folder))
    else:
        recordings = list(said_in(args.language) if args.language else said(args.voices))
    if not recordings:
        parser.error(f"{args.folder} holds no recordings")
    result = {}
    with Engine(args.pack) as engine:
        for name, change in {"as recorded": None, **(HARD if args.hard else {})}.items():
            result[name] = measure(engine, recordings, change, args.pixels).row()
    return tell(result, [])


if __name__ == "__main__":
    sys.exit(main())
