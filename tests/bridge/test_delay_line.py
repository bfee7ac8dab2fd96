"""The delay between two sound devices, in simulated time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from bridge.outputs.delay_line import HELD_S, DelayLine

Float = npt.NDArray[np.float32]
BLOCK_S = 0.02


def simulate(
    line: DelayLine,
    delay_s: Callable[[float], float],
    *,
    rate_in_hz: int,
    rate_out_hz: int,
    seconds: float,
    source: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    input_drift: float = 0.0,
    burst: int = 1,
) -> tuple[npt.NDArray[np.float64], Float]:
    """Runs two devices; returns when each sample of the output is heard, and the output.

    `source` maps times to sound; the input device's clock runs faster by `input_drift` and gives its blocks
    `burst` at a time.
    """
    size_in, size_out = int(BLOCK_S * rate_in_hz), int(BLOCK_S * rate_out_hz)
    true_rate_hz = rate_in_hz * (1 + input_drift)
    heard_s, heard = [], []
    given = 0
    for block in range(int(seconds / BLOCK_S)):
        now_s = (block + 1) * BLOCK_S
        while (given + burst * size_in) / true_rate_hz <= now_s:
            for _ in range(burst):
                line.push(source((given + np.arange(size_in)) / true_rate_hz).astype(np.float32), now_s)
                given += size_in
        at_s = now_s + 0.01
        heard.append(line.pull(size_out, at_s, delay_s(now_s)))
        heard_s.append(at_s + np.arange(size_out) / rate_out_hz)
    return np.concatenate(heard_s), np.concatenate(heard)


def delay_of(
    times_s: npt.NDArray[np.float64], heard: Float, source: Callable[..., npt.NDArray[np.float64]]
) -> float:
    """The shift in seconds under which `source` is what was heard, sought within 0.6 s."""
    candidates = np.arange(0.0, 0.6, 0.0005)
    some, at_s = heard[::23], times_s[::23]
    return float(candidates[np.argmax([source(at_s - shift) @ some for shift in candidates])])


def voice(times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rises and falls, so that every moment is its own."""
    return 0.5 * np.sin(2 * np.pi * (150 * times_s + 40 * np.sin(2 * np.pi * 0.7 * times_s)))


@pytest.mark.parametrize(
    ("rate_in_hz", "rate_out_hz"), [(48_000, 48_000), (44_100, 48_000), (16_000, 44_100)]
)
def test_sound_comes_out_as_it_was_so_much_later(rate_in_hz: int, rate_out_hz: int) -> None:
    line = DelayLine(rate_in_hz, rate_out_hz)
    times_s, heard = simulate(
        line, lambda _: 0.2, rate_in_hz=rate_in_hz, rate_out_hz=rate_out_hz, seconds=4, source=voice
    )
    steady = times_s > 2
    found_s = delay_of(times_s[steady], heard[steady], voice)
    assert abs(found_s - 0.2) < 0.002
    shift_s = 0.2 + line.error_s
    expected = voice(times_s[steady] - shift_s)
    assert np.corrcoef(expected, heard[steady])[0, 1] > 0.999
    assert abs(np.std(heard[steady]) / np.std(expected) - 1) < 0.01
    assert line.missing_samples == 0


def test_blocks_in_bursts_and_a_drifting_clock_do_not_matter() -> None:
    line = DelayLine(48_000, 48_000)
    times_s, heard = simulate(
        line, lambda _: 0.25, rate_in_hz=48_000, rate_out_hz=48_000, seconds=20, source=voice,
        input_drift=300e-6, burst=3,
    )  # fmt: skip
    for start_s in (5.0, 12.0, 18.0):  # uncorrected, the last would be 5 ms off, and 26 s a day
        piece = (times_s > start_s) & (times_s < start_s + 1)
        # A burst's blocks come 0 to 40 ms after their time, and are seen up to 20 ms later: the mean counts.
        assert abs(delay_of(times_s[piece], heard[piece], voice) - 0.28) < 0.01
    assert line.missing_samples == 0


@pytest.mark.parametrize("change_s", [0.01, -0.01, 0.1, -0.1])
def test_a_changed_delay_is_followed_without_a_click(change_s: float) -> None:
    def tone(times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return 0.5 * np.sin(2 * np.pi * 220 * times_s)

    def delay_s(now_s: float) -> float:
        return 0.2 if now_s < 2 else 0.2 + change_s

    outputs = {}
    for source in (tone, voice):
        line = DelayLine(48_000, 48_000)
        times_s, outputs[source] = simulate(
            line, delay_s, rate_in_hz=48_000, rate_out_hz=48_000, seconds=9, source=source
        )
    late = times_s > 8
    assert abs(delay_of(times_s[late], outputs[voice][late], voice) - 0.2 - change_s) < 0.002
    # A click is a jump: the steepest slope of the tone itself is the measure.
    steps = np.abs(np.diff(outputs[tone][(times_s > 1)]))
    assert steps.max() < 1.3 * 0.5 * 2 * np.pi * 220 / 48_000


def test_what_has_not_come_is_silent_and_counted() -> None:
    line = DelayLine(48_000, 48_000)
    _, heard = simulate(line, lambda _: 0.0, rate_in_hz=48_000, rate_out_hz=48_000, seconds=1, source=voice)
    assert line.missing_samples > 0
    assert len(heard) == 48_000 and np.isfinite(heard).all()


def test_a_pause_of_the_input_is_survived() -> None:
    line = DelayLine(48_000, 48_000)
    block = np.full(960, 0.5, np.float32)
    outs = []
    for number in range(400):
        now_s = number * BLOCK_S
        if not 100 <= number < 200:
            line.push(block, now_s)
        outs.append(line.pull(960, now_s, 0.1))
    assert abs(outs[90].mean() - 0.5) < 0.01
    assert abs(outs[150].mean()) < 0.01
    assert abs(outs[300].mean() - 0.5) < 0.01


def test_it_holds_a_bounded_time() -> None:
    line = DelayLine(48_000, 48_000)
    for number in range(500):
        line.push(np.zeros(960, np.float32), number * BLOCK_S)
    assert len(line._held) <= HELD_S * 48_000
    assert np.array_equal(DelayLine(8_000, 48_000).pull(480, 0.0, 0.1), np.zeros(480, np.float32))
