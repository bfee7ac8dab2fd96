"""From a voice in the microphone to a moved mouth: the measurement runs, with a real sound server."""

from __future__ import annotations

from tests.integration.sound_server import PROGRAMS
from tests.reliability.test_short_runs import measured
from tests.require import require_program

require_program(*PROGRAMS)


def test_the_mouth_follows_the_microphone() -> None:
    figures = measured("onset", "--words", "3", goals=False)
    median_ms, _, most_ms = figures["onset_to_moved_mouth_ms_median_p95_max"]
    assert 0 < median_ms <= most_ms < 600
