from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import EngineError
from engine.train.data import coarticulation, espeak, speech
from engine.train.data.coarticulation import PHONES, mouth_tracks
from engine.train.data.recorded import RECORDED, RecordedVoice
from engine.train.data.sentences import draw_sentence
from engine.train.data.speech import Phone, Voice, draw_line, draw_voice, speak, warp
from engine.train.data.words import WORDS, draw_words
from tests.train.installed import festival_answers, require_voices

SAMPLE_RATE_HZ = 16_000
Float = npt.NDArray[np.float32]


def levels_db(samples: Float, phone: Phone) -> npt.NDArray[np.float64]:
    """Levels above 100 Hz of every 10 ms of a phone, each 2.5 ms on."""
    cut = samples[int(phone.start_s * SAMPLE_RATE_HZ) : int(phone.end_s * SAMPLE_RATE_HZ)]
    pieces = np.lib.stride_tricks.sliding_window_view(cut.astype(np.float64), 160)[::40] * np.hanning(160)
    power: npt.NDArray[np.float64] = (np.abs(np.fft.rfft(pieces))[:, 1:] ** 2).sum(axis=1)
    return 10.0 * np.log10(power + 1e-6)


@pytest.mark.parametrize("name", list(RECORDED))
def test_every_phone_of_a_recorded_voice_has_a_name_the_lips_know(name: str) -> None:
    voice = RECORDED[name]
    require_voices(voice.function)
    listed = festival_answers(
        f'(begin (voice_{voice.function}) (mapcar (lambda (p) (format t "%s\\n" (car p)))'
        " (cadr (assoc 'phones (PhoneSet.description)))))"
    ).split()
    assert len(listed) > 30
    assert {voice.name(phone) for phone in listed} <= set(PHONES)


@pytest.mark.parametrize("name", list(RECORDED))
def test_a_recorded_voice_closes_its_lips_when_its_phones_say_so(name: str) -> None:
    require_voices(RECORDED[name].function)
    rng = np.random.default_rng(0)
    language = RECORDED[name].language
    drops_db = []
    for one in speak([draw_words(language, rng) for _ in range(6)], Voice("festival", name)):
        assert {p.name for p in one.phones} <= set(PHONES)
        assert abs(one.phones[-1].end_s - len(one.samples) / SAMPLE_RATE_HZ) < 0.05
        for before, phone, after in zip(one.phones, one.phones[1:], one.phones[2:], strict=False):
            if phone.name == "p" and {before.name, after.name} <= coarticulation.VOWELS:
                vowels_db = [float(np.median(levels_db(one.samples, v))) for v in (before, after)]
                drops_db.append(min(vowels_db) - levels_db(one.samples, phone).min())
    assert len(drops_db) >= 2
    assert np.median(drops_db) > 20.0


@pytest.mark.parametrize("name", ["lp", "dita", "lj", "nsk"])
def test_pitch_and_rate_of_a_recorded_voice_follow(name: str) -> None:
    require_voices(RECORDED[name].function)
    line = [" ".join(WORDS[RECORDED[name].language][:7]) + "."]
    [own], [changed] = (speak(line, Voice("festival", name, rate=r)) for r in (1.0, 1.25))
    assert [p.name for p in own.phones] == [p.name for p in changed.phones]
    assert len(changed.samples) / len(own.samples) == pytest.approx(0.8, abs=0.01)
    [high] = speak(line, Voice("festival", name, pitch=1.25))
    assert pitch_hz(high.samples) / pitch_hz(own.samples) == pytest.approx(1.25, abs=0.08)
    assert pitch_hz(own.samples) == pytest.approx(RECORDED[name].f0_hz, rel=0.12)


def pitch_hz(samples: Float) -> float:
    """Median over voiced windows of 40 ms, by autocorrelation."""
    found = []
    for start in range(0, len(samples) - 640, 160):
        piece = samples[start : start + 640].astype(np.float64)
        if np.sqrt((piece**2).mean()) > 0.03:
            match = np.correlate(piece, piece, "full")[639:]
            lag = 40 + int(np.argmax(match[40:267]))
            if match[lag] > 0.6 * match[0]:
                found.append(SAMPLE_RATE_HZ / lag)
    return float(np.median(found))


@pytest.mark.program("festival")
def test_a_voice_that_is_not_installed_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = RecordedVoice("nobody_diphone", "festvox-nobody", "it", "utf-8", 100.0, {})
    monkeypatch.setitem(RECORDED, "nobody", nobody)
    with pytest.raises(EngineError, match=r"apt install festvox-nobody") as error:
        speak(["Ciao."], Voice("festival", "nobody"))
    assert "\n" not in str(error.value)


