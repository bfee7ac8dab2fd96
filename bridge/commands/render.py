"""Makes a video of the avatar saying an audio file."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bridge.audio_file import audio_duration_s, decode_audio
from bridge.errors import SettingError
from bridge.outputs.background import OPAQUE, read_background
from bridge.outputs.video_file import AUDIO_CHANNELS, AUDIO_RATE_HZ, check_goal, open_sink
from engine.config import check_bounds
from engine.pipeline import AvatarPipeline, Engine
from engine.types import SAMPLE_RATE_HZ, AudioChunk, VideoFrame

Float = npt.NDArray[np.float32]

AHEAD_S = 4.0
"""Audio is pushed so far ahead of the frames: more than clips and queues hold, little to keep in memory."""

MAX_TAIL_S = 60.0
UTTERANCE_ID = "render"


def add_parser(subparsers: Any) -> None:
    """Adds `render` to the command line."""
    parser = subparsers.add_parser("render", help="make a video from an audio file", description=__doc__)
    add = parser.add_argument
    add("audio", type=Path, help="any file with sound: WAV, MP3, OGG, FLAC, M4A, MP4, ...")
    add("output", help="out.mp4, out.webm (transparent), a folder or frame_%%05d.png (PNG frames)")
    add("--avatar", metavar="NAME", help="avatar of the pack, or a picture file (the pack's default)")
    add("--size", type=int, default=384, metavar="PX", help="width and height (384)")
    add("--fps", type=int, help="frames per second (the pack's)")
    add(
        "--background",
        metavar="WHAT",
        help=f"colour, checker, picture file or transparent (transparent; in MP4 {OPAQUE})",
    )
    add(
        "--tail",
        type=float,
        default=0.4,
        metavar="S",
        help="seconds after the sound, to close the mouth (0.4)",
    )
    add("--pack", default="nano", help="model pack, name or folder (nano)")
    add("--steps", type=int, default=2, help="sampling steps (2)")
    add("--seed", type=int, default=0, help="of the noise; the same seed gives the same frames (0)")
    add("--threads", type=int, help="most threads that compute (every core)")
    add("--provider", default="auto", help="auto, CPU, CUDA, TensorRT or OpenVINO (auto)")
    add("--aperture", type=Path, metavar="JSON", help="also write the mouth aperture measured in each frame")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Renders.

    Returns:
        0, or 130 where Ctrl-C broke it off and nothing was written.

    Raises:
        BridgeError, EngineError: the audio, an option, the pack or the output is not usable.
    """
    console = Console(stderr=True)
    started_s = time.perf_counter()
    try:
        summary = _render(args, console)
    except KeyboardInterrupt:
        console.print(f"stopped; {args.output} was not written", highlight=False)
        return 130
    wall_s = time.perf_counter() - started_s
    console.print(f"{args.output}: {summary.line()}, {wall_s:.1f} s in all", highlight=False, soft_wrap=True)
    return 0


@dataclass
class _Summary:
    """What a render amounted to; times count from the first audio, without loading the model."""

    fps: int
    frames: int = 0
    render_s: float = 0.0
    first_frame_ms: float = 0.0
    aperture: list[float] = field(default_factory=list)

    def line(self) -> str:
        video_s = self.frames / self.fps
        return (
            f"{self.frames} frames, {video_s:.2f} s at {self.fps} FPS; {self.frames / self.render_s:.1f} "
            f"frames/s, real-time factor {self.render_s / video_s:.2f} (below 1 is faster than real time), "
            f"first frame after {self.first_frame_ms:.0f} ms"
        )


