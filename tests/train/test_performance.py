from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import EngineError
from engine.features import mel_timeline, mel_windows
from engine.train.data import augment, corpus, speech
from engine.train.data.coarticulation import mouth_tracks
from engine.train.data.gestures import blink_track, nod, nods_after, slow_noise
from engine.train.data.performance import FPS, Take, make_take
from engine.train.data.sentences import FIXED, HELD_SENTENCES, draw_sentence
from engine.train.data.speech import Phone, natural_voice, speak
from engine.types import CONTROL_NAMES, AvatarState
from tests.train.installed import require_voices

voices = pytest.mark.program("flite", "festival", "espeak-ng")
SAMPLE_RATE_HZ = 16_000
OPENNESS = {
    **dict.fromkeys(["aa", "ae", "ao", "aw", "ay"], 3),
    **dict.fromkeys(["eh", "ah", "ax", "er", "ey", "ow", "oy"], 2),
    **dict.fromkeys(["iy", "ih", "uw", "uh"], 1),
}


@pytest.fixture(scope="module")
def takes() -> list[Take]:
    require_voices()
    return [make_take(seed) for seed in range(3)]


def control(take: Take, name: str) -> npt.NDArray[np.float32]:
    return take.controls[:, CONTROL_NAMES.index(name)]


def rank(values: list[float]) -> npt.NDArray[np.float64]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2.0)[place]


def lip_sync(
    phones: list[Phone], aperture: npt.NDArray[np.float32]
) -> tuple[list[bool], list[bool], list[tuple[int, float]]]:
    """Closures met, whether each closed run is false, and (class, aperture) of each vowel; a frame holds."""
    t = np.arange(int(len(aperture) / FPS * 100)) / 100.0
    a = aperture[np.floor(t * FPS + 1e-6).astype(int)]
    spoken = [p for p in phones if p.name != "pau"]
    met = [a[(t >= p.start_s - 0.04) & (t <= p.end_s + 0.04)].min() < 0.15 for p in spoken if p.name in "pbm"]
    vowels = []
    for p in spoken:
        quarter_s = (p.end_s - p.start_s) / 4
        middle = (t >= p.start_s + quarter_s) & (t <= p.end_s - quarter_s)
        if p.name in OPENNESS and middle.any():
            vowels.append((OPENNESS[p.name], float(a[middle].mean())))
    speaking = np.zeros(len(t), bool)
    for p in spoken:
        speaking |= (t >= p.start_s - 0.1) & (t <= p.end_s + 0.1)
    edges = np.flatnonzero(np.diff(np.r_[False, a < 0.15, False].astype(int)))
    false = []
    for i, j in edges.reshape(-1, 2):
        if j - 1 - i >= 4 and speaking[i:j].all():
            near = [p for p in spoken if p.start_s - 0.04 <= t[j - 1] and p.end_s + 0.04 >= t[i]]
            false.append(not any(p.name in "pbmfv" for p in near))
    return met, false, vowels


@voices
def test_true_tracks_score_well_on_held_sentences() -> None:
    met, false, vowels, silent = [], [], [], []
    for index in range(len(speech.NATURAL_F0_HZ)):
        for utterance in speak(HELD_SENTENCES, natural_voice(index)):
            phones = [Phone(p.name, p.start_s + 0.7, p.end_s + 0.7) for p in utterance.phones]
            n = int((phones[-1].end_s + 0.7) * FPS)
            mouth = mouth_tracks(phones, n, FPS, np.zeros(0))
            aperture = mouth["jawOpen"] * (1 - mouth["mouthClose"])
            one = lip_sync(phones, aperture)
            met += one[0]
            false += one[1]
            vowels += one[2]
            frame_s = np.arange(n) / FPS
            spoken = [p for p in phones if p.name != "pau"]
            far = (frame_s < spoken[0].start_s - 0.3) | (frame_s > spoken[-1].end_s + 0.3)
            silent += (aperture[far] == 0.0).tolist()
    assert all(met) and len(met) > 150
    assert sum(false) <= 0.1 * len(false)
    assert np.corrcoef(rank([v[0] for v in vowels]), rank([v[1] for v in vowels]))[0, 1] >= 0.8
    assert all(silent) and silent


