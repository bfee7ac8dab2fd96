"""Text to speech with phone times from flite, festival and espeak-ng, in many synthetic speakers."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.errors import EngineError
from engine.train.data import espeak
from engine.train.data.recorded import RECORDED, RecordedVoice
from engine.train.data.sentences import draw_sentence
from engine.train.data.words import draw_words
from engine.types import SAMPLE_RATE_HZ

Float = npt.NDArray[np.float32]

NATURAL_F0_HZ = {
    ("flite", "slt"): 175.0,
    ("flite", "rms"): 100.0,
    ("flite", "awb"): 125.0,
    ("flite", "kal16"): 105.0,
    ("festival", "ked"): 105.0,
    ("festival", "kal"): 105.0,
    ("festival", "slt_hts"): 175.0,
}
FESTIVAL_ENGLISH = {
    "ked": ("ked_diphone", "festvox-kdlpc16k"),
    "kal": ("kal_diphone", "festvox-kallpc16k"),
    "slt_hts": ("cmu_us_slt_arctic_hts", "festvox-us-slt-hts"),
}
_DIPHONES_ENGLISH = (("flite", "kal16"), ("festival", "ked"), ("festival", "kal"))
_DIPHONES_OTHER = tuple(("festival", name) for name in RECORDED)
_VOCODED = (("flite", "slt"), ("flite", "rms"), ("flite", "awb"))
_HIDDEN_MARKOV = (("festival", "slt_hts"),)
_ESPEAK_ENGLISH = tuple(("espeak", name) for name in espeak.VOICES)
_ESPEAK_OTHER = tuple(
    ("espeak", name + variant) for name in espeak.OTHER_VOICES.values() for variant in espeak.VARIANTS
)
SHARES = (
    (0.21, _DIPHONES_ENGLISH),
    (0.34, _DIPHONES_OTHER),
    (0.25, _VOCODED),
    (0.08, _HIDDEN_MARKOV),
    (0.06, _ESPEAK_ENGLISH),
    (0.06, _ESPEAK_OTHER),
)
"""How often `draw_voice` takes a voice of each group; vocoders blur closures, recordings have real ones."""
_F0_RANGE_HZ = (65.0, 400.0)
_ACTIVE_RMS = 0.08
_WORDS_PER_MINUTE = 170


@dataclass(frozen=True)
class Phone:
    """One phone: ARPAbet-like lower-case name, `pau` for silence, start and end in seconds."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Utterance:
    """Clean speech.

    Attributes:
        samples: float32 [T], 16 kHz, active level about -22 dBFS.
        phones: in order of time, from the first sample on.
    """

    samples: Float
    phones: list[Phone]


@dataclass(frozen=True)
class Voice:
    """A speaker: a voice program's voice, changed.

    Attributes:
        program: "flite", "festival" or "espeak".
        name: the program's name of the voice.
        rate: speaking rate, 1 is natural.
        pitch: factor on the natural pitch.
        tract: factor on the formants (a shorter vocal tract is above 1), 0.85..1.2.
        tilt_db: spectral tilt in dB per octave about 1 kHz.
        compression: 0 leaves the dynamics, 1 flattens them.
    """

    program: str
    name: str
    rate: float = 1.0
    pitch: float = 1.0
    tract: float = 1.0
    tilt_db: float = 0.0
    compression: float = 0.0

    @property
    def language(self) -> str:
        """`en` or a key of `engine.train.data.words.WORDS`."""
        if self.program == "festival" and self.name in RECORDED:
            return RECORDED[self.name].language
        if self.program == "espeak":
            bare = self.name.partition("+")[0]
            return next((key for key, name in espeak.OTHER_VOICES.items() if name == bare), "en")
        return "en"


def natural_voice(index: int) -> Voice:
    """The flite or festival voice of that number (modulo their count) as it is."""
    program, name = list(NATURAL_F0_HZ)[index % len(NATURAL_F0_HZ)]
    return Voice(program, name)


def warp(voice: Voice, rng: np.random.Generator) -> Voice:
    """The voice with another pitch (65..400 Hz where its own is known), rate, tract, tilt and dynamics."""
    rate = float(np.exp(rng.uniform(np.log(0.8), np.log(1.3))))
    pitch = float(np.exp(rng.uniform(np.log(0.7), np.log(1.6))))
    natural_hz = RECORDED[voice.name].f0_hz if voice.name in RECORDED else None
    if natural_hz is not None:
        pitch = float(np.clip(pitch, _F0_RANGE_HZ[0] / natural_hz, _F0_RANGE_HZ[1] / natural_hz))
    return replace(
        voice,
        rate=rate,
        pitch=pitch,
        tract=float(rng.uniform(0.85, 1.2)),
        tilt_db=float(rng.uniform(-3.0, 3.0)),
        compression=float(rng.uniform(0.0, 0.5)),
    )


