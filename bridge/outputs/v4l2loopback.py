"""Linux's virtual camera device: how it is made, and what v4l2loopback needs beyond writing to it."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

if sys.platform == "linux":
    import fcntl

MODPROBE = 'sudo modprobe v4l2loopback devices=1 exclusive_caps=1 card_label="LLIA"'

_VIDIOC_STREAMON = 0x40045612
_BUF_TYPE_VIDEO_OUTPUT = 2


def keep_writable(device: str) -> None:
    """Tells the driver that this process writes to the device; right after opening it.

    v4l2loopback 0.12 with exclusive_caps=1 (which browsers want) turns a device into a camera with the first
    picture, and back only if it knew the writer to stream. Without this nobody could open it for writing
    again after the writer has gone, even by a kill. Newer drivers may refuse it and do not need it.

    Args:
        device: such as /dev/video0; this process has opened it.
    """
    if sys.platform != "linux":
        return
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if os.readlink(entry) == device:
                fcntl.ioctl(int(entry.name), _VIDIOC_STREAMON, struct.pack("i", _BUF_TYPE_VIDEO_OUTPUT))
        except OSError:  # a descriptor that was closed meanwhile, or a driver that refuses
            continue