@voices
def test_a_take_has_the_shapes_and_ranges_of_the_contract(takes: list[Take]) -> None:
    for take in takes:
        n = len(take.state)
        assert take.controls.shape == (n, 21) and take.controls.dtype == np.float32
        assert take.samples.dtype == take.other.dtype == np.float32
        assert len(take.samples) == len(take.other) and n == len(take.samples) * FPS // SAMPLE_RATE_HZ
        assert 12 <= n / FPS <= 55
        assert np.isfinite(take.samples).all() and np.abs(take.samples).max() <= 1.0
        assert set(np.unique(take.state)) <= {0, 1, 2}
        for name in CONTROL_NAMES:
            low = -1.0 if name.startswith(("eyeLook", "head", "breath")) else 0.0
            assert low <= control(take, name).min() and control(take, name).max() <= 1.0
        assert all(p.end_s > p.start_s for p in take.phones)
        assert mel_windows(mel_timeline(take.samples), n).shape == (n, 40, 40)


@voices
def test_lips_move_while_speaking_and_only_then(takes: list[Take]) -> None:
    for take in takes:
        aperture = control(take, "jawOpen") * (1 - control(take, "mouthClose"))
        speaking = take.state == AvatarState.SPEAKING
        settled = ~speaking
        for late in (1, 2):
            settled[late:] &= ~speaking[:-late]
        assert (aperture[settled] == 0.0).all()
        assert aperture[speaking].std() > 0.1


@voices
def test_vowels_are_louder_than_the_pauses_between_them() -> None:
    take = make_take(0, held_out=True)

    def level(phone: Phone) -> float:
        cut = take.samples[int(phone.start_s * SAMPLE_RATE_HZ) : int(phone.end_s * SAMPLE_RATE_HZ)]
        return float(np.log10(np.mean(cut**2) + 1e-9))

    vowels = [level(p) for p in take.phones if p.name in OPENNESS]
    pauses = [level(p) for p in take.phones if p.name == "pau" and p.end_s - p.start_s > 0.1]
    assert np.median(vowels) > np.median(pauses) + 2.0  # 20 dB


@voices
def test_the_same_seed_gives_the_same_take_and_disk_keeps_it(takes: list[Take], tmp_path: Path) -> None:
    corpus.save_take(tmp_path / "take_000000.npz", takes[0])
    [loaded] = corpus.load_takes(tmp_path)
    again = make_take(0)
    assert np.abs(loaded.samples - again.samples).max() < 1e-4
    for field in ("controls", "state", "base"):
        assert np.array_equal(getattr(loaded, field), getattr(again, field))
    assert loaded.phones == again.phones


@voices
def test_every_program_speaks_with_phones_that_fit_the_sound() -> None:
    rng = np.random.default_rng(0)
    for voice in (natural_voice(0), natural_voice(4), natural_voice(6), speech.Voice("espeak", "en-us")):
        warped = dataclasses.replace(speech.warp(voice, rng), tract=1.15)
        for one in speak(["Bob may move five boats."], warped):
            names = [p.name for p in one.phones]
            assert names.count("m") == 2 and names.count("b") >= 2 and {"f", "v"} <= set(names)
            assert abs(one.phones[-1].end_s - len(one.samples) / SAMPLE_RATE_HZ) < 0.15


def test_held_sentences_are_never_drawn() -> None:
    rng = np.random.default_rng(0)
    drawn = {draw_sentence(rng) for _ in range(2000)}
    assert len(drawn) > 1600
    assert not drawn & set(HELD_SENTENCES) and not set(FIXED) & set(HELD_SENTENCES)


def test_blinks_close_fully_and_come_at_a_human_rate() -> None:
    track = blink_track(25 * 600, FPS, np.random.default_rng(0), 16.0, [])
    closed = np.r_[False, track >= 0.99]
    assert 11 <= np.count_nonzero(closed[1:] & ~closed[:-1]) / 10 <= 20


def test_a_second_nod_is_half_as_deep() -> None:
    track = nod(50, FPS, 0.2, 2, 0.48)
    assert track[:16].max() == pytest.approx(1.0, abs=0.02)
    assert track[18:].max() == pytest.approx(0.5, abs=0.02)


