"""Recordings: in step, playable whatever happens, bounded; real files read back by PyAV."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from bridge.errors import SettingError
from bridge.outputs import recording as module
from bridge.outputs.live_file import LiveVideoFile
from bridge.outputs.recording import Recording
from bridge.relay import Relay
from engine.types import AudioChunk, AvatarState, VideoFrame

SIZE_PX = 64
FPS = 25
FRAME_SAMPLES = 640
ROOT = Path(__file__).parents[2]


class Avatar:
    """Publishes as the presenter does: each picture, then what is heard with it."""

    def __init__(self, size_px: int = SIZE_PX) -> None:
        self.frames: Relay[VideoFrame] = Relay()
        self.audio: Relay[AudioChunk] = Relay()
        self.size_px = size_px

    def show(self, index: int, level: int, loudness: float = 0.0) -> None:
        pts = index * FRAME_SAMPLES
        rgba = np.full((self.size_px, self.size_px, 4), level, np.uint8)
        rgba[..., 3] = 255
        rgba[: self.size_px // 4, :, 3] = 0
        self.frames.publish(VideoFrame(rgba, pts, "", 0, AvatarState.IDLE))
        tone = loudness * np.sin(np.arange(FRAME_SAMPLES, dtype=np.float32) * 0.4)
        self.audio.publish(AudioChunk(tone.astype(np.float32), pts))

    def record(self, goal: Path, **options: object) -> Recording:
        return Recording(str(goal), self.frames, self.audio, size_px=self.size_px, fps=FPS, **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take long for what is written at the end."""
    monkeypatch.setattr(module, "STOP_S", 20.0)


