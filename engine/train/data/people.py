"""Recordings of real people with their texts: Asterisk's telephone prompts, from Debian's packages.

Who reads them says words as people do, runs them together and swallows some: what no voice program does.
When each phone is said was found by stage `align` and lies beside this file (`alignments/NAME.txt`: a
recording in each line, then phones with the hundredth of a second at which each ends).
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from engine.errors import EngineError
from engine.types import SAMPLE_RATE_HZ

Float = npt.NDArray[np.float32]
SOUNDS = Path("/usr/share/asterisk/sounds")
TEXTS = Path("/usr/share/doc")
ALIGNMENTS = Path(__file__).parent / "alignments"


@dataclass(frozen=True)
class Person:
    """Who reads prompts.

    Attributes:
        folder: of the recordings, under `SOUNDS`.
        language: `en` or a key of `engine.train.data.words.WORDS`; the packages are named by it.
        voice: the espeak-ng voice that knows how the texts are said.
    """

    folder: str
    language: str
    voice: str

    @property
    def package(self) -> str:
        """The Debian package of the recordings; that without `-g722` has the texts."""
        return f"asterisk-core-sounds-{self.language}-g722"


PEOPLE = {
    "allison": Person("en_US_f_Allison", "en", "en-us"),
    "allison_es": Person("es_MX_f_Allison", "es", "es-419"),
    "june": Person("fr_CA_f_June", "fr", "fr"),
    "carlo": Person("it_IT_m_Carlo", "it", "it"),
    "ivrvoice": Person("ru_RU_f_IvrvoiceRU", "ru", "ru"),
}


@cache
def texts(name: str) -> dict[str, str]:
    """What a person reads: text by recording, the path under their folder without its ending.

    Raises:
        EngineError: the packages are not installed.
    """
    person = PEOPLE[name]
    source = TEXTS / f"asterisk-core-sounds-{person.language}" / f"core-sounds-{person.language}.txt.gz"
    folder = SOUNDS / person.folder
    if not source.is_file() or not folder.is_dir():
        raise EngineError(
            f"recordings of '{name}' are not installed (Debian: apt install {person.package} "
            f"asterisk-core-sounds-{person.language})"
        )
    pairs = (line.partition(":") for line in gzip.decompress(source.read_bytes()).decode().splitlines())
    return {
        recording: text.strip()
        for recording, _, text in pairs
        if text.strip() and "[" not in text and (folder / f"{recording}.g722").is_file()
    }


def recorded(name: str, recording: str) -> Float:
    """One recording of a person: float32 [T] at 16 kHz.

    Raises:
        EngineError: it is no G.722.
    """
    path = SOUNDS / PEOPLE[name].folder / f"{recording}.g722"
    try:
        with av.open(str(path), format="g722") as sound:
            resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE_HZ)
            blocks = [
                block.to_ndarray()[0]
                for frame in [*sound.decode(audio=0), None]
                for block in resampler.resample(frame)
            ]
    except (av.FFmpegError, OSError) as error:
        raise EngineError(f"recording {path} cannot be read ({error}): install its package again") from None
    return np.concatenate(blocks).astype(np.float32)


@cache
def aligned(name: str) -> dict[str, list[tuple[str, float]]]:
    """Phones of every recording that could be aligned, each with its end in seconds.

    Raises:
        EngineError: the person's recordings were not aligned.
    """
    path = ALIGNMENTS / f"{name}.txt"
    if not path.is_file():
        raise EngineError(f"{path} is missing: run the stage 'align'")
    found = {}
    for line in path.read_text().splitlines():
        recording, *phones = line.split()
        found[recording] = [(p, int(end) / 100.0) for p, _, end in (phone.partition(":") for phone in phones)]
    return found
