"""Builds many takes in parallel processes, saves them as .npz without pickle, and loads them again.

`python -m engine.train.data.corpus --out DIR --takes N --jobs J`
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from engine.errors import EngineError
from engine.train.data.performance import FPS, Take, make_take
from engine.train.data.speech import Phone
from engine.types import CONTROL_NAMES

_PATTERN = "take_*.npz"


def _to_int16(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    return np.round(samples * 32767.0).astype(np.int16)


def save_take(path: Path, take: Take) -> None:
    """Writes one take; audio is kept as 16-bit integers.

    Raises:
        EngineError: the file cannot be written.
    """
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(
                file,
                samples=_to_int16(take.samples),
                other=_to_int16(take.other),
                controls=take.controls,
                state=take.state.astype(np.int8),
                base=take.base,
                phone_names=np.array([p.name for p in take.phones], dtype="U8"),
                phone_times_s=np.array([(p.start_s, p.end_s) for p in take.phones]).reshape(-1, 2),
            )
        part.replace(path)  # a reader never sees half a file
    except OSError as error:
        raise EngineError(f"take {path} cannot be written ({error.strerror}): choose another --out") from None


def load_take(path: Path) -> Take:
    """Reads one take.

    Raises:
        EngineError: the file is missing, damaged, or made for other controls.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            phones = [
                Phone(str(name), float(start_s), float(end_s))
                for name, (start_s, end_s) in zip(data["phone_names"], data["phone_times_s"], strict=True)
            ]
            take = Take(
                samples=data["samples"].astype(np.float32) / np.float32(32767.0),
                other=data["other"].astype(np.float32) / np.float32(32767.0),
                controls=data["controls"],
                state=data["state"].astype(np.int64),
                phones=phones,
                base=data["base"],
            )
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        detail = str(error).splitlines()[0] if str(error) else "file is damaged"
        raise EngineError(
            f"take {path} cannot be read ({detail}): delete it and build the corpus again"
        ) from None
    if take.controls.shape != (len(take.state), len(CONTROL_NAMES)):
        raise EngineError(
            f"take {path} has controls {take.controls.shape}, not [n, 21]: delete it and build again"
        )
    return take


def load_takes(folder: Path | str) -> list[Take]:
    """Reads every take of a folder, in order of their seeds.

    Raises:
        EngineError: the folder holds no take, or one is damaged.
    """
    paths = sorted(Path(folder).glob(_PATTERN))
    if not paths:
        raise EngineError(
            f"no takes in {folder}: build them with python -m engine.train.data.corpus --out {folder}"
        )
    return [load_take(path) for path in paths]


def _build(seed: int, folder: Path, held_out: bool) -> float:
    path = folder / f"take_{seed:06d}.npz"
    if not path.exists():
        save_take(path, make_take(seed, held_out))
    return len(load_take(path).state) / FPS


def build_corpus(
    folder: Path, takes: int, jobs: int = 1, first_seed: int = 0, held_out: bool = False
) -> float:
    """Makes the takes that the folder does not hold yet; returns the seconds it holds then.

    Raises:
        EngineError: a voice program is missing or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(
            f"folder {folder} cannot be made ({error.strerror}): choose another --out"
        ) from None
    seeds = range(first_seed, first_seed + takes)
    build = partial(_build, folder=folder, held_out=held_out)
    if jobs == 1:
        return float(sum(build(seed) for seed in tqdm(seeds, unit="take")))
    with get_context("spawn").Pool(jobs) as pool:
        lengths_s = pool.imap_unordered(build, seeds)
        return float(sum(tqdm(lengths_s, total=takes, unit="take")))


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m engine.train.data.corpus", description="Build training takes."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the takes; takes there are kept")
    parser.add_argument("--takes", type=int, default=400, help="how many takes (default 400)")
    parser.add_argument("--jobs", type=int, default=1, help="parallel processes (default 1)")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first take (default 0)")
    parser.add_argument("--held-out", action="store_true", help="held-out sentences and unchanged voices")
    options = parser.parse_args(arguments)
    if options.takes < 1 or options.jobs < 1 or options.first_seed < 0:
        parser.error("--takes and --jobs must be at least 1, --first-seed at least 0")
    try:
        seconds = build_corpus(options.out, options.takes, options.jobs, options.first_seed, options.held_out)
    except EngineError as error:
        print(f"corpus: {error}", file=sys.stderr)
        return 1
    print(f"{options.takes} takes, {seconds / 60:.1f} minutes of audio in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
