"""Every test ends without threads or sockets it left behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.toy_pack import build_toy_pack

_FDS = Path("/proc/self/fd")
_GRACE_S = 1.0


def _sockets() -> set[str]:
    """Inodes of this process's open sockets; none where the system does not list them."""
    found = set()
    for fd in _FDS.iterdir() if _FDS.is_dir() else ():
        try:
            target = os.readlink(fd)
        except OSError:  # the descriptor of this very listing is gone by now
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    threads, sockets = set(threading.enumerate()), _sockets()
    yield
    deadline_s = time.monotonic() + _GRACE_S
    while True:
        left = [thread.name for thread in set(threading.enumerate()) - threads if thread.is_alive()]
        open_sockets = _sockets() - sockets
        if not left and not open_sockets:
            return
        if time.monotonic() > deadline_s:
            break
        time.sleep(0.01)
    pytest.fail(f"leaked threads {left}, sockets {sorted(open_sockets)}", pytrace=False)


@pytest.fixture(scope="session")
def toy_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of a few kilobytes; see `tests.toy_pack` for what its pictures show. Do not change it."""
    return build_toy_pack(tmp_path_factory.mktemp("packs") / "toy")
