"""Video files and backgrounds: what is written is what comes back."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from bridge.errors import SettingError
from bridge.outputs.background import CHECKER_GREYS, Background, read_background
from bridge.outputs.video_file import AUDIO_RATE_HZ, PngFrames, VideoFile, check_goal, open_sink

SIZE_PX = 64


def grey_ramp(frames: int, channels: int) -> np.ndarray:
    """uint8 [F, S, S, channels], each frame of one brightness, opaque."""
    levels = np.linspace(20, 230, frames).astype(np.uint8)
    pixels = np.broadcast_to(levels[:, None, None, None], (frames, SIZE_PX, SIZE_PX, channels)).copy()
    if channels == 4:
        pixels[..., 3] = 255
    return pixels


@pytest.mark.parametrize(
    "suffix, transparent, fps", [(".mp4", False, 25), (".webm", True, 30), (".webm", False, 10)]
)
def test_frames_and_sound_come_back_in_order_and_time(
    tmp_path: Path, suffix: str, transparent: bool, fps: int
) -> None:
    pixels = grey_ramp(20, 4 if transparent else 3)
    sink = open_sink(str(tmp_path / f"out{suffix}"), size_px=SIZE_PX, fps=fps, transparent=transparent)
    click_samples = 10 * AUDIO_RATE_HZ // fps
    for k, picture in enumerate(pixels):
        sink.write_frame(picture)
        block = np.zeros((2, (k + 1) * AUDIO_RATE_HZ // fps - k * AUDIO_RATE_HZ // fps), np.float32)
        if k >= 10:
            block += 0.5 * np.sin(np.arange(block.shape[1], dtype=np.float32) * 0.06)
        sink.write_audio(block)
    sink.finish()

    with av.open(str(tmp_path / f"out{suffix}")) as container:
        frames = list(container.decode(video=0))
        assert frames[0].width == frames[0].height == SIZE_PX
        assert [float(f.pts * f.time_base) for f in frames] == pytest.approx(
            [k / fps for k in range(20)], abs=1e-3
        )
        seen = [f.to_ndarray(format="rgb24")[32, 32].mean() for f in frames]
        assert seen == pytest.approx(list(pixels[:, 32, 32, 0]), abs=5)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert np.flatnonzero(np.abs(sound) > 0.1)[0] == pytest.approx(click_samples, abs=0.005 * AUDIO_RATE_HZ)
    assert len(sound) == pytest.approx(20 * AUDIO_RATE_HZ / fps, abs=0.03 * AUDIO_RATE_HZ)


def test_abort_leaves_nothing(tmp_path: Path) -> None:
    for goal in ("out.mp4", "out.webm", "folder", "f%03d.png"):
        sink = open_sink(str(tmp_path / goal), size_px=SIZE_PX, fps=25, transparent=False)
        for picture in grey_ramp(5, 3):
            sink.write_frame(picture)
            sink.write_audio(np.zeros((2, 1_920), np.float32))
        assert list(tmp_path.iterdir())
        sink.abort()
        assert list(tmp_path.iterdir()) == [], goal


def test_an_older_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("older")
    sink = VideoFile(tmp_path / "out.mp4", size_px=SIZE_PX, fps=25, transparent=False)
    sink.write_frame(grey_ramp(1, 3)[0])
    assert (tmp_path / "out.mp4").read_text() == "older"
    sink.finish()
    assert (tmp_path / "out.mp4").stat().st_size > 500


def test_png_patterns(tmp_path: Path) -> None:
    sink = PngFrames(tmp_path, "a_%02d.png", transparent=True)
    for picture in grey_ramp(3, 4):
        sink.write_frame(picture)
    sink.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_00.png", "a_01.png", "a_02.png"]
    with pytest.raises(SettingError, match="already holds"):
        PngFrames(tmp_path, "a_%02d.png", transparent=True)
    for pattern in ("a.png", "%d_%d.png", "a_%03d.jpg"):
        with pytest.raises(SettingError, match="one frame number"):
            PngFrames(tmp_path, pattern, transparent=True)


def test_goals_that_cannot_be_written(tmp_path: Path) -> None:
    for goal, told in (
        (tmp_path / "out.gif", "cannot write .gif"),
        (tmp_path / "no" / "out.mp4", "does not exist"),
    ):
        with pytest.raises(SettingError, match=told):
            check_goal(str(goal))
    with pytest.raises(SettingError, match="even size"):
        open_sink(str(tmp_path / "out.mp4"), size_px=63, fps=25, transparent=False)
    with pytest.raises(SettingError, match="no transparency"):
        open_sink(str(tmp_path / "out.mp4"), size_px=64, fps=25, transparent=True)
    assert check_goal(str(tmp_path / "out.webm")) and check_goal(str(tmp_path / "f_%d.png"))
    assert not check_goal(str(tmp_path / "out.MP4"))


def test_composite_is_exact() -> None:
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (32, 32, 4), np.uint8)
    behind = rng.integers(0, 256, (32, 32, 3), np.uint8)
    alpha = rgba[..., 3:] / 255.0
    expected = np.round(rgba[..., :3] * alpha + behind * (1 - alpha))
    assert np.abs(Background(behind).composite(rgba) - expected).max() <= 0.5
    assert Background(None).composite(rgba) is rgba


def test_backgrounds_users_may_write(tmp_path: Path) -> None:
    assert read_background("transparent", 32, 32).rgb is None
    checker = read_background("checker", 64, 64).rgb
    assert checker is not None and set(np.unique(checker)) == set(CHECKER_GREYS)
    for text, rgb in (("#c82850", (0xC8, 0x28, 0x50)), ("navy", (0, 0, 128)), ("rgb(1, 2, 3)", (1, 2, 3))):
        colour = read_background(text, 8, 8).rgb
        assert colour is not None and (colour == rgb).all()
    Image.new("RGB", (100, 50), (9, 8, 7)).save(tmp_path / "behind.png")
    picture = read_background(str(tmp_path / "behind.png"), 32, 32).rgb
    assert picture is not None and picture.shape == (32, 32, 3) and (picture == (9, 8, 7)).all()
    (tmp_path / "text.png").write_text("no picture")
    for text, told in ((str(tmp_path / "text.png"), "not a picture"), ("blurple", "no colour")):
        with pytest.raises(SettingError, match=told):
            read_background(text, 32, 32)
