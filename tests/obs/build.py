"""Builds the OBS plug-in and its test programs, once per test run, into `build/`."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

from tests.require import require_program, skip_for_want_of

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "plugins" / "obs"
BUILD_LIMIT_S = 300
HEADERS = ("obs/obs.h", "zmq.h", "X11/Xlib.h")


def require_plugin_tools() -> None:
    """Skips (or fails, see `tests.require`) where the plug-in cannot be built."""
    require_program("cmake", "ninja", "cc", "pkg-config")
    missing = [name for name in HEADERS if not (Path("/usr/include") / name).is_file()]
    if missing:
        skip_for_want_of("libobs-dev, libzmq3-dev, libx11-dev")


@functools.cache
def build(*, sanitized: bool = False) -> Path:
    """The folder of a finished build.

    Args:
        sanitized: with AddressSanitizer and UndefinedBehaviorSanitizer, for programs that are not OBS.

    Raises:
        AssertionError: it does not build; the compiler's words are in it.
    """
    require_plugin_tools()
    folder = ROOT / "build" / ("obs-sanitized" if sanitized else "obs")
    kind = "Debug" if sanitized else "RelWithDebInfo"
    for command in (
        [
            "cmake", "-S", str(SOURCES), "-B", str(folder), "-G", "Ninja", f"-DCMAKE_BUILD_TYPE={kind}",
            f"-DENABLE_SANITIZERS={'ON' if sanitized else 'OFF'}", "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON",
            "-DGOLDEN_MESSAGES=" + str(ROOT / "tests" / "protocol" / "golden.json"),
        ],
        ["cmake", "--build", str(folder), "--parallel", "2"],
    ):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_LIMIT_S)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6_000:]}\n{done.stderr[-4_000:]}"
    return folder
