"""Model packs, each loaded once and shared by its avatars; opens avatars of them."""

from __future__ import annotations

import threading
from pathlib import Path

from PIL import Image

from bridge.avatar import AvatarSession
from bridge.errors import AvatarOpenError
from engine.config import EngineConfig
from engine.models import pack_names
from engine.pipeline import Engine


class Packs:
    """Opens avatars. Safe from any thread; loading one pack holds up those who want another.

    Attributes:
        config: what an avatar is started with where it wants nothing else.
        queue_limit_s: most speech that may wait for an avatar opened from now on, seconds.
    """

    def __init__(self, config: EngineConfig, *, lead_ms: float, queue_limit_s: float) -> None:
        """Loads nothing yet.

        Args:
            config: see the attribute.
            lead_ms: first value of every avatar's lead, see `bridge.lead`.
            queue_limit_s: see the attribute.
        """
        self.config, self.queue_limit_s = config, queue_limit_s
        self._lead_ms = lead_ms
        self._engines: dict[str, Engine] = {}
        self._lock = threading.Lock()

    def open(
        self,
        avatar_id: str = "default",
        picture: Image.Image | str = "",
        *,
        pack: str = "",
        names_only: bool = False,
        size_px: int = 0,
        fps: int = 0,
        seed: int = -1,
        pixel_format: str = "RGBA",
        alpha: str = "straight",
    ) -> AvatarSession:
        """Starts an avatar; "", 0 and -1 stand for what is configured.

        Args:
            avatar_id: its id.
            picture: the picture, an avatar of the pack by name, or a path. Of another pack than the daemon's
                "" is that pack's default.
            pack: the daemon's pack, or the name of a shipped one.
            names_only: the picture may be no path, so that nobody looks around in this machine's files.
            size_px: width and height of its frames.
            fps: frames per second.
            seed: of the noise.
            pixel_format: see `AvatarSession`.
            alpha: see `AvatarSession`.

        Raises:
            EngineError: the pack, the picture or a value is wrong.
            AvatarOpenError: the pack or the picture is none that may be named.
        """
        config = self.config
        known = sorted({config.pack, *pack_names()})
        if pack and pack not in known:
            raise AvatarOpenError(f"there is no pack {pack!r:.80}; known are {', '.join(known)}")
        engine = self._engine(pack or config.pack)
        if names_only and isinstance(picture, str) and picture and picture not in engine.manifest.avatars:
            names = ", ".join(sorted(engine.manifest.avatars))
            raise AvatarOpenError(
                f"there is no avatar {picture!r:.80}; the pack has {names}; "
                "from other machines send a picture as payload"
            )
        if not picture and pack in ("", config.pack):
            picture = config.avatar
        size_px, fps = size_px or config.size_px, fps or config.fps
        pipeline = engine.avatar(
            picture or None,
            size_px=size_px,
            fps=fps,
            steps=config.steps,
            seed=config.seed if seed < 0 else seed,
        )
        name = picture or engine.manifest.default_avatar
        return AvatarSession(
            pipeline,
            fps=fps,
            size_px=size_px,
            avatar_id=avatar_id,
            name=Path(name).stem if isinstance(name, str) else "picture",
            provider=engine.provider,
            pixel_format=pixel_format,
            alpha=alpha,
            lead_ms=self._lead_ms,
            queue_limit_s=self.queue_limit_s,
        )

    def close(self) -> None:
        """Ends the engines; close their avatars before."""
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()

    def _engine(self, pack: str) -> Engine:
        with self._lock:
            if pack not in self._engines:
                self._engines[pack] = Engine(pack, threads=self.config.threads, provider=self.config.provider)
            return self._engines[pack]
