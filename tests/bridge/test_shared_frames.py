"""Pictures in shared memory: on real files, with a reader written from PROTOCOL.md."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.outputs import shared_frames
from bridge.outputs.shared_frames import PREFIX, SLOTS, FrameRing, SharedPicture, remove_left_over
from tests.integration.wire import SharedPictures

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's locks and modes")


def told(place: SharedPicture | None, payload: bytes) -> dict[str, Any]:
    assert place is not None
    return {**dataclasses.asdict(place), "payload_bytes": len(payload)}


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[FrameRing]:
    made = FrameRing(tmp_path)
    yield made
    made.close()


@pytest.fixture
def reader() -> Iterator[SharedPictures]:
    made = SharedPictures()
    yield made
    made.close()


def test_the_last_pictures_are_whole_and_older_ones_known_as_gone(
    ring: FrameRing, reader: SharedPictures
) -> None:
    payloads = [bytes([number]) * 9_000 for number in range(10)]
    headers = [told(ring.write(payload), payload) for payload in payloads]
    taken = [reader.take(header) for header in headers]
    assert taken == [None] * (10 - SLOTS) + payloads[-SLOTS:]
    assert len({header["file"] for header in headers}) == 1
    assert all(header["offset"] % 64 == 0 for header in headers)


def test_a_picture_that_is_written_meanwhile_is_not_taken(ring: FrameRing, reader: SharedPictures) -> None:
    header = told(ring.write(b"whole"), b"whole")
    assert reader.take(header) == b"whole"
    assert ring._file is not None
    at = header["sequence_offset"]
    ring._file[at : at + 8] = bytes(8)
    assert reader.take(header) is None


def test_a_larger_picture_makes_a_new_file(ring: FrameRing, reader: SharedPictures, tmp_path: Path) -> None:
    small = told(ring.write(b"a" * 100), b"a" * 100)
    held = SharedPictures()
    assert held.take(small) == b"a" * 100
    large = told(ring.write(b"b" * 100_000), b"b" * 100_000)
    assert large["file"] != small["file"] and reader.take(large) == b"b" * 100_000
    assert reader.take(small) is None  # its file is gone
    assert held.take(small) == b"a" * 100  # who had mapped it is not harmed
    held.close()
    assert [str(path) for path in tmp_path.iterdir()] == [large["file"]]
    ring.close()
    assert list(tmp_path.iterdir()) == []
    again = told(ring.write(b"c"), b"c")
    assert reader.take(again) == b"c"


def test_only_this_user_may_read_it(ring: FrameRing) -> None:
    header = told(ring.write(b"x"), b"x")
    assert os.stat(header["file"]).st_mode & 0o777 == 0o600


def test_no_room_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ring = FrameRing(tmp_path / "missing")
    assert ring.write(b"x") is None and ring.write(b"x") is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "missing" in caplog.text


def test_a_full_file_system_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[: len(data) // 2]))
    ring = FrameRing(tmp_path)
    assert ring.write(b"x") is None
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from bridge.outputs.shared_frames import FrameRing
ring = FrameRing(Path(sys.argv[1]))
ring.write(b"x")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_daemon_left_is_removed_and_nothing_else(
    ring: FrameRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=30)
    living = told(ring.write(b"alive"), b"alive")["file"]
    (tmp_path / "other").write_bytes(b"")
    left = [path for path in tmp_path.glob(PREFIX + "*") if str(path) != living]
    assert len(left) == 1
    remove_left_over(tmp_path)
    assert left[0].exists()  # too young: its daemon may be about to lock it
    monkeypatch.setattr(shared_frames, "YOUNG_S", -1.0)
    remove_left_over(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {Path(living).name, "other"}


def test_writing_takes_little_time(ring: FrameRing) -> None:
    payload = bytes(1920 * 1080 * 4)
    ring.write(payload)
    start_s = time.monotonic()
    for _ in range(8):
        ring.write(payload)
    assert (time.monotonic() - start_s) / 8 < 0.1
