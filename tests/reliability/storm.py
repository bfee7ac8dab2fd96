"""Clients that open, speak, cancel and die at random: `python -m tests.reliability.storm --clients 8`.

Each life is a process of its own. What it sent and what it was answered stands in a file that outlives a
SIGKILL; another process writes down every event. In the end the two are compared.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import msgpack
import zmq

from tests.integration.wire import WireClient
from tests.reliability.processes import DaemonProcess, rss_mib, sockets, threads
from tests.reliability.report import bounded, quantile, tell

CLIENT_TIMEOUT_S = 2.0
OPEN_LIMIT_MS = 30_000
LISTENER_S = 2.0
"""The listener may be so far behind on a busy machine."""
RATE_HZ = 16_000
FATES = ("closes its avatar", "closes its socket", "is killed")


class Diary:
    """Lines of words in a file that all processes append to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def write(self, *words: object) -> None:
        os.write(self._fd, (" ".join(map(str, words)) + "\n").encode())

    def read(self) -> dict[str, list[list[str]]]:
        """By first word: the other words of each line."""
        found = defaultdict(list)
        for line in self.path.read_text().splitlines():
            name, *words = line.split(" ")
            found[name].append(words)
        return found

    def close(self) -> None:
        os.close(self._fd)


def listen(endpoint: str, diary: Diary) -> None:
    """Writes down every event until it is killed."""
    context = zmq.Context[zmq.Socket[bytes]]()
    events = context.socket(zmq.SUB)
    events.rcvhwm = 0
    events.connect(endpoint)
    events.subscribe("event/")
    while True:
        _, packed = events.recv_multipart()
        event = msgpack.unpackb(packed)
        if event["type"] in ("utterance_started", "finished", "cancelled"):
            diary.write(event["type"], event["utterance_id"])
        elif event["type"] in ("avatar_closed", "error"):
            diary.write(event["type"], event["avatar_id"], event.get("code", ""))
        elif event["type"] == "statistics":
            diary.write("statistics")


class Life:
    """One client from its connection to its death."""

    def __init__(self, daemon: DaemonProcess, diary: Diary, seed: int, until_s: float) -> None:
        self.chance = random.Random(seed)
        self.diary, self.until_s = diary, until_s
        topics = ("frame/",) if self.chance.random() < 0.1 else ()
        self.client = WireClient(daemon.control_endpoint, daemon.frames_endpoint, topics)
        self.waiting: set[str] = set()

    def live(self) -> None:
        chance = self.chance
        ends_s = min(self.until_s, time.monotonic() + chance.uniform(0.2, 4.0))
        fate = chance.choices(FATES, (4, 3, 3))[0]
        asked_s = time.monotonic()
        self.client.send(
            "open_avatar", request_id="open", size_px=64, fps=chance.choice([10, 25, 30]),
            format=chance.choice(["RGBA", "BGRA", "I420", "JPEG", "WEBP"]),
        )  # fmt: skip
        if not self.client.control.poll(OPEN_LIMIT_MS):
            self.diary.write("silence", "open_avatar")
            return
        told = self.client.answer()
        if told["type"] != "avatar_opened":
            self.diary.write("unopened", told.get("code", told["type"]))
            return
        avatar_id = told["avatar_id"]
        self.diary.write("opened", avatar_id, (time.monotonic() - asked_s) * 1_000)
        while time.monotonic() < ends_s:
            self.act(avatar_id)
            time.sleep(chance.uniform(0.02, 0.4))
            self.take_answers(0)
        self.diary.write("fate", fate)
        if fate == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if fate == "closes its avatar":
            self.client.send("close_avatar", avatar_id=avatar_id, request_id="close")
            self.waiting.add("close")
            while self.waiting:
                if not self.client.control.poll(OPEN_LIMIT_MS):
                    for request_id in self.waiting:
                        self.diary.write("silence", request_id)
                    return
                self.take_answers(0)

    def act(self, avatar_id: str) -> None:
        chance, client = self.chance, self.client
        if chance.random() < 0.1:
            avatar_id = ""  # the daemon's, which everybody drives
        act = chance.choices(("speak", "cancel", "state", "garbage", "ping"), (10, 2, 1, 1, 4))[0]
        if act == "speak":
            utterance_id = uuid.UUID(int=chance.getrandbits(128)).hex
            samples = bytes(2 * chance.randrange(1, chance.choice([200, 8_000, 48_000])))
            final = chance.random() < 0.8
            self.diary.write("sent", utterance_id)
            self.waiting.add(utterance_id)
            client.send(
                "audio", samples, avatar_id=avatar_id, utterance_id=utterance_id, sample_rate_hz=RATE_HZ,
                final=final, request_id=utterance_id,
            )  # fmt: skip
            if not final and chance.random() < 0.5:
                client.send("end", avatar_id=avatar_id, utterance_id=utterance_id)
        elif act == "cancel":
            client.send("cancel", avatar_id=avatar_id)
        elif act == "state":
            client.send("set_state", avatar_id=avatar_id, state=chance.choice(["auto", "idle", "listening"]))
        elif act == "garbage":
            client.control.send(chance.randbytes(20))
        else:
            client.send("ping")

    def take_answers(self, timeout_ms: int) -> None:
        while self.client.control.poll(timeout_ms):
            told = self.client.answer()
            request_id = told["request_id"]
            if request_id not in self.waiting:
                continue
            self.waiting.discard(request_id)
            if request_id != "close":
                self.diary.write(
                    *(("ok",) if told["type"] == "ok" else ("refused", told["code"])), request_id
                )
            elif told["type"] != "ok":
                self.diary.write("unclosed", told["code"])