def read(path: Path) -> tuple[list[float], list[float], np.ndarray, float]:
    """Times and brightness of the pictures; the sound and its time."""
    times, levels = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            times.append(float(frame.pts * frame.time_base))
            levels.append(float(frame.to_ndarray(format="rgb24")[SIZE_PX // 2 :].mean()))
    with av.open(str(path)) as container:
        blocks = list(container.decode(audio=0))
        start_s = float(blocks[0].pts * blocks[0].time_base)
        sound = np.concatenate([block.to_ndarray()[0] for block in blocks])
    return times, levels, sound, start_s


def heard_s(sound: np.ndarray, start_s: float) -> float:
    return float(np.flatnonzero(np.abs(sound) > 0.1)[0]) / 48_000 + start_s


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_picture_and_sound_are_in_step(tmp_path: Path, suffix: str) -> None:
    avatar = Avatar()
    recording = avatar.record(tmp_path / f"talk{suffix}")
    for index in range(100, 150):  # a recording may begin at any time of the avatar's life
        avatar.show(index, 220 if index >= 125 else 30, 0.5 if index >= 125 else 0.0)
    recording.stop()
    recording.stop()
    assert (recording.failure, recording.written_frames, recording.dropped_frames) == ("", 50, 0)
    times, levels, sound, start_s = read(recording.path)
    assert times == pytest.approx([k / FPS for k in range(50)], abs=2e-3)
    bright_s = times[next(k for k, level in enumerate(levels) if level > 125)]
    assert bright_s == pytest.approx(1.0, abs=2e-3)
    assert heard_s(sound, start_s) == pytest.approx(bright_s, abs=0.03)
    assert len(sound) / 48_000 == pytest.approx(2.0, abs=0.08)


def test_webm_keeps_transparency_and_mp4_gets_a_background(tmp_path: Path) -> None:
    avatar = Avatar()
    recordings = [
        avatar.record(tmp_path / "a.webm"),
        avatar.record(tmp_path / "a.mp4", background="#ff0000"),
    ]
    for index in range(5):
        avatar.show(index, 0)
    for recording in recordings:
        recording.stop()
    # FFmpeg's own VP9 decoder leaves alpha out; libvpx reads it.
    with av.open(str(tmp_path / "a.webm")) as container:
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        picture = next(frame for packet in container.demux(video=0) for frame in decoder.decode(packet))
        alpha = picture.to_ndarray(format="rgba")[..., 3]
    assert alpha[:10].max() < 20 and alpha[-32:].min() > 235
    with av.open(str(tmp_path / "a.mp4")) as container:
        rgb = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(rgb[4, 32].astype(int) - (255, 0, 0)).max() < 12 and rgb[-4, 32].max() < 12


def test_a_gap_on_the_clock_is_a_held_picture_and_silence(tmp_path: Path) -> None:
    avatar = Avatar()
    recording = avatar.record(tmp_path / "a.mp4")
    for index in (*range(10), *range(13, 25)):  # a barge-in passes over three frames
        avatar.show(index, 200, 0.5 if index >= 13 else 0.0)
    recording.stop()
    times, _, sound, start_s = read(recording.path)
    assert times == pytest.approx([k / FPS for k in (*range(10), *range(13, 25))], abs=2e-3)
    assert heard_s(sound, start_s) == pytest.approx(13 / FPS, abs=0.03)


def test_what_was_shown_before_a_barge_in_stays_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(monkeypatch, 0.02)
    avatar = Avatar()
    recording = avatar.record(tmp_path / "a.mp4")
    for index in range(10):
        avatar.show(index, 100)
    avatar.frames.withdraw()
    avatar.audio.withdraw()
    recording.stop()
    assert recording.written_frames == 10


def slow(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Makes the encoder slow."""
    write: Callable[..., None] = LiveVideoFile.write_frame

    def write_slowly(self: LiveVideoFile, pixels: np.ndarray, index: int | None = None) -> None:
        time.sleep(seconds)
        write(self, pixels, index)

    monkeypatch.setattr(LiveVideoFile, "write_frame", write_slowly)


def test_a_slow_encoder_loses_pictures_never_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, 0.03)
    monkeypatch.setattr(module, "WAITING_PICTURES_BYTES", 0)  # the least: four pictures
    avatar = Avatar()
    recording = avatar.record(tmp_path / "a.mp4")
    for index in range(100):
        avatar.show(index, 100, 0.5)
    recording.stop()
    assert recording.dropped_frames > 10
    assert recording.written_frames + recording.dropped_frames == 100
    times, _, sound, _ = read(recording.path)
    assert len(times) == recording.written_frames
    assert len(sound) / 48_000 == pytest.approx(4.0, abs=0.08)
    loud = np.abs(sound[: 4 * 48_000]).reshape(-1, 4_800).max(axis=1)
    assert loud.min() > 0.3, "no piece of it is missing"


def test_no_file_is_overwritten_and_none_is_left_without_a_frame(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("older")
    (tmp_path / "a-2.mp4").write_text("old")
    avatar = Avatar()
    recording = avatar.record(tmp_path / "a.mp4")
    assert recording.path == tmp_path / "a-3.mp4"
    recording.stop()
    assert (tmp_path / "a.mp4").read_text() == "older"
    assert not recording.path.exists() and recording.failure == ""


def test_unusable_goals_are_one_line(tmp_path: Path) -> None:
    avatar = Avatar()
    for goal, words in (
        (tmp_path / "a.avi", "end in .mp4 or .webm"),
        (tmp_path / "no" / "a.mp4", "does not exist"),
    ):
        with pytest.raises(SettingError, match=words) as caught:
            avatar.record(goal)
        assert "\n" not in str(caught.value)
    with pytest.raises(SettingError, match="no transparency"):
        avatar.record(tmp_path / "a.mp4", background="transparent")


TALK = """
import os, sys, time
from pathlib import Path
from tests.bridge.test_recording import Avatar
avatar = Avatar(256)
told = []
recording = avatar.record(Path(sys.argv[1]), on_failure=told.append)
import numpy as np
import tests.bridge.test_recording as t
noise = np.random.default_rng(0).integers(0, 256, (256, 256, 4), np.uint8)
from engine.types import AvatarState, VideoFrame, AudioChunk
for k in range(int(sys.argv[2])):
    picture = np.roll(noise, k * 5, axis=1)
    picture[..., 3] = 255
    avatar.frames.publish(VideoFrame(picture, k * 640, "", 0, AvatarState.IDLE))
    avatar.audio.publish(AudioChunk(np.full(640, 0.1, np.float32), k * 640))
    time.sleep(0.004)
print("shown", flush=True)
if sys.argv[3] == "wait":
    time.sleep(60)
recording.stop()
print("failure", recording.failure)
print("told", len(told))
"""


def playable_s(path: Path) -> float:
    """Decodes what can be decoded; the time of the last picture."""
    last = 0.0
    with av.open(str(path)) as container:
        try:
            for frame in container.decode(video=0):
                last = float(frame.pts * frame.time_base)
        except av.FFmpegError:  # the last piece may be cut off
            pass
    return last


def talk(
    folder: Path, name: str, frames: int, end: str = "stop", before: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", TALK, str(folder / name), str(frames), end],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=before,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_a_killed_daemon_leaves_a_file_that_plays(tmp_path: Path, name: str) -> None:
    process = talk(tmp_path, name, 100, "wait")
    try:
        assert process.stdout is not None and process.stdout.readline() == "shown\n"
        deadline_s = time.monotonic() + 20
        while playable_when_there(tmp_path / name) < 2.0:
            assert time.monotonic() < deadline_s
            time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
    assert playable_s(tmp_path / name) >= 2.0


def playable_when_there(path: Path) -> float:
    try:
        return playable_s(path)
    except (OSError, av.FFmpegError, IndexError):
        return 0.0


LIMIT_BYTES = 1_572_864


def limit_file_size() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={LIMIT_BYTES}", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk; the test with a limit of the file's size stands in")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def require_told_once_and_playable(process: subprocess.Popen[str], path: Path) -> None:
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert f"recording {path} has ended early: " in out
    assert "told 1" in out
    assert errors.count("ended early") == 1 and "Traceback" not in errors
    assert path.stat().st_size <= LIMIT_BYTES
    assert playable_s(path) >= 0.9


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_file_at_its_limit_is_told_once_and_plays(tmp_path: Path, name: str) -> None:
    process = talk(tmp_path, name, 250, before=limit_file_size)
    require_told_once_and_playable(process, tmp_path / name)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_a_full_disk_is_told_once_and_the_file_plays(small_disk: Path, name: str) -> None:
    process = talk(small_disk, name, 250)
    require_told_once_and_playable(process, small_disk / name)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_disk_that_fills_at_the_very_end_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The index at the end does not fit: the beginning must not be rewritten as if it did."""
    avatar = Avatar()
    recording = avatar.record(tmp_path / "a.mp4")
    for index in range(60):
        avatar.show(index, index * 4)
    deadline_s = time.monotonic() + 10
    while recording.written_frames < 60 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        steady = recording._file._file  # where the next write goes
        os.dup2(full, steady._file.fileno())
        with caplog.at_level(logging.ERROR):
            recording.stop()
    finally:
        os.close(full)
    assert "No space left" in recording.failure
    assert playable_s(tmp_path / "a.mp4") >= 0.9
