"""Messages that are none, or nearly: `python -m tests.reliability.malformed --messages 1000000 --minutes 10`.

A pool of messages that hypothesis has drawn, of random bytes and of valid ones, is sent on and on, each time
with other bytes flipped, cut off or doubled. Every one has to be answered or counted.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import Any

import msgpack
import zmq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bridge.protocol.messages import REQUESTS
from bridge.sockets import MAX_SUBSCRIPTION_BYTES
from tests.integration.wire import WireClient
from tests.reliability.processes import DaemonProcess, rss_mib, sockets, threads
from tests.reliability.report import bounded, tell

POOL = 2_000
UNANSWERED = 256
"""So many may be on their way."""
UPSTREAM_SHARE = 0.05
GROWTH_MIB = 20.0

FIELDS = sorted({name for cls in REQUESTS for name in cls.__dataclass_fields__} - {"type"})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=40)
    | st.binary(max_size=40) | st.sampled_from(["default", "auto", "s16", "RGBA", "x" * 600, 16_000, 1]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
HEADERS = st.builds(
    lambda fields, version, kind: msgpack.packb({**fields, "v": version, "type": kind}),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6),
    st.sampled_from([1, 1, 1, 2, None, "1"]),
    # Pictures are opened and closed in the storm; here it would take the time of a thousand others.
    st.sampled_from([cls.type for cls in REQUESTS if cls.type != "open_avatar"] + ["dance", ""]),
)
MESSAGES = st.lists(st.binary(max_size=80), min_size=1, max_size=5) | st.builds(
    lambda header, rest: [header, *rest], HEADERS, st.lists(st.binary(max_size=80), max_size=2)
)


def drawn(count: int, seed: int) -> list[list[bytes]]:
    """Messages of hypothesis' choice, every time the same."""
    pool: list[list[bytes]] = []

    @settings(
        max_examples=count, database=None, derandomize=True, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(MESSAGES)
    def collect(parts: list[bytes]) -> None:
        pool.append(parts)

    collect()
    chance = random.Random(seed)
    return pool + [[chance.randbytes(chance.randrange(1, 200))] for _ in range(count // 10)]


def spoilt(parts: list[bytes], chance: random.Random) -> list[bytes]:
    """The message as it is, or with some bytes flipped, cut off or doubled."""
    how = chance.randrange(5)
    if how < 2:
        return parts
    place = chance.randrange(len(parts))
    part = bytearray(parts[place])
    if how == 2 and part:
        for _ in range(chance.randrange(1, 4)):
            part[chance.randrange(len(part))] = chance.randrange(256)
    elif how == 3:
        del part[chance.randrange(len(part) + 1) :]
    else:
        part += part[chance.randrange(len(part) + 1) :] * chance.randrange(1, 8)
    return [*parts[:place], bytes(part), *parts[place + 1 :]]


def malformed(messages: int, minutes: float, seed: int) -> tuple[dict[str, Any], list[str]]:
    """Runs it; the figures and the faults."""
    chance, pool = random.Random(seed), drawn(min(POOL, messages // 10), seed)
    with DaemonProcess() as daemon:
        client = WireClient(daemon.control_endpoint, daemon.frames_endpoint, ())
        upstream = client.context.socket(zmq.XSUB)  # what a SUB cannot send
        upstream.sndhwm = 0
        upstream.connect(daemon.frames_endpoint)
        watcher = WireClient(daemon.control_endpoint, daemon.frames_endpoint, (), patience_ms=30_000)
        try:
            counts = watcher.ask("get_statistics")["daemon"]
            asked = 1
            before = {name: counts.get(name, 0) for name in ("answered", "refused", "malformed", "ignored")}
            baseline = (threads(daemon.pid), sockets(daemon.pid))
            sent = rude = answers = silent = 0
            memory: list[float] = []
            start_s = time.monotonic()
            while sent + rude < messages and time.monotonic() - start_s < 60 * minutes:
                if (sent + rude) % 1_000 == 0:
                    memory.append(rss_mib(daemon.pid))
                parts = spoilt(chance.choice(pool), chance)
                if chance.random() < UPSTREAM_SHARE:
                    # A part that begins with 0 or 1 would subscribe; a longer one ends the connection.
                    upstream.send_multipart([b"\2" + part[: MAX_SUBSCRIPTION_BYTES - 1] for part in parts])
                    rude += 1
                    continue
                client.control.send_multipart(parts)
                sent += 1
                while client.control.poll(0):
                    client.control.recv_multipart()
                    answers += 1
                # What succeeds without a request_id is not answered: no more than so many ahead of the count.
                if sent - silent - answers >= UNANSWERED:
                    counts = watcher.ask("get_statistics")["daemon"]
                    asked += 1
                    while client.control.poll(20):
                        client.control.recv_multipart()
                        answers += 1
                    silent = sent - answers
                if not daemon.runs:
                    return {"messages": sent + rude}, ["the daemon has ended"]
            spent_s = time.monotonic() - start_s
            faults = []
            deadline_s = time.monotonic() + 30
            while time.monotonic() < deadline_s:
                counts = watcher.ask("get_statistics")["daemon"]
                asked += 1
                now = {name: counts.get(name, 0) - value for name, value in before.items()}
                # The answer to this question is not counted yet when it is written.
                counted = now["answered"] + now["refused"] - (asked - 1)
                if counted >= sent and now["ignored"] >= rude:
                    break
                time.sleep(0.2)
            while client.control.poll(100):
                client.control.recv_multipart()
                answers += 1
            if counted != sent:
                faults.append(f"{sent} requests, {counted} counted")
            if now["ignored"] != rude:
                faults.append(f"{rude} messages upstream, {now['ignored']} counted")
            if answers > sent:
                faults.append(f"{answers} answers to {sent} requests")
            left = (threads(daemon.pid), sockets(daemon.pid))
            if left != baseline:
                faults.append(f"threads and sockets: {left} instead of {baseline}")
            memory.append(rss_mib(daemon.pid))
        finally:
            client.close()
            watcher.close()
        faults += daemon.complaints()
    quarter = len(memory) // 4
    if memory[-1] > memory[quarter] + GROWTH_MIB:
        faults.append(f"memory has grown by {memory[-1] - memory[quarter]:.0f} MiB")
    return {
        "messages": sent + rude,
        "seconds": round(spent_s, 1),
        "per_second": round((sent + rude) / spent_s),
        "on_control": sent,
        "answers": answers,
        "done": now["answered"] - (asked - 1),
        "refused": now["refused"],
        "of_these_malformed": now["malformed"],
        "upstream_ignored": now["ignored"],
        "memory_mib_quarters": [round(memory[i * quarter], 1) for i in range(4)] + [round(memory[-1], 1)],
    }, faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.malformed", description=__doc__)
    parser.add_argument("--messages", type=bounded(int, 100, 10_000_000), default=1_000_000)
    parser.add_argument("--minutes", type=bounded(float, 0.05, 60), default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return tell(*malformed(arguments.messages, arguments.minutes, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
