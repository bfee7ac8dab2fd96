"""`llia devices`: lists microphones and cameras."""

from __future__ import annotations

import argparse
from typing import Any

from bridge.devices import list_cameras, list_microphones
from bridge.errors import DeviceError


def add_parser(subparsers: Any) -> None:
    """Adds `devices` to the command line."""
    parser = subparsers.add_parser("devices", help="list microphones and cameras", description=__doc__)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line per device; returns 0, with none too."""
    try:
        microphones = list_microphones()
    except DeviceError as error:
        microphones = []
        print(f"microphone  {error}")
    else:
        if not microphones:
            print("microphone  none found; plug one in, or talk through the page's microphone")
    for microphone in microphones:
        default = "  (default)" if microphone.is_default else ""
        print(
            f"microphone  {microphone.name}  {microphone.sample_rate_hz} Hz  "
            f"{microphone.channels} channel(s){default}"
        )
    cameras = list_cameras()
    for camera in cameras:
        print(f"camera      {camera.path}  {camera.name}")
    if not cameras:
        print("camera      none found")
    return 0
