"""`llia run`: starts the daemon with the default avatar and keeps it until Ctrl-C."""

from __future__ import annotations

import argparse
import gc
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from bridge import logs
from bridge.config import Settings, secrets
from bridge.config_reader import find_config, read_settings
from bridge.cores import cap_threads, keep_to_cores
from bridge.daemon import Daemon
from bridge.reload import Reloader
from bridge.signals import Signals
from bridge.terminal import StatusLine, show_places

REFRESH_S = 0.5

FLAGS: dict[str, tuple[str, dict[str, Any]]] = {
    "--avatar": ("engine.avatar", {"metavar": "NAME", "help": "name in the pack or a picture file"}),
    "--size": ("engine.size_px", {"type": int, "metavar": "PX", "help": "width and height, px (384)"}),
    "--fps": ("engine.fps", {"type": int, "metavar": "N", "help": "frames per second (25)"}),
    "--pack": ("engine.pack", {"metavar": "NAME", "help": "shipped model pack or its folder (nano)"}),
    "--steps": ("engine.steps", {"type": int, "metavar": "N", "help": "denoising steps (2)"}),
    "--cores": (
        "daemon.cores", {"type": int, "metavar": "N", "help": "that it may use, beside a game (every one)"}
    ),
    "--provider": (
        "engine.provider", {"metavar": "NAME", "help": "auto, CPU, CUDA, TensorRT or OpenVINO (auto)"}
    ),
    "--host": ("sockets.host", {"metavar": "ADDRESS", "help": "loopback address (127.0.0.1)"}),
    "--control-port": (
        "sockets.control_port", {"type": int, "metavar": "PORT", "help": "audio and control in (5570)"}
    ),
    "--frames-port": (
        "sockets.frames_port", {"type": int, "metavar": "PORT", "help": "frames, audio and events out (5571)"}
    ),
    "--page-port": ("page.port", {"type": int, "metavar": "PORT", "help": "the web page (5580)"}),
    "--microphone": (
        "microphone.device",
        {"nargs": "?", "const": "", "metavar": "NAME", "help": "speak what a microphone hears"},
    ),
    "--delay-audio": (
        "delayed_audio.device",
        {"nargs": "?", "const": "", "metavar": "NAME", "help": "play the sound in step with the pictures"},
    ),
    "--camera": (
        "camera.device",
        {"nargs": "?", "const": "", "metavar": "DEVICE", "help": "be a virtual camera (the first one)"},
    ),
    "--record": ("recording.file", {"metavar": "FILE", "help": "record into this .mp4 or .webm"}),
    "--no-greeting": ("speech.greeting", {"action": "store_false", "help": "start silently"}),
    "--no-page": ("page.enabled", {"action": "store_false", "help": "serve no web page"}),
}  # fmt: skip
"""The key of the settings that each flag sets, and how the command line shows it."""


def add_parser(subparsers: Any) -> None:
    """Adds `run` to the command line."""
    parser = subparsers.add_parser(
        "run", help="start the daemon: page, ZeroMQ, default avatar", description=__doc__
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="settings in TOML, or a shipped file's name: streamer, webcam, unity-npc",
    )
    parser.add_argument("--say", type=Path, metavar="FILE", help="an audio file to speak at the start")
    for option, (name, shown) in FLAGS.items():
        parser.add_argument(option, dest=name, default=None, **shown)
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE",
        help="any other key of configs/default.toml; may be repeated",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Keeps the daemon until SIGINT or SIGTERM; SIGHUP reads the settings again. Returns 0."""
    settings = _settings(args)
    keep_to_cores(settings.daemon.cores)
    logs.configure(settings.log)
    with ExitStack() as stack:
        signals = Signals()
        stack.callback(signals.restore)
        try:
            daemon = Daemon(settings, say=args.say)
            stack.callback(daemon.close)
            # What stands now stays: the collector need not look at it again each time, which takes 30 ms.
            gc.collect()
            gc.freeze()
            signals.running.set()
        except KeyboardInterrupt:
            return 0
        reloader = Reloader(settings, lambda: _settings(args), args.config and find_config(args.config))
        reloader.register("log", logs.configure)
        daemon.register_reloads(reloader)
        console = Console()
        status = StatusLine(console)
        stack.callback(status.stop)
        show_places(console, daemon)
        status.start()
        while not signals.ended.wait(REFRESH_S):
            status.show(daemon.session.statistics())
            if reloader.file_changed() or signals.reload.is_set():
                signals.reload.clear()
                reloader.reload()
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    given = vars(args)
    flags = {name: given[name] for name, _ in FLAGS.values()}
    flags["microphone.enabled"] = None if given["microphone.device"] is None else True
    flags["camera.enabled"] = None if given["camera.device"] is None else True
    flags["delayed_audio.enabled"] = None if given["delayed_audio.device"] is None else True
    options = {name: option for option, (name, _) in FLAGS.items()}
    settings = cap_threads(read_settings(args.config, flags, assignments=args.set, options=options))
    for secret in secrets(settings):
        logs.hide(secret)
    return settings