def _render(args: argparse.Namespace, console: Console) -> _Summary:
    # All that can be wrong with the request is told before the model is loaded.
    duration_s = audio_duration_s(args.audio)
    check_bounds("size_px", args.size, where="--size: ")
    if not 0.0 <= args.tail <= MAX_TAIL_S:
        raise SettingError(f"--tail {args.tail:g} is out of bounds; 0 to {MAX_TAIL_S:g} seconds is possible")
    if args.aperture is not None and not args.aperture.absolute().parent.is_dir():
        raise SettingError(f"folder {args.aperture.parent} for --aperture does not exist; create it first")
    can_be_transparent = check_goal(args.output)
    wanted = args.background or ("transparent" if can_be_transparent else OPAQUE)
    background = read_background(wanted, args.size, args.size)
    with ExitStack() as stack:
        engine = stack.enter_context(Engine(args.pack, threads=args.threads, provider=args.provider))
        fps = args.fps or engine.manifest.fps
        pipeline = engine.avatar(
            args.avatar, size_px=args.size, fps=fps, steps=args.steps, seed=args.seed, lead_ms=None
        )
        stack.enter_context(pipeline)
        summary = _Summary(fps)
        sink = open_sink(args.output, size_px=args.size, fps=fps, transparent=background.rgb is None)
        sound = _Reader(decode_audio(args.audio, rate_hz=AUDIO_RATE_HZ, channels=AUDIO_CHANNELS))
        try:
            with _progress(console) as progress:
                total = None if duration_s is None else -(-(duration_s + args.tail) * fps // 1)
                task = progress.add_task(args.audio.name, total=total)
                started_s = time.perf_counter()
                for frame in _frames(args.audio, pipeline, args.tail):
                    if summary.frames == 0:
                        summary.first_frame_ms = (time.perf_counter() - started_s) * 1_000.0
                    sink.write_frame(background.composite(frame.rgba))
                    summary.frames += 1
                    heard = sound.read_to(round(summary.frames * AUDIO_RATE_HZ / fps))
                    if heard.shape[1]:  # nothing is heard in the tail
                        sink.write_audio(heard)
                    if args.aperture is not None:
                        summary.aperture.append(pipeline.reader.aperture(frame.rgba))
                    progress.update(task, advance=1)
                summary.render_s = time.perf_counter() - started_s
            sink.finish()
        except BaseException:
            sink.abort()
            raise
    if args.aperture is not None:
        track = {"fps": fps, "start_s": 0.0, "aperture": [round(value, 4) for value in summary.aperture]}
        args.aperture.write_text(json.dumps(track) + "\n")
    return summary


def _frames(audio: Path, pipeline: AvatarPipeline, tail_s: float) -> Iterator[VideoFrame]:
    """Feeds the file and a tail of silence to the pipeline, a little ahead, and yields its frames."""
    speech = _Reader(decode_audio(audio, rate_hz=SAMPLE_RATE_HZ))
    pushed_samples = 0

    def push_to(end_samples: int) -> None:
        nonlocal pushed_samples
        if speech.ended:
            return
        samples = speech.read_to(end_samples)[0]
        if len(samples):
            pipeline.push_audio(AudioChunk(samples, pushed_samples, UTTERANCE_ID))
            pushed_samples += len(samples)
        if speech.ended:
            silence = np.zeros(round(tail_s * SAMPLE_RATE_HZ), np.float32)
            if len(silence):
                pipeline.push_audio(AudioChunk(silence, pushed_samples))
            pipeline.finish()

    ahead_samples = int(AHEAD_S * SAMPLE_RATE_HZ)
    push_to(ahead_samples)
    for frame in pipeline.frames():
        push_to(frame.pts_samples + ahead_samples)
        yield frame


class _Reader:
    """Cuts a stream of blocks [C, T] at given sample positions.

    Attributes:
        ended: everything has been read.
    """

    def __init__(self, blocks: Iterator[Float]) -> None:
        self.ended = False
        self._blocks = blocks
        self._position = 0
        self._rest: Float | None = None

    def read_to(self, end: int) -> Float:
        """Float32 [C, up to `end` - position]; shorter only at the end of the stream."""
        parts = [] if self._rest is None else [self._rest]
        held = self._position + sum(part.shape[1] for part in parts)
        while held <= end and not self.ended:
            block = next(self._blocks, None)
            if block is None:
                self.ended = True
            else:
                parts.append(block)
                held += block.shape[1]
        joined = np.concatenate(parts, axis=1)
        cut, self._rest = joined[:, : end - self._position], joined[:, end - self._position :]
        self._position += cut.shape[1]
        return np.clip(cut, -1.0, 1.0)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeRemainingColumn(),
        console=console,
    )