def test_a_phone_outside_a_voice_s_phone_set_is_refused() -> None:
    with pytest.raises(EngineError, match="unknown phone 'q'"):
        RECORDED["lp"].name("q")


@pytest.mark.parametrize("language", list(WORDS))
def test_sentences_are_words_of_their_language_and_differ(language: str) -> None:
    rng = np.random.default_rng(0)
    assert len(set(WORDS[language])) >= 100
    drawn = [draw_words(language, rng) for _ in range(200)]
    assert len(set(drawn)) == 200
    known = {word.lower() for word in WORDS[language]}
    for line in drawn:
        words = [word.strip(",.?!").lower() for word in line.split()]
        assert 4 <= len(words) <= 9 and set(words) <= known


@pytest.mark.parametrize("name", list(RECORDED))
def test_words_are_in_the_encoding_that_their_voice_reads(name: str) -> None:
    voice = RECORDED[name]
    for word in WORDS[voice.language]:
        assert word.encode(voice.encoding).decode(voice.encoding) == word


@pytest.mark.program("espeak-ng")
@pytest.mark.parametrize("language", list(espeak.OTHER_VOICES))
def test_espeak_says_every_word_of_a_language_with_phones_that_the_lips_know(language: str) -> None:
    heard = Counter[str]()
    for word in WORDS[language]:
        _, _, phones = espeak.synthesize(word, espeak.OTHER_VOICES[language], 170, 50)
        heard.update(name for name, _, _ in phones)
    assert set(heard) <= set(PHONES)
    assert heard["m"] > 10 and heard["t"] + heard["k"] > 10
    rounded = {"de": {"ue", "oe"}, "fr": {"ue", "oe"}, "es": {"beta"}, "ja": {"beta"}, "cmn": {"ue"}}
    assert rounded.get(language, set()) <= set(heard)


@pytest.mark.program("espeak-ng")
def test_espeak_says_english_with_phones_that_the_lips_know() -> None:
    rng = np.random.default_rng(0)
    for voice in espeak.VOICES:
        for _ in range(25):
            _, _, phones = espeak.synthesize(draw_sentence(rng), voice, 170, 50)
            assert {name for name, _, _ in phones} <= set(PHONES)


@pytest.mark.program("espeak-ng")
def test_an_unknown_phone_of_espeak_is_refused() -> None:
    with pytest.raises(EngineError, match="unknown phone"):  # Arabic: a pharyngeal
        espeak.synthesize("عين", "ar", 170, 50)


def test_voices_are_drawn_by_their_shares_and_speak_their_language() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_voice(rng) for _ in range(4000)]
    count = Counter((voice.program, voice.name) for voice in drawn)
    assert sum(share for share, _ in speech.SHARES) == pytest.approx(1.0)
    for share, group in speech.SHARES:
        assert sum(count[member] for member in group) / 4000 == pytest.approx(share, abs=0.03)
    assert {voice.language for voice in drawn} == {"en", *WORDS}
    for voice in drawn[:200]:
        words = {word.lower() for word in WORDS.get(voice.language, ())}
        first = draw_line(voice.language, rng).split()[0].strip(",.?!").lower()
        assert voice.language == "en" or first in words


def test_a_warped_recorded_voice_keeps_a_human_pitch() -> None:
    rng = np.random.default_rng(0)
    for name, voice in RECORDED.items():
        pitches = [warp(Voice("festival", name), rng).pitch * voice.f0_hz for _ in range(50)]
        assert min(pitches) >= 64.9 and max(pitches) <= 400.1


def test_front_rounded_vowels_are_rounded_and_approximants_stay_open() -> None:
    def at_middle(name: str) -> dict[str, float]:
        phones = [Phone("aa", 0.5, 0.7), Phone(name, 0.7, 0.9), Phone("aa", 0.9, 1.1)]
        tracks = mouth_tracks(phones, 40, 25, np.zeros(0))
        return {control: float(track[20]) for control, track in tracks.items()}

    for name in ("ue", "oe"):
        assert at_middle(name)["mouthPucker"] > 0.4 and at_middle(name)["mouthClose"] == 0.0
    assert at_middle("b")["mouthClose"] == 1.0
    assert at_middle("beta")["mouthClose"] == 0.0 and at_middle("beta")["mouthRollLower"] == 0.0
    assert at_middle("beta")["jawOpen"] < 0.6 * at_middle("aa")["jawOpen"]
    assert at_middle("rr")["mouthPucker"] < at_middle("r")["mouthPucker"]
