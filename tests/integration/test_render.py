"""`llia render` with the toy pack: real files in, real files out, read back with PyAV."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from bridge.audio_file import decode_audio
from bridge.commands import render
from bridge.errors import BridgeError, SettingError
from engine.errors import EngineError

SIZE_PX = 64


def arguments(*texts: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    render.add_parser(parser.add_subparsers())
    return parser.parse_args(["render", "--tail", "0", *texts])


def write_audio(path: Path, samples: np.ndarray, rate_hz: int) -> Path:
    """Mono float samples to a file whose ending chooses codec and container."""
    codec = {".wav": "pcm_s16le", ".mp3": "libmp3lame", ".ogg": "libopus", ".m4a": "aac"}[path.suffix]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        frame.pts = 0  # so that the encoder's priming is declared and skipped
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def beeps(seconds: float, rate_hz: int, *, on: tuple[float, float]) -> np.ndarray:
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    tone = 0.7 * np.sin(2 * np.pi * 440.0 * time_s)
    return np.where((time_s >= on[0]) & (time_s < on[1]), tone, 0.0)


def read_video(path: Path) -> tuple[list[np.ndarray], np.ndarray, list[float]]:
    """RGBA frames (alpha through libvpx for WebM), sound at 48 kHz, frame times in seconds."""
    frames, times = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        webm = path.suffix == ".webm"
        decoder = av.CodecContext.create("libvpx-vp9", "r") if webm else stream.codec_context
        for packet in container.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                frames.append(frame.to_ndarray(format="rgba"))
                times.append(float(frame.pts * stream.time_base))
    with av.open(str(path)) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    return frames, sound, times


@pytest.mark.parametrize(
    "suffix, rate_hz", [(".wav", 22_050), (".mp3", 44_100), (".ogg", 48_000), (".m4a", 16_000)]
)
def test_mp4_shows_and_sounds_in_sync(tmp_path: Path, toy_pack: Path, suffix: str, rate_hz: int) -> None:
    speech = write_audio(tmp_path / f"speech{suffix}", beeps(2.02, rate_hz, on=(0.8, 1.4)), rate_hz)
    goal = tmp_path / "out.mp4"
    assert render.run(arguments(str(speech), str(goal), "--pack", str(toy_pack), "--size", str(SIZE_PX))) == 0

    frames, sound, times = read_video(goal)
    assert frames[0].shape == (SIZE_PX, SIZE_PX, 4)
    assert times == pytest.approx([k / 25 for k in range(len(frames))], abs=1e-3)
    decoded_s = sum(block.shape[1] for block in decode_audio(speech, rate_hz=48_000)) / 48_000
    assert len(frames) == math.ceil(decoded_s * 25 - 1e-6)
    assert len(sound) / 48_000 == pytest.approx(decoded_s, abs=0.03)  # AAC pads its last block

    # The toy's red follows loudness: the frames that turn red are those that sound in the file itself.
    red = np.array([frame[SIZE_PX * 3 // 4, SIZE_PX // 2, 0] for frame in frames], float)
    lit = np.flatnonzero(red > (red.min() + red.max()) / 2)
    loud = np.flatnonzero(np.abs(sound) > 0.3)
    assert lit[0] / 25 == pytest.approx(loud[0] / 48_000, abs=0.045)
    assert (lit[-1] + 1) / 25 == pytest.approx(loud[-1] / 48_000, abs=0.085)
    assert loud[0] / 48_000 == pytest.approx(0.8, abs=0.01)


def test_colours_survive_mp4(tmp_path: Path, toy_pack: Path) -> None:
    speech = write_audio(tmp_path / "a.wav", beeps(0.4, 16_000, on=(0, 0)), 16_000)
    goal = tmp_path / "out.mp4"
    render.run(
        arguments(
            str(speech), str(goal), "--pack", str(toy_pack), "--size", str(SIZE_PX), "--background", "#c82850"
        )
    )
    frames, _, _ = read_video(goal)
    assert frames[5][1, 1, :3] == pytest.approx([0xC8, 0x28, 0x50], abs=4)


def test_webm_and_png_keep_alpha_and_the_same_seed_the_same_frames(tmp_path: Path, toy_pack: Path) -> None:
    speech = write_audio(tmp_path / "a.wav", beeps(0.5, 16_000, on=(0.1, 0.4)), 16_000)
    common = ("--pack", str(toy_pack), "--size", str(SIZE_PX), "--seed", "3")
    render.run(arguments(str(speech), str(tmp_path / "out.webm"), *common))
    render.run(arguments(str(speech), str(tmp_path / "folder"), *common))
    (tmp_path / "numbered").mkdir()
    render.run(arguments(str(speech), str(tmp_path / "numbered" / "f%03d.png"), *common))

    webm, sound, _ = read_video(tmp_path / "out.webm")
    pictures = sorted((tmp_path / "folder").iterdir())
    assert [p.name for p in pictures] == [f"frame_{k:05d}.png" for k in range(13)]
    assert len(webm) == 13
    assert len(sound) / 48_000 == pytest.approx(0.5, abs=0.03)
    for k, path in enumerate(pictures):
        png = np.asarray(Image.open(path))
        assert png.shape == (SIZE_PX, SIZE_PX, 4)
        assert (png == np.asarray(Image.open(tmp_path / "numbered" / f"f{k:03d}.png"))).all()
        assert png[0, 0, 3] == 0 and png[SIZE_PX // 2, SIZE_PX // 2, 3] == 255
        assert np.abs(webm[k][..., 3].astype(int) - png[..., 3]).mean() < 3


def test_aperture_track_and_other_rate(
    tmp_path: Path, toy_pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speech = write_audio(tmp_path / "a.wav", beeps(1.0, 16_000, on=(0.4, 0.8)), 16_000)
    track = tmp_path / "track.json"
    render.run(
        arguments(
            str(speech),
            str(tmp_path / "out.mp4"),
            "--pack",
            str(toy_pack),
            "--size",
            str(SIZE_PX),
            "--fps",
            "30",
            "--aperture",
            str(track),
        )
    )
    told = json.loads(track.read_text())
    assert (told["fps"], told["start_s"], len(told["aperture"])) == (30, 0.0, 30)
    aperture = np.array(told["aperture"])
    assert aperture[14:23].min() > aperture[2:10].max()
    summary = capsys.readouterr().err
    for part in ("30 frames", "1.00 s at 30 FPS", "real-time factor", "first frame after"):
        assert part in summary


def test_a_tail_of_silence_follows_the_sound(tmp_path: Path, toy_pack: Path) -> None:
    speech = write_audio(tmp_path / "a.wav", beeps(1.0, 16_000, on=(0.0, 1.0)), 16_000)
    track, out = tmp_path / "track.json", tmp_path / "out.mp4"
    request = (str(speech), str(out), "--pack", str(toy_pack), "--size", str(SIZE_PX), "--tail", "0.4")
    assert render.run(arguments(*request, "--aperture", str(track))) == 0
    aperture = json.loads(track.read_text())["aperture"]
    assert len(aperture) == 35
    assert min(aperture[2:23]) > max(aperture[28:])


def bad_requests(folder: Path) -> dict[str, tuple[list[str], str]]:
    """Arguments after `render`, and what the one line must say."""
    speech = str(write_audio(folder / "ok.wav", beeps(0.2, 16_000, on=(0, 1)), 16_000))
    goal = str(folder / "out.mp4")
    (folder / "text.wav").write_text("this is not sound " * 50)
    (folder / "nothing.wav").touch()
    with wave.open(str(folder / "empty.wav"), "wb") as empty:
        empty.setparams((1, 2, 16_000, 0, "NONE", ""))
    nan = folder / "nan.wav"
    with av.open(str(nan), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=16_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.full((1, 4_000), np.nan, "f4"), format="flt", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
    wrong_rate = bytearray(Path(speech).read_bytes())
    wrong_rate[24:28] = (3).to_bytes(4, "little")
    (folder / "rate.wav").write_bytes(wrong_rate)
    return {
        "missing": ([str(folder / "none.wav"), goal], "does not exist"),
        "folder": ([str(folder), goal], "is a folder"),
        "not audio": ([str(folder / "text.wav"), goal], "audio"),
        "no bytes": ([str(folder / "nothing.wav"), goal], "is empty"),
        "no samples": ([str(folder / "empty.wav"), goal], "is empty"),
        "nan": ([str(nan), goal], "NaN"),
        "rate": ([str(folder / "rate.wav"), goal], "claims 3 Hz"),
        "output folder": ([speech, str(folder / "no" / "out.mp4")], "does not exist"),
        "suffix": ([speech, str(folder / "out.avi")], "cannot write .avi"),
        "colour": ([speech, goal, "--background", "blurple"], "blurple"),
        "transparent mp4": ([speech, goal, "--background", "transparent"], "no transparency"),
        "size": ([speech, goal, "--size", "63"], "--size"),
        "avatar": ([speech, goal, "--avatar", "nobody"], "nobody"),
        "aperture folder": ([speech, goal, "--aperture", str(folder / "no" / "a.json")], "--aperture"),
    }


def test_bad_requests_are_told_in_one_line_and_leave_nothing(tmp_path: Path, toy_pack: Path) -> None:
    for name, (texts, told) in bad_requests(tmp_path).items():
        before = set(tmp_path.iterdir())
        with pytest.raises((BridgeError, EngineError)) as caught:
            render.run(arguments("--pack", str(toy_pack), *texts))
        assert told in str(caught.value), name
        assert "\n" not in str(caught.value), name
        assert set(tmp_path.iterdir()) == before, name


def test_ctrl_c_leaves_no_half_file(tmp_path: Path, toy_pack: Path) -> None:
    speech = write_audio(tmp_path / "long.wav", beeps(120.0, 16_000, on=(0, 100)), 16_000)
    started = (
        "import sys; from tests.integration.test_render import arguments, render; "
        "sys.exit(render.run(arguments(*sys.argv[1:])))"
    )
    goal = tmp_path / "out.mp4"
    process = subprocess.Popen(
        [sys.executable, "-c", started, str(speech), str(goal), "--pack", str(toy_pack)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline_s = time.monotonic() + 30
    while not list(tmp_path.glob(".out.*.part.mp4")):
        assert time.monotonic() < deadline_s and process.poll() is None
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "was not written" in errors and "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["long.wav"]


def test_frames_do_not_mix_with_older_ones(tmp_path: Path, toy_pack: Path) -> None:
    speech = write_audio(tmp_path / "a.wav", beeps(0.2, 16_000, on=(0, 1)), 16_000)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "frame_00007.png").touch()
    with pytest.raises(SettingError, match="already holds"):
        render.run(arguments(str(speech), str(tmp_path / "old"), "--pack", str(toy_pack)))
