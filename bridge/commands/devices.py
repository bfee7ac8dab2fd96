"""`llia devices`: lists microphones, sound outputs and cameras."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from bridge.devices import SoundDevice, list_cameras, list_microphones, list_outputs
from bridge.errors import DeviceError

NO_SOUND = (
    "none found; plug one in, or start the system's sound server "
    "(Linux: `systemctl --user start pipewire-pulse` or `pulseaudio --start`)"
)


def add_parser(subparsers: Any) -> None:
    """Adds `devices` to the command line."""
    parser = subparsers.add_parser(
        "devices", help="list microphones, sound outputs and cameras", description=__doc__
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line per device; returns 0, with none too."""
    try:
        _show("microphone", list_microphones)
        _show("output", list_outputs)
    except DeviceError as error:
        print(f"{'sound':<11} {error}")
    cameras = list_cameras()
    for camera in cameras:
        print(f"{'camera':<11} {camera.path}  {camera.name}")
    if not cameras:
        print(f"{'camera':<11} none found")
    return 0


def _show(kind: str, devices: Callable[[], list[SoundDevice]]) -> None:
    listed = devices()
    for device in listed:
        default = "  (default)" if device.is_default else ""
        channels = "1 channel" if device.channels == 1 else f"{device.channels} channels"
        print(f"{kind:<11} {device.name}  {device.sample_rate_hz} Hz  {channels}{default}")
    if not listed:
        print(f"{kind:<11} {NO_SOUND}")
