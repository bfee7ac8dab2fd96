"""What `llia run` needs of a machine: `python -m tests.reliability.footprint`.

From the start to the first picture at a subscriber; memory and processor with one avatar and with four, all
idle, watched and not.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.integration.wire import WireClient
from tests.reliability.processes import DaemonProcess
from tests.reliability.report import bounded, quantile, tell

AVATARS = 4
SETTLE_S, PING_S = 3.0, 2.0
READY_S, MEMORY_MB, IDLE_CORES = 3.0, 600.0, 0.5


def cpu_s(pid: int) -> float:
    """Processor time used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident, shared files included, MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def watch(client: WireClient, pid: int, seconds: float) -> dict[str, float]:
    """Reads what is published for so long; processor, memory, and frames a second of all avatars."""
    frames, used_s, start_s = 0, cpu_s(pid), time.monotonic()
    pinged_s = 0.0
    while (spent_s := time.monotonic() - start_s) < seconds:
        if time.monotonic() - pinged_s > PING_S:  # a silent client loses its avatars
            pinged_s = time.monotonic()
            client.send("ping")
        if client.frames.poll(100):
            client.frames.recv_multipart(copy=False)
            frames += 1
    cores = (cpu_s(pid) - used_s) / spent_s
    return {"cores": round(cores, 2), "memory_mb": round(memory_mb(pid)), "fps": round(frames / spent_s, 1)}


def starts_s(pack: str, flags: list[str], count: int) -> list[float]:
    """From the command to the first picture that a subscriber has, who tries to connect all the while."""
    found = []
    for _ in range(count):
        with DaemonProcess(*flags, pack=pack) as daemon:
            client = WireClient(
                daemon.control_endpoint, daemon.frames_endpoint, ("frame/",), patience_ms=30_000
            )
            daemon.kill()
            start_s = time.monotonic()
            daemon.start()
            client.published()
            found.append(time.monotonic() - start_s)
            client.close()  # its sockets have connected again by themselves, at the same ports
    return found


def footprint(seconds: float, starts: int, pack: str, flags: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Runs it; the figures and what is beyond the goals."""
    ready_s = starts_s(pack, flags, starts)
    figures: dict[str, dict[str, float]] = {}
    with DaemonProcess(*flags, pack=pack) as daemon:
        client = WireClient(daemon.control_endpoint, daemon.frames_endpoint, (), patience_ms=30_000)
        try:
            for name, opened in (("one", 1), (str(AVATARS), AVATARS)):
                for _ in range(opened - 1):
                    told = client.ask("open_avatar")
                    assert told["type"] == "avatar_opened", told
                for watched in (False, True):
                    if watched:
                        client.frames.subscribe("frame/")
                    watch(client, daemon.pid, SETTLE_S)
                    figures[f"{name}_{'watched' if watched else 'unwatched'}"] = watch(
                        client, daemon.pid, seconds
                    )
                client.frames.unsubscribe("frame/")
        finally:
            client.close()
        faults = daemon.complaints()
    most_s, memory = quantile(ready_s, 0.5), figures[f"{AVATARS}_watched"]["memory_mb"]
    if most_s > READY_S:
        faults.append(f"ready after {most_s:.1f} s")
    if memory > MEMORY_MB:
        faults.append(f"{memory:.0f} MB with {AVATARS} avatars")
    if figures["one_watched"]["cores"] > IDLE_CORES:
        faults.append(f"an idle avatar takes {figures['one_watched']['cores']} cores")
    return {
        "pack": pack,
        "flags": " ".join(flags),
        "start_to_first_picture_s": [round(value, 2) for value in sorted(ready_s)],
        **{f"{name} idle": value for name, value in figures.items()},
    }, faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.footprint", description=__doc__)
    parser.add_argument("--seconds", type=bounded(float, 1, 60), default=8.0, help="of each figure")
    parser.add_argument("--starts", type=bounded(int, 1, 20), default=5)
    parser.add_argument("--pack", default="nano", help="a shipped pack (nano)")
    parser.add_argument("flags", nargs="*", help="of `llia run`, after --")
    arguments = parser.parse_args()
    return tell(*footprint(arguments.seconds, arguments.starts, arguments.pack, arguments.flags))


if __name__ == "__main__":
    sys.exit(main())
