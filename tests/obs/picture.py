"""Takes pictures of the source in OBS and of its properties: `python -m tests.obs.picture docs/images`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from PIL import Image, ImageGrab

from bridge.config_reader import read_settings
from bridge.daemon import GREETING, Daemon
from tests.integration.obs_studio import SCREEN_PX, ObsStudio
from tests.integration.test_obs_setup import connect, llia_obs

COLOUR = 0xFF8A5A2C  # 0xAABBGGRR: something behind the avatar, so that its transparency shows
COLOURS = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    flags = {
        "sockets.control_port": 0, "sockets.frames_port": 0, "page.enabled": False, "speech.greeting": False,
    }  # fmt: skip
    daemon = Daemon(read_settings(None, flags), say=GREETING)
    try:
        with ObsStudio(plugin=True, preview=True) as studio, connect(studio) as link:
            width, height = SCREEN_PX
            behind = {"color": COLOUR, "width": width, "height": height}
            link._ask("CreateScene", sceneName="LLIA")
            link._ask(
                "CreateInput", sceneName="LLIA", inputName="Background", inputKind="color_source_v3",
                inputSettings=behind,
            )  # fmt: skip
            made = llia_obs("setup", "--sound", environment=studio.environment, daemon=daemon)
            assert made.returncode == 0, made.stderr
            link._ask("SetCurrentProgramScene", sceneName="LLIA")
            time.sleep(4.0)
            _take(studio, args.folder / "obs.png")
            link._ask("OpenInputPropertiesDialog", inputName="LLIA avatar")
            time.sleep(4.0)
            _take(studio, args.folder / "obs-properties.png")
    finally:
        daemon.close()


def _take(studio: ObsStudio, file: Path) -> None:
    """Takes a picture of the screen as far as there is something on it."""
    screen = ImageGrab.grab(xdisplay=studio.display)
    screen = screen.crop(screen.getbbox())
    screen.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


if __name__ == "__main__":
    main()