def fork(run: Any, *arguments: Any) -> int:
    """A child that shares nothing but open files; its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        run(*arguments)
        os._exit(0)
    except BaseException as error:
        print(f"a client failed: {error!r}", file=sys.stderr)
        os._exit(1)


def live(daemon: DaemonProcess, diary: Diary, seed: int, until_s: float) -> None:
    life = Life(daemon, diary, seed, until_s)
    life.live()
    life.client.close()


def storm(clients: int, minutes: float, seed: int) -> tuple[dict[str, Any], list[str]]:
    """Runs it; the figures and the faults."""
    limits = {"max_avatars": min(64, 2 * clients + 2), "client_timeout_s": CLIENT_TIMEOUT_S}
    flags = [word for key, value in limits.items() for word in ("--set", f"sessions.{key}={value}")]
    with tempfile.TemporaryDirectory() as folder, DaemonProcess(*flags) as daemon:
        diary = Diary(Path(folder) / "diary.txt")
        listener = fork(listen, daemon.frames_endpoint, diary)
        try:
            figures, faults = _storm(daemon, diary, clients, minutes, seed)
        finally:
            os.kill(listener, signal.SIGKILL)
            os.waitpid(listener, 0)
            diary.close()
        faults += daemon.complaints()
    return figures, faults


def _storm(
    daemon: DaemonProcess, diary: Diary, clients: int, minutes: float, seed: int
) -> tuple[dict[str, Any], list[str]]:
    listens_by_s = time.monotonic() + 30
    while "statistics" not in diary.read():  # the listener has subscribed
        if time.monotonic() > listens_by_s:
            return {"clients": clients}, ["nothing was published"]
        time.sleep(0.05)
    start_s = time.monotonic()
    until_s = start_s + 60 * minutes
    baseline = {"threads": threads(daemon.pid), "sockets": sockets(daemon.pid)}
    memory, sampled_s, lives, failed = [], 0.0, 0, 0
    running: set[int] = set()
    while daemon.runs and (running or time.monotonic() < until_s):
        if time.monotonic() - sampled_s > 0.5:
            sampled_s = time.monotonic()
            memory.append(rss_mib(daemon.pid))
        while len(running) < clients and time.monotonic() < until_s:
            lives += 1
            running.add(fork(live, daemon, diary, 1_000_003 * seed + lives, until_s))
        while running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            running.discard(ended[0])
            failed += ended[1] not in (0, signal.SIGKILL)
        time.sleep(0.02)
    if not daemon.runs:
        for pid in running:
            os.waitpid(pid, 0)
        return {"clients": clients}, ["the daemon has ended"]
    left = _await_rest(daemon, baseline)
    time.sleep(LISTENER_S)
    told = diary.read()
    sent, ok = {w[0] for w in told["sent"]}, {w[0] for w in told["ok"]}
    refused = Counter(w[0] for w in told["refused"])
    refused_ids = {w[1] for w in told["refused"]}
    ends = Counter(w[0] for name in ("finished", "cancelled") for w in told[name])
    taken = ok | {w[0] for w in told["utterance_started"]} | set(ends)
    lost = [i for i in taken - refused_ids if not ends[i]]
    twice = [i for i, count in ends.items() if count > 1]
    opened_ms = [float(w[1]) for w in told["opened"]]
    unclosed = {w[0] for w in told["opened"]} - {w[0] for w in told["avatar_closed"]}
    faults = [
        *([f"{len(lost)} utterances without an end"] if lost else []),
        *([f"{len(twice)} utterances with two ends"] if twice else []),
        *([f"{len(refused_ids & set(ends))} refused and spoken"] if refused_ids & set(ends) else []),
        *([f"no answer: {w}" for w in told["silence"]]),
        # Those of the dead take their places until the daemon has missed them.
        *([f"not opened: {w}" for w in told["unopened"] if w[0] != "limit"]),
        *([f"not closed: {w}" for w in told["unclosed"]]),
        *([f"an avatar failed: {w}" for w in told["error"]]),
        *([f"{len(unclosed)} avatars were never told to be closed"] if unclosed else []),
        *([f"{failed} clients failed"] if failed else []),
        *[f"{name}: {now} instead of {before}" for name, (before, now) in left.items() if now > before],
    ]
    quarter = len(memory) // 4
    return {
        "clients": clients,
        "minutes": round((time.monotonic() - start_s) / 60, 2),
        "lives": lives,
        "fates": dict(Counter(" ".join(w) for w in told["fate"])),
        "utterances": len(sent),
        "finished": len(told["finished"]),
        "cancelled": len(told["cancelled"]),
        "refused": dict(refused),
        "openings_refused": len(told["unopened"]),
        # Sent in a client's last moments and not taken by the daemon any more.
        "died_with_their_client": len(sent - taken - refused_ids),
        "open_ms_median_max": [round(quantile(opened_ms, 0.5)), round(max(opened_ms, default=0.0))],
        "memory_mib_quarters": [round(memory[i * quarter], 1) for i in range(4)] + [round(memory[-1], 1)],
        "memory_mib_after": round(rss_mib(daemon.pid), 1),
        **{f"{name}_before_after": list(pair) for name, pair in left.items()},
    }, faults


def _await_rest(daemon: DaemonProcess, baseline: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Waits until the dead are forgotten; what there was before, and what is left."""
    client = WireClient(
        daemon.control_endpoint, daemon.frames_endpoint, ("event/default",), patience_ms=OPEN_LIMIT_MS
    )
    try:
        client.ask("cancel")
        client.send("audio", bytes(3_200), utterance_id="last", sample_rate_hz=RATE_HZ, final=True)
        client.wait_for(
            lambda event: event.get("utterance_id") == "last" and event["type"] == "finished",
            timeout_s=OPEN_LIMIT_MS / 1_000,
        )
        deadline_s = time.monotonic() + 3 * CLIENT_TIMEOUT_S + 5
        while time.monotonic() < deadline_s:
            counts = client.ask("get_statistics")["daemon"]
            # This client's own two connections come on top.
            left = {
                "avatars": (1, counts["avatars"]),
                "clients": (1, counts["clients"]),
                "threads": (baseline["threads"], threads(daemon.pid)),
                "sockets": (baseline["sockets"] + 2, sockets(daemon.pid)),
            }
            if all(now <= before for before, now in left.values()):
                break
            time.sleep(0.2)
    finally:
        client.close()
    return left


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.storm", description=__doc__)
    parser.add_argument("--clients", type=bounded(int, 1, 64), default=8)
    parser.add_argument("--minutes", type=bounded(float, 0.02, 30), default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return tell(*storm(arguments.clients, arguments.minutes, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
