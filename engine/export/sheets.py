"""`python -m engine.export.sheets PACK SPEECH.wav FOLDER`: contact sheets of a pack, by the runtime itself.

People the model has never seen speaking, one sentence frame by frame, the three states, and as a moving
picture the pack's avatars speaking beside each other.
"""

from __future__ import annotations

import argparse
import sys
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from engine.audio import resample
from engine.pipeline import Engine
from engine.train.data.shards import HELD_OUT_SEED
from engine.train.data.studio import FULL, Studio, neutral_controls
from engine.types import SAMPLE_RATE_HZ, AudioChunk, AvatarState

PAPER = (206, 220, 229)
NIGHT = (35, 36, 42)
SIZE_PX = 384
Float = npt.NDArray[np.float32]


def read_wav(path: Path) -> Float:
    """16-bit WAV to float32 mono at 16 kHz."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768.0
        return resample(samples.reshape(-1, file.getnchannels()).mean(axis=1), file.getframerate())


def on_paper(picture: Image.Image, colour: tuple[int, int, int] = PAPER) -> Image.Image:
    """A picture with alpha over the sheets' background, or over another."""
    paper = Image.new("RGBA", picture.size, (*colour, 255))
    paper.alpha_composite(picture)
    return paper.convert("RGB")


def perform(
    engine: Engine,
    picture: str | Image.Image | None,
    samples: Float,
    state: AvatarState,
    colour: tuple[int, int, int] = PAPER,
) -> list[Image.Image]:
    """All frames of a recording, on paper or on another colour."""
    frames = []
    with engine.avatar(picture, size_px=SIZE_PX, seed=1, lead_ms=None) as avatar:
        avatar.set_state(state)
        avatar.push_audio(AudioChunk(samples, 0, "sheet"))
        avatar.finish()
        for frame in avatar.frames():
            frames.append(on_paper(Image.fromarray(frame.rgba), colour))
    return frames


def lay_out(pictures: list[Image.Image], columns: int, cell_px: int, path: Path) -> None:
    """Writes pictures row by row."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * cell_px, rows * cell_px), PAPER)
    for i, picture in enumerate(pictures):
        small = picture.resize((cell_px, cell_px), Image.Resampling.LANCZOS)
        sheet.paste(small, (i % columns * cell_px, i // columns * cell_px))
    sheet.save(path, quality=88)


def beside_each_other(engine: Engine, samples: Float, cell_px: int, path: Path) -> None:
    """Writes the avatars speaking a recording, a column each, as a moving WebP of half the frame rate."""
    columns = [
        perform(engine, name, samples, AvatarState.SPEAKING, NIGHT) for name in engine.manifest.avatars
    ]
    frames = []
    for row in zip(*(column[::2] for column in columns), strict=True):
        frame = Image.new("RGB", (len(row) * cell_px, cell_px))
        for i, picture in enumerate(row):
            frame.paste(picture.resize((cell_px, cell_px), Image.Resampling.LANCZOS), (i * cell_px, 0))
        frames.append(frame)
    step_ms = 2000 // engine.manifest.fps
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=step_ms, loop=0, quality=50)


def strangers(count: int) -> list[Image.Image]:
    """Reference pictures of identities that were never trained on."""
    studio = Studio(list(range(HELD_OUT_SEED + 900, HELD_OUT_SEED + 900 + count)))
    controls = torch.from_numpy(neutral_controls(count, np.random.default_rng(3)))
    drawn = studio.render(torch.arange(count), controls, FULL(SIZE_PX))
    straight = torch.cat([drawn[:, :3] / drawn[:, 3:].clamp(min=1e-4), drawn[:, 3:]], dim=1).clamp(0, 1)
    pixels = (straight.permute(0, 2, 3, 1) * 255.0 + 0.5).byte().numpy()
    return [Image.fromarray(p, "RGBA") for p in pixels]


def main(arguments: list[str] | None = None) -> int:
    """Writes identities.jpg, sentence.jpg, states.jpg and speaking.webp."""
    parser = argparse.ArgumentParser(prog="python -m engine.export.sheets", description=__doc__)
    parser.add_argument("pack")
    parser.add_argument("speech", type=Path, help="16-bit WAV")
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(arguments)
    engine, samples = Engine(args.pack), read_wav(args.speech)
    rows = []
    for picture in strangers(6):
        frames = perform(engine, picture, samples[: 4 * SAMPLE_RATE_HZ], AvatarState.SPEAKING)
        rows += [on_paper(picture), *(frames[i] for i in (15, 24, 37, 51, 66, 80, 92))]
    args.folder.mkdir(parents=True, exist_ok=True)
    lay_out(rows, 8, 192, args.folder / "identities.jpg")
    speaking = perform(engine, None, samples, AvatarState.SPEAKING)
    lay_out(speaking[6 : 6 + 40], 8, 192, args.folder / "sentence.jpg")
    silence = np.zeros(6 * SAMPLE_RATE_HZ, np.float32)
    listening = perform(engine, None, samples, AvatarState.LISTENING)
    idle = perform(engine, None, silence, AvatarState.IDLE)
    states = [row[i] for row in (speaking, listening, idle) for i in range(10, 130, 15)]
    lay_out(states, 8, 192, args.folder / "states.jpg")
    beside_each_other(engine, samples[: 4 * SAMPLE_RATE_HZ], 256, args.folder / "speaking.webp")
    return 0


if __name__ == "__main__":
    sys.exit(main())
