"""espeak-ng through its library: sound and the phoneme events' exact times."""

# ruff: noqa: RUF001

from __future__ import annotations

import ctypes
import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from engine.errors import EngineError

VOICES = ("en-us", "en-us+f2", "en-us+f3", "en-us+m3", "en-us+m7", "en-gb-x-rp+m2", "en-gb-scotland+f4")
OTHER_VOICES = {
    "de": "de",
    "fr": "fr",
    "es": "es",
    "it": "it",
    "ja": "ja",
    "cmn": "cmn-latn-pinyin",
    "pt": "pt",
    "pl": "pl",
    "ru": "ru",
}
"""Languages of `engine.train.data.words` and their voices; English is apart."""
VARIANTS = ("", "+f2", "+f3", "+m3", "+m7")
_RETRIEVAL, _PHONEME_EVENTS, _PHONEME_IPA = 1, 1, 2
_EVENT_END, _EVENT_PHONEME = 0, 7
_RATE, _PITCH, _UTF8 = 1, 3, 1
_PLOSIVE_SILENCE_S = 0.036
"""espeak-ng labels a voiceless plosive at its burst; the closure is the silence before (measured)."""


_IPA_TWINS = "eɪ=ey aɪ=ay aʊ=aw oʊ=ow əʊ=ow ɔɪ=oy tʃ=ch dʒ=jh"
_IPA_CONSONANTS = (
    "p=p b=b t=t d=d k=k g=g ɡ=g m=m n=n ŋ=ng f=f v=v θ=th ð=dh s=s z=z ʃ=sh ʒ=zh h=hh w=w j=y l=l ɫ=l ᵻ=ih "
    "ʍ=w ʲ=y ɹ=r r=r ɾ=d ʔ=pau"
)
_IPA_VOWELS = "a=ae ɑ=aa ɒ=aa æ=ae ɔ=ao o=ow ʌ=ah ə=ax ɐ=ax ɛ=eh e=ey ɜ=er ɝ=er ɚ=er i=iy ɪ=ih u=uw ʉ=uw ʊ=uh"
_OTHER_CONSONANTS = (
    "ts=ts ts.=ch dz=dz tɕ=ch dʑ=jh pf=p r=rr ɾ=rr ɽ=rr ʁ=hh x=hh χ=hh ç=hh ɣ=g β=beta ɸ=beta ʝ=y ʎ=y "
    "ɲ=n ɴ=ng ɕ=sh s.=sh ʑ=zh ʐ=zh ɭ=l ɥ=w"
)
_OTHER_VOWELS = (
    "a=aa ɜ=ax y=ue ø=oe œ=oe ɵ=oe ɯ=uh ɨ=ih i.=ih ər=er o-=ah ɔø=oy oɪ=oy ɐʊ=aw ɑu=aw ɛʊ=ow eʊ=ow iʊ=uw "
    "iou=ow uo=ow ou=ow ei=ey iɑ=aa ja=aa yɛ=eh"
)


def _table(*texts: str) -> dict[str, str]:
    return dict(pair.split("=") for text in texts for pair in text.split())


_ENGLISH = _table(_IPA_TWINS, _IPA_CONSONANTS, _IPA_VOWELS)
_OTHER = _ENGLISH | _table(_OTHER_CONSONANTS, _OTHER_VOWELS)
_BY_LANGUAGE = {"en": _ENGLISH, "ru": _OTHER | {"y": "ih"}}
"""Vowels of English r-colour, diphthongs and its rounded r are its own; espeak-ng writes y for Russian ы.

Spanish β is an approximant and Japanese ɸ a fricative: the lips come near each other and do not shut, so
neither is b or p (shut), v (lip on teeth) or w (rounded). German pf begins shut, as p.
"""
_MARKS = re.compile("[ˈˌːˑ\u0300-\u0326\u0328-\u036fᵝʰ]")
"""Stress, length, nasality, fine place and aspiration, which lips do not show; not the cedilla of ç."""


class _Identifier(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identifier),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Library:
    """The loaded library; it is one per process and keeps its callback alive."""

    def __init__(self) -> None:
        try:
            self.library = ctypes.CDLL("libespeak-ng.so.1")
        except OSError:
            raise EngineError(
                "voice program 'espeak-ng' is not installed (Debian: apt install libespeak-ng1)"
            ) from None
        self.blocks: list[npt.NDArray[np.int16]] = []
        self.events: list[tuple[int, str]] = []
        options = _PHONEME_EVENTS | _PHONEME_IPA
        self.rate_hz = int(self.library.espeak_Initialize(_RETRIEVAL, 0, None, options))
        self.callback = _Callback(self._receive)
        self.library.espeak_SetSynthCallback(self.callback)

    def _receive(self, samples: object, count: int, events: object) -> int:
        if count > 0:
            self.blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:  # type: ignore[index]
            event = events[index]  # type: ignore[index]
            if event.type == _EVENT_PHONEME:
                raw = ctypes.string_at(ctypes.addressof(event) + _Event.id.offset, 8)
                self.events.append((event.sample, raw.split(b"\0")[0].decode("utf8", "ignore")))
            index += 1
        return 0


@cache
def _library() -> _Library:
    return _Library()


def _arpabet(ipa: str, language: str) -> str:
    table = _BY_LANGUAGE.get(language, _OTHER)
    bare = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", ipa)))
    known = [table[bare[:length]] for length in (3, 2, 1) if bare[:length] in table]
    if bare and not known:
        raise EngineError(
            f"espeak-ng said an unknown phone '{ipa}' (language {language}): add it to the table"
        )
    return known[0] if known else "pau"


def synthesize(
    text: str, voice: str, words_per_minute: int, pitch: int
) -> tuple[npt.NDArray[np.float32], int, list[tuple[str, float, float]]]:
    """Says a text.

    Args:
        text: one sentence.
        voice: an espeak-ng voice, with "+variant" where wanted.
        words_per_minute: 80..450.
        pitch: 0..99, 50 is the voice's own.

    Returns:
        float32 [T] at the library's own rate, that rate in Hz, and (ARPAbet-like name, start_s, end_s).

    Raises:
        EngineError: the library or the voice is missing, or the voice says a phone of no table.
    """
    engine = _library()
    if engine.library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise EngineError(f"espeak-ng has no voice '{voice}': install espeak-ng-data")
    engine.blocks.clear()
    engine.events.clear()
    engine.library.espeak_SetParameter(_RATE, int(np.clip(words_per_minute, 80, 450)), 0)
    engine.library.espeak_SetParameter(_PITCH, int(np.clip(pitch, 0, 99)), 0)
    data = text.encode()
    engine.library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, _UTF8, None, None)
    engine.library.espeak_Synchronize()
    if not engine.blocks or not engine.events:
        raise EngineError(f"espeak-ng said nothing for {text!r}: check espeak-ng-data")
    samples = np.concatenate(engine.blocks).astype(np.float32) / 32768.0
    names = [_arpabet(ipa, voice[:2]) for _, ipa in engine.events]
    starts = [
        at / engine.rate_hz - (_PLOSIVE_SILENCE_S if name in ("p", "t", "k", "ch", "ts") else 0.0)
        for (at, _), name in zip(engine.events, names, strict=True)
    ]
    starts = np.maximum.accumulate(np.maximum(starts, 0.0)).tolist()
    ends = [*starts[1:], len(samples) / engine.rate_hz]
    phones = [(n, s, e) for n, s, e in zip(names, starts, ends, strict=True) if e > s]
    if phones and phones[0][1] > 0.0:
        phones.insert(0, ("pau", 0.0, phones[0][1]))
    return samples, engine.rate_hz, phones
