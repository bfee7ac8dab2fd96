"""The daemon is killed and started again; clients go on by themselves: `python -m tests.reliability.restart`.

A client written from PROTOCOL.md with an avatar of its own, and the one that the package's commands use.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from bridge.client import DaemonClient
from bridge.errors import PortError
from bridge.protocol.messages import GetStatistics, Statistics
from tests.integration.wire import WireClient
from tests.reliability.processes import DaemonProcess, sockets, threads
from tests.reliability.report import bounded, quantile, tell

COMES_BACK_WITHIN_S = 15.0


class StreamingClient:
    """Keeps an avatar of its own open and looks at it, whatever happens to the daemon.

    Its sockets connect again by themselves; `unknown_avatar` tells that the avatar is gone.
    """

    def __init__(self, daemon: DaemonProcess) -> None:
        self.wire = WireClient(daemon.control_endpoint, daemon.frames_endpoint, ("frame/",))
        self.avatar_id = self._open()

    def see(self, timeout_s: float) -> float:
        """Waits for a picture of its avatar, which it opens again if need be; how long that took, seconds."""
        start_s = time.monotonic()
        asked_s = 0.0
        while (now_s := time.monotonic()) < start_s + timeout_s:
            if self.wire.frames.poll(100):
                topic, header, _ = self.wire.published()
                if topic == f"frame/{self.avatar_id}" and time.monotonic_ns() - header["published_ns"] < 1e9:
                    return time.monotonic() - start_s
            if now_s - asked_s > 1.0:
                asked_s = now_s
                self.wire.send("get_avatar_info", avatar_id=self.avatar_id, request_id="there?")
            while self.wire.control.poll(0):
                if self.wire.answer().get("code") == "unknown_avatar":
                    self.avatar_id = self._open()
        return -1.0

    def _open(self) -> str:
        told = self.wire.ask("open_avatar", size_px=64)
        return str(told["avatar_id"])

    def close(self) -> None:
        self.wire.close()


def restart(rounds: int) -> tuple[dict[str, Any], list[str]]:
    """Runs it; the figures and the faults."""
    faults: list[str] = []
    start_s, back_s = [], []
    told_while_down = 0
    with DaemonProcess() as daemon:
        streaming = StreamingClient(daemon)
        figures = []
        try:
            with DaemonClient(daemon.control_endpoint) as asking:
                asking.ask(GetStatistics(), Statistics)
                if streaming.see(COMES_BACK_WITHIN_S) < 0:
                    faults.append("no picture before the first kill")
                for number in range(rounds):
                    daemon.kill()
                    try:
                        asking.ask(GetStatistics(), Statistics)
                        faults.append("a killed daemon has answered")
                    except PortError:
                        told_while_down += 1
                    began_s = time.monotonic()
                    daemon.start()
                    start_s.append(time.monotonic() - began_s)
                    back = streaming.see(COMES_BACK_WITHIN_S)
                    if back < 0:
                        faults.append(f"restart {number}: no picture within {COMES_BACK_WITHIN_S:g} s")
                    back_s.append(back)
                    if asking.ask(GetStatistics(), Statistics).daemon["avatars"] != 2:
                        faults.append(f"restart {number}: not the default avatar and the client's own")
                    figures.append((threads(daemon.pid), sockets(daemon.pid)))
        finally:
            streaming.close()
        faults += daemon.complaints()
    return {
        "restarts": rounds,
        "told_while_down": told_while_down,
        "start_s_median": round(quantile(start_s, 0.5), 2),
        "picture_after_start_s_median": round(quantile(back_s, 0.5), 2),
        "picture_after_start_s_max": round(max(back_s), 2),
        "threads_and_sockets": figures,
    }, faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.restart", description=__doc__)
    parser.add_argument("--rounds", type=bounded(int, 1, 100), default=10)
    arguments = parser.parse_args()
    return tell(*restart(arguments.rounds))


if __name__ == "__main__":
    sys.exit(main())
