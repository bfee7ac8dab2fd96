"""Channels, rooms and noises over clean speech, so that an encoder trained on it hears real voices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.types import SAMPLE_RATE_HZ

Float = npt.NDArray[np.float32]


def rms(samples: Float) -> float:
    """Root mean square of the louder parts (above a tenth of the peak), at least 1e-5."""
    loud = samples[np.abs(samples) > 0.1 * np.abs(samples).max(initial=0.0)]
    return max(float(np.sqrt(np.mean(loud**2))) if len(loud) else 0.0, 1e-5)


def filter_spectrum(samples: Float, hz: list[float], gain_db: list[float]) -> Float:
    """Zero-phase filter whose gain in dB is linear over log frequency between the given points."""
    spectrum = np.fft.rfft(samples)
    bins_hz = np.fft.rfftfreq(len(samples), 1.0 / SAMPLE_RATE_HZ)
    gain = np.interp(np.log(np.maximum(bins_hz, 10.0)), np.log(hz), gain_db)
    return np.fft.irfft(spectrum * 10.0 ** (gain / 20.0), len(samples)).astype(np.float32)


def equalize(samples: Float, rng: np.random.Generator, depth_db: float = 7.0) -> Float:
    """A random smooth frequency response, as of a microphone or a loudspeaker."""
    hz = [60.0, 150.0, 400.0, 1000.0, 2500.0, 5000.0, 8000.0]
    return filter_spectrum(samples, hz, rng.uniform(-depth_db, depth_db, len(hz)).tolist())


def limit_band(samples: Float, rng: np.random.Generator) -> Float:
    """What a telephone, a narrow codec or a small loudspeaker leaves."""
    low_hz = float(np.exp(rng.uniform(np.log(40.0), np.log(350.0))))
    high_hz = float(rng.choice([3400.0, 4000.0, 5500.0, 6500.0, 7300.0]))
    return filter_spectrum(
        samples, [low_hz / 2, low_hz, high_hz, high_hz * 1.1, high_hz * 1.2], [-40.0, 0.0, 0.0, -40.0, -80.0]
    )


def add_room(samples: Float, rng: np.random.Generator) -> Float:
    """Direct sound plus an exponentially decaying tail; small rooms mostly (RT60 0.1..0.6 s)."""
    decay_s = float(np.clip(rng.gamma(3.0, 0.09), 0.08, 0.6))
    length = int(decay_s * SAMPLE_RATE_HZ)
    t_s = np.arange(length) / SAMPLE_RATE_HZ
    tail = rng.normal(size=length) * 10.0 ** (-3.0 * t_s / decay_s)
    gap = int(rng.uniform(0.001, 0.012) * SAMPLE_RATE_HZ)
    tail[:gap] = 0.0
    tail *= 10.0 ** (-rng.uniform(2.0, 18.0) / 20.0) / max(float(np.sqrt((tail**2).sum())), 1e-9)
    tail[0] = 1.0
    size = len(samples) + length
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)
    return wet[: len(samples)].astype(np.float32)


def clip_hard(samples: Float, rng: np.random.Generator) -> Float:
    """Overdriven by 3..14 dB, then cut."""
    peak = float(np.abs(samples).max(initial=1e-6))
    drive = 10.0 ** (rng.uniform(3.0, 14.0) / 20.0)
    clipped: Float = (np.clip(samples * drive, -peak, peak) / drive).astype(np.float32)
    return clipped


def drift_gain(samples: Float, rng: np.random.Generator) -> Float:
    """Slow gain changes of up to 8 dB, as of automatic gain or a moving head."""
    points = max(2, len(samples) // (2 * SAMPLE_RATE_HZ))
    gain_db = np.interp(
        np.linspace(0, 1, len(samples)), np.linspace(0, 1, points), rng.uniform(-4, 4, points)
    )
    drifted: Float = (samples * 10.0 ** (gain_db / 20.0)).astype(np.float32)
    return drifted


def requantize(samples: Float, rng: np.random.Generator) -> Float:
    """8-bit mu-law, as of a telephone codec (G.711)."""
    mu = float(rng.choice([63.0, 255.0]))
    peak = float(np.abs(samples).max(initial=1e-6))
    folded = np.sign(samples) * np.log1p(mu * np.abs(samples) / peak) / np.log1p(mu)
    folded = np.round(folded * 127.0) / 127.0
    decoded: Float = (np.sign(samples) * np.expm1(np.abs(folded) * np.log1p(mu)) / mu * peak).astype(
        np.float32
    )
    return decoded


def whisper(samples: Float, rng: np.random.Generator) -> Float:
    """The voice without its pitch: noise under the same spectral envelope, as loud (our choice).

    Args:
        samples: float32 [T], one voice.
        rng: source of the noise.

    Returns:
        float32 [T]; harmonics are smoothed away over about 300 Hz.
    """
    size, hop = 512, 128  # 32 and 8 ms
    window = np.hanning(size + 1)[:size]
    padded = np.pad(samples, (size, size + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window
    power = np.abs(np.fft.rfft(frames)) ** 2
    kernel = np.hanning(2 * 10 + 1)  # bins of 31 Hz
    kernel /= kernel.sum()
    wide = np.pad(power, ((0, 0), (10, 10)), mode="reflect")
    envelope = np.sqrt(np.lib.stride_tricks.sliding_window_view(wide, len(kernel), axis=1) @ kernel)
    phase = np.exp(2j * np.pi * rng.random(envelope.shape))
    breath = np.fft.irfft(envelope * phase, size) * window
    out = np.zeros(len(padded))
    for index, frame in enumerate(breath):
        out[index * hop : index * hop + size] += frame
    out = out[size : size + len(samples)]
    return (out * (rms(samples) / rms(out.astype(np.float32)))).astype(np.float32)


def pass_channel(samples: Float, rng: np.random.Generator) -> Float:
    """Clean voice through a random chain of gain drift, room, response, band, clipping, codec."""
    if rng.random() < 0.2:
        return samples
    steps = [
        (0.25, drift_gain),
        (0.5, add_room),
        (0.65, equalize),
        (0.3, limit_band),
        (0.2, clip_hard),
        (0.07, requantize),
    ]
    for chance, step in steps:
        if rng.random() < chance:
            samples = step(samples, rng)
    return samples


def _unit_rms(x: npt.NDArray[np.floating]) -> Float:
    scaled: Float = (x / (x.std() + 1e-9)).astype(np.float32)
    return scaled


def coloured_noise(count: int, rng: np.random.Generator, exponent: float) -> Float:
    """Unit-rms noise with power ~ 1 / f**exponent (0 white, 1 pink, 2 brown)."""
    spectrum = rng.normal(size=count // 2 + 1) + 1j * rng.normal(size=count // 2 + 1)
    hz = np.maximum(np.fft.rfftfreq(count, 1.0 / SAMPLE_RATE_HZ), 20.0)
    noise = np.fft.irfft(spectrum * hz ** (-exponent / 2.0), count)
    return _unit_rms(noise)


def hum(count: int, rng: np.random.Generator) -> Float:
    """Mains hum with harmonics, unit rms."""
    t_s = np.arange(count) / SAMPLE_RATE_HZ
    base_hz = float(rng.choice([50.0, 60.0, 100.0, 120.0]))
    tones = [
        rng.random() ** 2 * np.sin(2 * np.pi * base_hz * k * t_s + rng.uniform(0, 6.3)) for k in range(1, 9)
    ]
    x = np.sum(tones, axis=0)
    return _unit_rms(x)


def keyboard(count: int, rng: np.random.Generator) -> Float:
    """Bursts of key clicks; the loud parts have unit rms."""
    x = np.zeros(count, np.float32)
    at = int(rng.uniform(0, 0.5) * SAMPLE_RATE_HZ)
    while at < count - 800:
        for delay in (0, int(rng.uniform(0.05, 0.11) * SAMPLE_RATE_HZ)):
            length = int(rng.uniform(0.006, 0.025) * SAMPLE_RATE_HZ)
            click = (
                rng.normal(size=length) * np.exp(-6.0 * np.arange(length) / length) * rng.uniform(0.4, 1.0)
            )
            start = min(at + delay, count - length)
            x[start : start + length] += click.astype(np.float32)
        pause_s = rng.uniform(0.6, 2.5) if rng.random() < 0.08 else rng.gamma(4.0, 0.045)
        at += int(pause_s * SAMPLE_RATE_HZ)
    return filter_spectrum(x, [100.0, 900.0, 4000.0, 8000.0], [-20.0, 0.0, 3.0, -6.0]) / np.float32(0.3)


def music(count: int, rng: np.random.Generator) -> Float:
    """Chords and a melody of decaying harmonic tones over a beat, unit rms."""
    x = np.zeros(count)
    beat = int(60.0 / rng.uniform(70, 140) * SAMPLE_RATE_HZ)
    scale = np.array([0, 2, 4, 5, 7, 9, 11]) + rng.integers(12)
    for start in range(0, count - 10, beat // 2):
        notes = [48 + rng.choice(scale) + 12 * rng.integers(0, 3)] if rng.random() < 0.7 else []
        if start % (2 * beat) < beat // 2:
            root = int(rng.integers(7))
            notes += [36 + scale[(root + step) % 7] for step in (0, 2, 4)]
        length = min(int(rng.uniform(0.6, 2.0) * beat), count - start)
        t_s = np.arange(length) / SAMPLE_RATE_HZ
        envelope = np.minimum(t_s / 0.01, 1.0) * np.exp(-t_s * rng.uniform(1.0, 5.0))
        for note in notes:
            hz = 440.0 * 2.0 ** ((note - 69) / 12.0)
            for k in range(1, 6):
                x[start : start + length] += envelope * np.sin(2 * np.pi * hz * k * t_s) / k**1.3
        if rng.random() < 0.5:
            x[start : start + length] += rng.normal(size=length) * np.exp(-t_s * 40.0) * 0.7
    return _unit_rms(x)


def babble(count: int, rng: np.random.Generator, voices: list[Float]) -> Float:
    """Several other voices laid over each other at random places, unit rms."""
    x = np.zeros(count, np.float32)
    for _ in range(int(rng.integers(3, 8))):
        voice = voices[rng.integers(len(voices))]
        repeated = np.tile(voice[:: int(rng.choice([1, -1]))], count // len(voice) + 2)
        start = int(rng.integers(len(voice)))
        x += repeated[start : start + count] * np.float32(rng.uniform(0.3, 1.0))
    return _unit_rms(x)


def second_voice(count: int, rng: np.random.Generator, voice: Float) -> Float:
    """One clear voice beside, with pauses between what it says; the loud parts have unit rms."""
    x = np.zeros(count, np.float32)
    at = int(rng.uniform(0.0, 4.0) * SAMPLE_RATE_HZ)
    while at < count:
        part = voice[: count - at]
        x[at : at + len(part)] = part
        at += len(voice) + int(rng.uniform(0.5, 4.0) * SAMPLE_RATE_HZ)
    return x / np.float32(rms(voice))


def breath_noise(rng: np.random.Generator) -> Float:
    """One audible breath of 0.25..0.7 s, peak level about 1."""
    count = int(rng.uniform(0.25, 0.7) * SAMPLE_RATE_HZ)
    centre_hz = rng.uniform(700, 2500)
    x = coloured_noise(count, rng, 0.5) * np.hanning(count).astype(np.float32)
    x = filter_spectrum(x, [50.0, centre_hz / 3, centre_hz, 8000.0], [-30.0, -10.0, 0.0, -15.0])
    return x / np.float32(np.abs(x).max() + 1e-9)


def draw_noise(count: int, rng: np.random.Generator, voices: list[Float]) -> Float:
    """Unit-rms background of a random kind; babble is made of the given voices."""
    kind = str(rng.choice(["colour", "hum", "keyboard", "music", "babble"], p=[0.5, 0.1, 0.15, 0.12, 0.13]))
    if kind == "hum":
        return hum(count, rng)
    if kind == "keyboard":
        return keyboard(count, rng)
    if kind == "music":
        return music(count, rng)
    if kind == "babble" and voices:
        return babble(count, rng, voices)
    return coloured_noise(count, rng, float(rng.uniform(0.0, 2.0)))
