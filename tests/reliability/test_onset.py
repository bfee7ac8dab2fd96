"""From a voice in the microphone to a moved mouth: the measurement runs, with a real sound server."""

from __future__ import annotations

from tests.integration.sound_server import PROGRAMS
from tests.reliability.test_short_runs import measured
from tests.require import require_program

require_program(*PROGRAMS)


def test_the_mouth_follows_the_microphone() -> None:
    figures = measured("onset", "--words", "3", goals=False)
    # How soon depends on what else the machine does: docs/reliability.md has the figures.
    assert figures["words"] == 3 and figures["lead_ms_median_p95_max"][0] > 82.5
    assert figures["arrival_to_frame_ms_median_p95_max"][0] > 82.5