def draw_voice(rng: np.random.Generator) -> Voice:
    """A random speaker by `SHARES`; one in eight is left as the program gives it."""
    group = SHARES[int(rng.choice(len(SHARES), p=[share for share, _ in SHARES]))][1]
    voice = Voice(*group[rng.integers(len(group))])
    return voice if rng.random() < 0.125 else warp(voice, rng)


def draw_line(language: str, rng: np.random.Generator) -> str:
    """A random sentence of that language: English ones make sense, others are words in random order."""
    return draw_sentence(rng) if language == "en" else draw_words(language, rng)


def speak(sentences: Sequence[str], voice: Voice) -> list[Utterance]:
    """Says each sentence.

    Raises:
        EngineError: a voice program is missing or failed.
    """
    if voice.program == "flite":
        raw = [_flite(sentence, voice) for sentence in sentences]
    elif voice.program == "festival":
        raw = _festival(sentences, voice)
    else:
        rate = round(_WORDS_PER_MINUTE * voice.rate / voice.tract)
        pitch = round(50 + 35 * np.log2(voice.pitch / voice.tract))
        raw = [_espeak(sentence, voice.name, rate, pitch) for sentence in sentences]
    return [_reshape(samples, rate_hz, phones, voice) for samples, rate_hz, phones in raw]


_Raw = tuple[Float, int, list[Phone]]


def _run(program: str, arguments: list[str]) -> str:
    path = shutil.which(program)
    if path is None:
        raise EngineError(f"voice program '{program}' is not installed (Debian: apt install {program})")
    done = subprocess.run([path, *arguments], capture_output=True, text=True, errors="replace", timeout=120)
    if done.returncode != 0:
        detail = (done.stderr.strip() or "no message").splitlines()[-1]
        raise EngineError(f"voice program '{program}' failed: {detail}")
    return done.stdout


def _read_wav(path: Path, program: str) -> tuple[Float, int]:
    if not path.is_file() or path.stat().st_size <= 44:
        raise EngineError(f"voice program '{program}' wrote no sound: check that its voices are installed")
    with wave.open(str(path), "rb") as sound:
        data = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
        return data.astype(np.float32) / 32768.0, sound.getframerate()


def _chain(ends: list[tuple[str, float]]) -> list[Phone]:
    starts = [0.0, *(end for _, end in ends)]
    return [Phone(name, start, end) for (name, end), start in zip(ends, starts, strict=False) if end > start]


def _flite(sentence: str, voice: Voice) -> _Raw:
    f0_hz = NATURAL_F0_HZ[voice.program, voice.name] * voice.pitch / voice.tract
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "speech.wav"
        options = ["--setf", f"duration_stretch={voice.tract / voice.rate:.4f}"]
        options += ["--setf", f"int_f0_target_mean={f0_hz:.2f}"]
        out = _run("flite", ["-voice", voice.name, *options, "-psdur", "-t", sentence, "-o", str(sound)])
        samples, rate_hz = _read_wav(sound, "flite")
    return samples, rate_hz, _chain([(p, float(end)) for p, end in re.findall(r"(\w+):([\d.]+)", out)])


def _select(voice: Voice) -> list[str]:
    """Scheme that selects a voice of festival and sets its pitch and rate."""
    pitch, stretch = voice.pitch / voice.tract, voice.tract / voice.rate
    recorded = RECORDED.get(voice.name)
    if recorded is not None:
        return [
            _or_missing(recorded.function, recorded.package),
            *([] if recorded.fixed else [_scale(pitch, stretch)]),
        ]
    function, package = FESTIVAL_ENGLISH[voice.name]
    if voice.name == "slt_hts":
        options = f'(list (list "-r" {1.0 / stretch:.4f}) (list "-fm" {12.0 * np.log2(pitch):.3f}))'
        change = f"(set! hts_engine_params (append hts_engine_params {options}))"
        return [_or_missing(function, package), change]
    f0_hz = NATURAL_F0_HZ[voice.program, voice.name] * pitch
    target = f"(target_f0_mean {f0_hz:.2f}) (target_f0_std {14 * pitch:.2f})"
    return [
        _or_missing(function, package),
        f"(Parameter.set 'Duration_Stretch {stretch:.4f})",
        f"(set! int_lr_params '({target} (model_f0_mean 170) (model_f0_std 34)))",
    ]


