"""What the package's core costs under mono: `python -m tests.unity.measure`; prints JSON.

Pictures that are ready come from the daemon's own sockets in a process of their own, over TCP on this
machine. `transport_ms` is from the daemon's `published_ns` to the picture's last byte in the buffer that it
is shown from.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

from tests.reliability.report import bounded, quantile
from tests.unity.client import CoreClient
from tests.unity.ready_daemon import ReadyDaemon

PICTURES = ((384, 384, 25), (384, 384, 60), (1_920, 1_080, 60))
SETTLE_S = 3.0
"""The first pings tell how both clocks stand, buffers are made, code is compiled."""


def cpu_s(pid: int) -> float:
    """Processor time that a process has used (Linux)."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def transport(width: int, height: int, fps: int, seconds: float) -> dict[str, Any]:
    """Receives pictures of this size for so long."""
    with ReadyDaemon(width, height, fps) as ready, CoreClient(ready.control_endpoint) as client:
        client.do("open", "default", 0, 0, "frames,faces")
        client.wait_for("event")
        client.do("pause", 1)
        time.sleep(SETTLE_S)
        before, cpu_before_s, began_s = client.figures(), cpu_s(client.pid), time.monotonic()
        client.do("times", "on")
        told = [one for one in client.watch(seconds) if one["kind"] == "time"]
        after, spent_s = client.figures(), time.monotonic() - began_s
        cpu = (cpu_s(client.pid) - cpu_before_s) / spent_s
    transport_ms = [one["transport_ms"] for one in told]
    return {
        "picture": f"{width}x{height} RGBA at {fps} fps",
        "received_fps": round((after["received"] - before["received"]) / spent_s, 1),
        "transport_ms_mean": round(sum(transport_ms) / len(transport_ms), 2),
        "transport_ms_p99": round(quantile(transport_ms, 0.99), 2),
        "round_trip_ms": after["round_trip_ms"],
        "collections": after["collections"] - before["collections"],
        "cpu_cores": round(cpu, 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.unity.measure", description=__doc__)
    parser.add_argument("--seconds", type=bounded(float, 1, 600), default=10.0, help="for each size")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    figures = [transport(*picture, arguments.seconds) for picture in PICTURES]
    print(json.dumps({"load_before": round(load, 1), "figures": figures}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
