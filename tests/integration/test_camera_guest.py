"""The virtual camera in a real kernel: v4l2loopback in a small guest, read back by v4l2-ctl.

`camera_guest/build.sh` makes the guest once, `.ci/run` calls it; this machine's files are the guest's.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.camera_guest.inside import PLACEHOLDER, UNKNOWN
from tests.require import require_program, skip_for_want_of

ROOT = Path(__file__).parents[2]
GUEST = ROOT / "build" / "camera_guest"
LIMIT_S = 300

Result = dict[str, Any]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, toy_pack: Path) -> Result:
    """What `camera_guest/inside.py` found; one boot for all tests."""
    require_program("qemu-system-x86_64", "v4l2-ctl")
    if importlib.util.find_spec("pyvirtualcam") is None:
        skip_for_want_of("pyvirtualcam")
    if not (GUEST / "initramfs.gz").is_file():
        skip_for_want_of(f"the guest; run {Path(__file__).parent / 'camera_guest' / 'build.sh'} {GUEST}")
    folder = tmp_path_factory.mktemp("guest")
    (folder / "run").write_text(
        f"cd '{ROOT}'\n"
        f"exec '{sys.executable}' -m tests.integration.camera_guest.inside /run/share '{toy_pack}'\n"
    )
    share = "local,security_model=none"
    subprocess.run(
        ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max", "-smp", "2",
         "-m", "1536", "-nodefaults", "-display", "none", "-no-reboot",
         "-kernel", str(GUEST / "vmlinuz"), "-initrd", str(GUEST / "initramfs.gz"),
         "-append", "panic=-1 quiet mitigations=off tsc=reliable",
         "-virtfs", f"{share},path=/,mount_tag=files,readonly=on,multidevs=remap",
         "-virtfs", f"{share},path={folder},mount_tag=work"],
        timeout=LIMIT_S, check=True, capture_output=True,
    )  # fmt: skip
    output, written = folder / "output", folder / "result.json"
    told = output.read_text() if output.exists() else "no output"
    assert written.exists(), told
    found: Result = json.loads(written.read_text())
    print(json.dumps(found), told)
    assert "second" in found, told
    return found


def test_pictures_arrive_byte_for_byte_at_720p(result: Result) -> None:
    own = result["own"]
    assert own["device"] == "/dev/video0"
    assert own["placeholder"] == [PLACEHOLDER] * 2
    frames = own["frames"]
    assert UNKNOWN not in frames
    assert sorted(frames) == frames, "in order, the placeholder first"
    assert len(set(frames) - {PLACEHOLDER}) >= 4
    assert own["delay_ms"] > 0


def test_the_device_can_be_written_again_after_a_close(result: Result) -> None:
    """v4l2loopback with exclusive_caps, as browsers want it, needs help here."""
    assert result["exclusive_caps"] == "Y"
    assert result["own"]["before"] == result["own"]["after_close"] == ["Video Output"]


@pytest.mark.parametrize("which", ["killed", "second"])
def test_the_daemon_shows_what_it_publishes(result: Result, which: str) -> None:
    run = result[which]
    assert run["different"] > 5 and len(set(run["frames"])) > 3, "the pictures change"
    # The socket's subscriber may itself have missed a frame; what it has must be what the camera showed.
    assert run["frames"].count(UNKNOWN) <= run["missed"]
    known = [pts for pts in run["frames"] if pts != UNKNOWN]
    assert len(known) >= 10


def test_a_kill_leaves_a_device_that_the_next_start_can_use(result: Result) -> None:
    assert result["killed"]["exit"] == -9
    assert result["killed"]["after"] == result["second"]["before"] == ["Video Output"]
    assert result["second"]["exit"] == 0
    assert result["second"]["after"] == ["Video Output"]