def _or_missing(function: str, package: str) -> str:
    missing = f"voice '{function}' is not installed (Debian: apt install {package})"
    complain = f'(begin (format stderr "{missing}\\n") (exit 1))'
    return f"(if (symbol-bound? 'voice_{function}) (voice_{function}) {complain})"


def _scale(pitch: float, stretch: float) -> str:
    """A hook that scales what a voice's own prosody rules have set: they are different in each language."""
    return f"""
        (define (scale_feature item name factor)
          (item.set_feat item name (* factor (item.feat item name))))
        (define (scale_speech utt)
          (mapcar (lambda (s) (scale_feature s "end" {stretch:.4f})) (utt.relation.items utt 'Segment))
          (mapcar
            (lambda (t)
              (if (not (string-equal (item.feat t "f0") "0"))
                (begin (scale_feature t "f0" {pitch:.4f}) (scale_feature t "pos" {stretch:.4f}))))
            (utt.relation.items utt 'Target))
          utt)
        (set! after_analysis_hooks (append after_analysis_hooks (list scale_speech)))"""


def _festival(sentences: Sequence[str], voice: Voice) -> list[_Raw]:
    recorded = RECORDED.get(voice.name)
    script = _select(voice)
    with tempfile.TemporaryDirectory() as folder:
        for index, sentence in enumerate(sentences):
            text = sentence.replace("\\", " ").replace('"', " ")
            stem = Path(folder) / str(index)
            script.append(f"(set! u (utt.synth (eval (list 'Utterance 'Text \"{text}\"))))")
            script.append(f'(utt.save.wave u "{stem}.wav" \'riff)')
            script.append(f'(set! fd (fopen "{stem}.seg" "w"))')
            line = '(lambda (s) (format fd "%s %f\\n" (item.name s) (item.feat s "end")))'
            script.append(f"(mapcar {line} (utt.relation.items u 'Segment))")
            script.append("(fclose fd)")
        source = Path(folder) / "speak.scm"
        source.write_bytes("\n".join(script).encode(recorded.encoding if recorded else "utf-8", "replace"))
        _run("festival", ["-b", str(source)])
        raw = []
        for index in range(len(sentences)):
            samples, rate_hz = _read_wav(Path(folder) / f"{index}.wav", "festival")
            lines = (Path(folder) / f"{index}.seg").read_text().split("\n")
            ends = [(name, float(end)) for name, end in (line.split() for line in lines if line)]
            phones = _chain(ends)
            raw.append((samples, rate_hz, _rename(phones, recorded) if recorded else phones))
    return raw


def _rename(phones: list[Phone], voice: RecordedVoice) -> list[Phone]:
    """ARPAbet-like names; a doubled phone becomes one long one."""
    joined: list[Phone] = []
    for phone in phones:
        name = voice.name(phone.name)
        if joined and joined[-1].name == name:
            joined[-1] = replace(joined[-1], end_s=phone.end_s)
        else:
            joined.append(replace(phone, name=name))
    return joined


def _espeak(sentence: str, name: str, words_per_minute: int, pitch: int) -> _Raw:
    samples, rate_hz, events = espeak.synthesize(sentence, name, words_per_minute, pitch)
    return samples, rate_hz, [Phone(*event) for event in events]


def _reshape(samples: Float, rate_hz: int, phones: list[Phone], voice: Voice) -> Utterance:
    """Resamples to 16 kHz played `tract` times as fast (formants move, times shrink), tilts, levels."""
    count = round(len(samples) * SAMPLE_RATE_HZ / rate_hz / voice.tract)
    spectrum = np.fft.rfft(samples)
    keep = min(len(spectrum), count // 2 + 1)
    spectrum = spectrum[:keep]
    hz = np.arange(keep) * SAMPLE_RATE_HZ / max(count, 1)
    spectrum *= 10.0 ** (voice.tilt_db * np.clip(np.log2(np.maximum(hz, 1.0) / 1000.0), -3.0, 3.0) / 20.0)
    x = np.fft.irfft(spectrum, count)
    if voice.compression > 0.0:
        kernel = np.hanning(801)
        envelope = np.sqrt(np.convolve(x**2, kernel / kernel.sum(), "same")) + 1e-6
        floor = 0.05 * float(envelope.max())
        x = x * np.maximum(envelope, floor) ** -voice.compression
    loud = np.abs(x) > 0.1 * np.abs(x).max(initial=1e-9)
    x *= _ACTIVE_RMS / (np.sqrt(np.mean(x[loud] ** 2)) if loud.any() else 1.0)
    moved = [Phone(p.name, p.start_s / voice.tract, p.end_s / voice.tract) for p in phones]
    return Utterance(np.clip(x, -1.0, 1.0).astype(np.float32), moved)
