"""Pictures in memory that the programs of one machine share: written once, however many look on."""

from __future__ import annotations

import logging
import mmap
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

if sys.platform != "win32":
    import fcntl

SLOTS = 4
"""A picture stays whole until so many newer ones follow, less one."""
SLOT_HEADER_BYTES = 64
PREFIX = "llia-frames-"
YOUNG_S = 60.0
"""A file that its daemon may not have locked yet is left alone so long."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SharedPicture:
    """Where a payload lies.

    Attributes:
        file: the file that is mapped.
        offset: of its first byte in the file.
        sequence_offset: of the slot's sequence number, a little-endian uint64.
        sequence: what stands there as long as the payload is whole.
    """

    file: str
    offset: int
    sequence_offset: int
    sequence: int


class FrameRing:
    """A file in memory with room for the last few payloads. Not thread-safe.

    Readers map the file and can neither hold up nor harm the writer: a slot's sequence number tells them
    whether it was written over meanwhile.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Takes no room yet.

        Args:
            folder: where the file lies; None: memory's own file system where there is one.
        """
        self._folder = shared_folder() if folder is None else folder
        self._file: mmap.mmap | None = None
        self._path = ""
        self._descriptor = -1
        self._capacity_bytes = 0
        self._sequence = 0
        self._told = False

    def write(self, payload: bytes | memoryview) -> SharedPicture | None:
        """Puts a payload over the oldest one.

        Returns:
            None where the machine has no room for it; told once on the log.
        """
        size_bytes = memoryview(payload).nbytes
        if self._file is None or size_bytes > self._capacity_bytes:
            try:
                self._make(size_bytes)
            except OSError as error:
                self.close()
                if not self._told:
                    self._told = True
                    _log.warning(
                        "no shared memory in %s (%s): pictures go through the socket; make room there",
                        self._folder, error.strerror or error,
                    )  # fmt: skip
                return None
        assert self._file is not None
        self._sequence += 1
        at = (self._sequence % SLOTS) * (SLOT_HEADER_BYTES + self._capacity_bytes)
        self._file[at : at + 8] = bytes(8)
        begin = at + SLOT_HEADER_BYTES
        self._file[begin : begin + size_bytes] = memoryview(payload).cast("B")
        self._file[at : at + 8] = self._sequence.to_bytes(8, "little")
        return SharedPicture(self._path, begin, at, self._sequence)

    def close(self) -> None:
        """Takes the file away; who has mapped it keeps what is in it. Calling it again does nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            _unlink(Path(self._path))

    def _make(self, size_bytes: int) -> None:
        """Makes the file anew. A page more than needed: files as JPEG differ in length."""
        self.close()
        pages = -(-(SLOT_HEADER_BYTES + size_bytes) // mmap.PAGESIZE) + 1
        capacity = pages * mmap.PAGESIZE - SLOT_HEADER_BYTES
        self._descriptor, self._path = tempfile.mkstemp(prefix=PREFIX, dir=self._folder)
        if sys.platform != "win32":
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        # Written, not only made longer: a full file system says so here, not in the middle of a picture.
        empty = bytes(SLOT_HEADER_BYTES + capacity)
        for _ in range(SLOTS):
            if os.write(self._descriptor, empty) != len(empty):
                raise OSError(28, "no space left")
        self._file = mmap.mmap(self._descriptor, SLOTS * len(empty))
        self._capacity_bytes = capacity


def shared_folder() -> Path:
    """Memory's own file system where there is one (Linux), else the folder for temporary files."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


def remove_left_over(folder: Path | None = None) -> None:
    """Removes files of daemons that were killed: nobody holds their lock any more."""
    for path in (folder or shared_folder()).glob(PREFIX + "*"):
        try:
            if time.time() - path.stat().st_mtime > YOUNG_S and not _locked(path):
                _unlink(path)
        except OSError:  # another user's, or gone meanwhile
            continue


def _locked(path: Path) -> bool:
    """Whether its daemon runs. Windows keeps a file that is mapped from being removed and needs no lock."""
    if sys.platform == "win32":
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # Windows, while a reader has it mapped: the next start removes it
        return
