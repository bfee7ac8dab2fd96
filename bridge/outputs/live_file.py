"""A video file that can be played up to where it was written, however the writing ends."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.container import OutputContainer
from av.packet import Packet

from bridge.outputs.video_file import ENCODER_OPTIONS, VideoFile

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CONTAINER_OPTIONS = {
    # In pieces while it is written; at the end an ordinary index, so that every player can seek.
    "mp4": {"movflags": "+hybrid_fragmented+delay_moov", "frag_duration": "1000000", "flush_packets": "1"},
    "webm": {"cluster_time_limit": "1000", "flush_packets": "1"},
}
LIVE_OPTIONS = {
    "libx264": {"preset": "superfast", "tune": "zerolatency"},
    "libvpx-vp9": {"cpu-used": "8", "lag-in-frames": "0"},
}
"""Quicker than a render's, and nothing is held back in the encoder."""


class LiveVideoFile(VideoFile):
    """Written in pieces of a second under its own name; it must not exist."""

    def finish(self) -> None:
        """Flushes the encoders and completes the file.

        Raises:
            OSError: the disk is full or gone; what was written before can be played.
        """
        try:
            self._flush()
            self._file.require_whole()
        finally:
            self._file.close()

    def leave(self) -> None:
        """Closes the file as it is; after an error."""
        self._file.freeze()
        self._container.close()
        self._file.close()

    def abort(self) -> None:
        """Removes the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _open(self, path: Path) -> OutputContainer:
        self._file = _SteadyFile(path)
        kind = path.suffix.lower().removeprefix(".")
        return av.open(self._file, "w", format=kind, options=CONTAINER_OPTIONS[kind])

    def _encoder_options(self, codec: str) -> dict[str, str]:
        return ENCODER_OPTIONS[codec] | LIVE_OPTIONS[codec]

    def _mux(self, packets: Sequence[Packet[Any]]) -> None:
        super()._mux(packets)
        self._file.require_whole()


class _SteadyFile(io.RawIOBase):
    """A new file that stays as it is once a write has failed.

    A container's end is written partly over its beginning; done after a failure in between, that would lose
    the whole file. So later writes are taken and forgotten, and `require_whole` tells.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        self._frozen = False
        self._error: OSError | None = None

    def writable(self) -> bool:
        """True, which PyAV asks."""
        return True

    def seekable(self) -> bool:
        """True, likewise."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Writes everything, or forgets it where the file is frozen."""
        rest = memoryview(data).cast("B")
        length = len(rest)
        while len(rest) and not self._frozen:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                self._error, self._frozen = error, True
        self._file.seek(len(rest), io.SEEK_CUR)
        return length

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As the file's."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As the file's."""
        return self._file.tell()

    def freeze(self) -> None:
        """Forgets all later writes."""
        self._frozen = True

    def require_whole(self) -> None:
        """Raises the error that has stopped the writing, if one has."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Closes the file; calling it again does nothing."""
        self._file.close()
        super().close()
