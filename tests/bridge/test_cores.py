"""The daemon keeps to the cores it is given, every thread of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from bridge.config_reader import read_settings
from bridge.cores import cap_threads

CHILD = """
import json, os, threading
from bridge.cores import keep_to_cores
go_on = threading.Event()
earlier = threading.Thread(target=go_on.wait)
earlier.start()
keep_to_cores(1)
later = threading.Thread(target=go_on.wait)
later.start()
print(json.dumps([sorted(os.sched_getaffinity(thread.native_id))
    for thread in (threading.main_thread(), earlier, later)]))
go_on.set()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such call")
def test_every_thread_keeps_to_the_last_cores() -> None:
    ended = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=30)
    last = [max(os.sched_getaffinity(0))]
    assert json.loads(ended.stdout) == [last] * 3, ended.stderr


@pytest.mark.parametrize(
    ("cores", "threads", "wanted"), [(0, None, None), (0, 4, 4), (2, None, 2), (2, 4, 2), (2, 1, 1)]
)
def test_no_more_threads_compute_than_there_are_cores(
    cores: int, threads: int | None, wanted: int | None
) -> None:
    given = read_settings(None, {"daemon.cores": cores, "engine.threads": threads})
    assert cap_threads(given).engine.threads == wanted