def test_head_motion_is_slow() -> None:
    motion = slow_noise(5000, FPS, np.random.default_rng(0))
    assert 0.8 < motion.std() < 1.2
    assert np.abs(np.diff(motion)).mean() < 0.1


def test_augmentation_keeps_length_and_stays_finite() -> None:
    rng = np.random.default_rng(0)
    voice = (0.1 * rng.normal(size=20_001)).astype(np.float32)
    for _ in range(20):
        heard = augment.pass_channel(voice, rng)
        noise = augment.draw_noise(len(voice), rng, [voice])
        assert heard.shape == noise.shape == voice.shape
        assert np.isfinite(heard).all() and np.isfinite(noise).all()


def test_a_whisper_has_the_voice_s_envelope_and_no_pitch() -> None:
    t_s = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    loud = np.where((t_s % 0.5) < 0.3, 1.0, 0.01)
    buzz = np.sum([np.cos(2 * np.pi * 120.0 * k * t_s) / (1 + (k / 8) ** 2) for k in range(1, 60)], axis=0)
    voice = (0.02 * loud * buzz).astype(np.float32)
    heard = augment.whisper(voice, np.random.default_rng(0))
    assert heard.shape == voice.shape and heard.dtype == np.float32

    def periodic(x: npt.NDArray[np.float32]) -> float:
        piece = x[1000:4000].astype(np.float64)
        period = round(SAMPLE_RATE_HZ / 120.0)
        return float(np.corrcoef(piece[:-period], piece[period:])[0, 1])

    def levels(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        power: npt.NDArray[np.float64] = (x.reshape(-1, 800).astype(np.float64) ** 2).mean(axis=1)
        return np.log10(power)

    def low_share(x: npt.NDArray[np.float32]) -> float:
        power = np.abs(np.fft.rfft(x)) ** 2
        return float(power[:4000].sum() / power.sum())  # below 2 kHz

    assert periodic(voice) > 0.9 and abs(periodic(heard)) < 0.3
    assert (levels(heard)[::10] - levels(heard)[7::10] > 3.0).all()  # 30 of 40 dB in the middle of pauses
    assert low_share(heard) == pytest.approx(low_share(voice), abs=0.05)


def test_a_bystander_speaks_with_pauses_at_unit_level() -> None:
    rng = np.random.default_rng(0)
    voice = (0.05 * rng.normal(size=SAMPLE_RATE_HZ)).astype(np.float32)
    beside = augment.second_voice(20 * SAMPLE_RATE_HZ, rng, voice)
    assert len(beside) == 20 * SAMPLE_RATE_HZ
    assert 0.15 < np.mean(beside != 0.0) < 0.7
    assert augment.rms(beside) == pytest.approx(1.0, abs=0.05)


def test_a_listener_nods_after_the_other_party_s_phrases() -> None:
    ends_s = [3.0 * k + 2.0 for k in range(200)]
    crowded_s = sorted([*ends_s, *(end_s + 0.8 for end_s in ends_s)])
    track = nods_after(25 * 605, FPS, np.random.default_rng(0), crowded_s, 0.5)
    after = np.stack([track[int(end_s * FPS) : int(end_s * FPS) + 30] for end_s in ends_s])
    nodded = after.max(axis=1) > 0.3
    first = np.argmax(after > 0.0, axis=1)[nodded] / FPS
    assert nodded.mean() > 0.95  # where the first of two phrases got none, the second may
    assert 0.6 < np.mean(first < 0.28) < 1.0 and (first >= 0.12).all()
    assert 0.35 < np.median(after.max(axis=1)) < 0.58 and track.max() < 0.58
    assert all((track[int((end_s - 0.6) * FPS) : int(end_s * FPS)] == 0.0).all() for end_s in ends_s)


def test_a_missing_program_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineError, match="'flite' is not installed") as error:
        speak(["Hello."], natural_voice(0))
    assert "\n" not in str(error.value)


def test_missing_or_damaged_takes_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no takes in"):
        corpus.load_takes(tmp_path)
    (tmp_path / "take_000001.npz").write_bytes(b"not a take")
    with pytest.raises(EngineError, match="build the corpus again"):
        corpus.load_takes(tmp_path)
