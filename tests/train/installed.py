"""Which of the voices that training calls are installed."""

from __future__ import annotations

import subprocess
from functools import cache

from engine.train.data.recorded import RECORDED
from engine.train.data.speech import FESTIVAL_ENGLISH
from tests.require import require_program, skip_for_want_of

PACKAGES = {
    **dict(FESTIVAL_ENGLISH.values()),
    **{voice.function: voice.package for voice in RECORDED.values()},
}
"""Festival's voices and their Debian packages."""


def festival_answers(script: str) -> str:
    """What festival prints for a line of Scheme."""
    done = subprocess.run(
        ["festival", "--pipe"], input=script, capture_output=True, text=True, errors="replace", check=False
    )
    return done.stdout.strip()


@cache
def _missing() -> frozenset[str]:
    tests = [f"(if (not (symbol-bound? 'voice_{f})) (format t \"%s\\n\" '{f}))" for f in PACKAGES]
    return frozenset(festival_answers("\n".join(tests)).split())


def require_voices(*functions: str) -> None:
    """Skips (or fails in continuous integration) without these voices of festival; no name means all."""
    require_program("flite", "festival", "espeak-ng")
    missing = [PACKAGES[function] for function in functions or PACKAGES if function in _missing()]
    if missing:
        skip_for_want_of(", ".join(missing))
