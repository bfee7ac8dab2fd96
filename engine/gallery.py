"""Portraits by avatar name, path or value, each prepared once."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from PIL import Image

from engine.errors import ModelError
from engine.portrait import Portrait, read_picture
from engine.runtime.manifest import Manifest
from engine.runtime.session import Graphs

_KEPT_PORTRAITS = 8


class Gallery:
    """The avatars of a pack and the pictures users bring; the last few stay prepared."""

    def __init__(self, graphs: Graphs, manifest: Manifest) -> None:
        self._graphs, self._manifest = graphs, manifest
        self._portraits: dict[tuple[str, bool], Portrait] = {}
        self._lock = threading.Lock()

    def find(self, picture: str | Path | Image.Image | None) -> Portrait:
        """The portrait of an avatar's name, a path, a picture, or of the default avatar.

        Raises:
            ModelError: there is no such avatar, the picture cannot be read, or it shows no face.
        """
        name = self._manifest.default_avatar if picture is None else picture
        if isinstance(name, Image.Image):
            return self.prepare(name, origin="picture")
        path = self._manifest.avatars.get(str(name), Path(name).expanduser())
        if not path.is_file():
            known = ", ".join(sorted(self._manifest.avatars))
            raise ModelError(f"no avatar '{name}'; the pack has {known}; or give the path of a picture")
        return self.prepare(read_picture(path), origin=str(name))

    def prepare(self, picture: Image.Image, *, origin: str, align: bool = True) -> Portrait:
        """Prepares a picture, or finds it prepared; arguments as for `Portrait`."""
        pixels = picture.convert("RGBA")
        digest = hashlib.sha256(repr(pixels.size).encode() + pixels.tobytes()).hexdigest()
        with self._lock:
            portrait = self._portraits.pop((digest, align), None)
            if portrait is None:
                portrait = Portrait(pixels, self._graphs, self._manifest, align=align, origin=origin)
            while len(self._portraits) >= _KEPT_PORTRAITS:
                del self._portraits[next(iter(self._portraits))]
            self._portraits[digest, align] = portrait
            return portrait
