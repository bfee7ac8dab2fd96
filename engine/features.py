"""Audio samples to log-mel windows, one per video frame; training and runtime share this file."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from engine.types import SAMPLE_RATE_HZ

MEL_BINS = 40
HOP_SAMPLES = 160
FFT_SAMPLES = 512
WIN_SAMPLES = 400
WINDOW_FRAMES = 40
LOOKAHEAD_FRAMES = 8
"""A window holds 40 mel frames (400 ms), the last 8 (80 ms) after the frame's own time (our choice)."""

SILENCE = float(np.log(1e-4) / 4.0)
"""What `log_mel` gives where there is no sound at all."""

Float = npt.NDArray[np.float32]


@cache
def _mel_filters() -> Float:
    """Triangular mel filters 60..7600 Hz, float32 [257, 40] (O'Shaughnessy's mel scale)."""
    low_mel, high_mel = 2595.0 * np.log10(1.0 + np.array([60.0, 7600.0]) / 700.0)
    edges_hz = 700.0 * (10.0 ** (np.linspace(low_mel, high_mel, MEL_BINS + 2) / 2595.0) - 1.0)
    bins_hz = np.fft.rfftfreq(FFT_SAMPLES, 1.0 / SAMPLE_RATE_HZ)
    low, mid, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rise, fall = (bins_hz - low) / (mid - low), (high - bins_hz) / (high - mid)
    return np.maximum(0.0, np.minimum(rise, fall)).T.astype(np.float32)


@cache
def _hann() -> Float:
    return np.hanning(WIN_SAMPLES).astype(np.float32)


def log_mel(samples: Float) -> Float:
    """Log-mel spectrum of a block of 16 kHz audio.

    Args:
        samples: float32 [T], T >= 400. Mel frame i covers samples 160 i .. 160 i + 399, so it is
            centred on sample 160 i + 200 of this block.

    Returns:
        float32 [(T - 400) // 160 + 1, 40], `log(power + 1e-4) / 4`.
    """
    count = (len(samples) - WIN_SAMPLES) // HOP_SAMPLES + 1
    frames = np.lib.stride_tricks.sliding_window_view(samples, WIN_SAMPLES)[::HOP_SAMPLES][:count]
    spectrum = np.fft.rfft(frames * _hann(), FFT_SAMPLES).astype(np.complex64)
    power = spectrum.real**2 + spectrum.imag**2
    return (np.log(power @ _mel_filters() + 1e-4) / 4.0).astype(np.float32)


def mel_timeline(samples: Float) -> Float:
    """Log-mel of a whole recording; mel frame j is centred on sample 160 j (silence outside).

    Returns:
        float32 [ceil(T / 160), 40].
    """
    count = -(-len(samples) // HOP_SAMPLES)
    padded = np.zeros((count - 1) * HOP_SAMPLES + WIN_SAMPLES, np.float32)
    body = samples[: len(padded) - WIN_SAMPLES // 2]
    padded[WIN_SAMPLES // 2 : WIN_SAMPLES // 2 + len(body)] = body
    return log_mel(padded)


def mel_windows(mel: Float, frame_count: int, mel_per_frame: int = 4) -> Float:
    """Cuts the window of every video frame out of a whole recording's `mel_timeline`.

    Returns:
        float32 [frame_count, 40, 40]; outside the recording the spectrum of silence is used.
    """
    past = WINDOW_FRAMES - LOOKAHEAD_FRAMES
    tail = max(0, (frame_count - 1) * mel_per_frame + LOOKAHEAD_FRAMES - len(mel))
    padded = np.pad(mel, ((past, tail), (0, 0)), constant_values=SILENCE)
    starts = np.arange(frame_count) * mel_per_frame
    windows: Float = padded[starts[:, None] + np.arange(WINDOW_FRAMES)]
    return windows
