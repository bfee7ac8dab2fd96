"""`llia run`: starts the daemon with the default avatar and keeps it until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from bridge.config import Settings
from bridge.config_reader import read_settings
from bridge.daemon import Daemon
from bridge.terminal import StatusLine, show_places

REFRESH_S = 0.5


def add_parser(subparsers: Any) -> None:
    """Adds `run` to the command line."""
    parser = subparsers.add_parser(
        "run", help="start the daemon: page, ZeroMQ, default avatar", description=__doc__
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings in TOML (see configs/default.toml)"
    )
    parser.add_argument(
        "--avatar", metavar="NAME", help="name in the pack or a picture file (the pack's default)"
    )
    parser.add_argument("--size", type=int, metavar="PX", help="width and height of the frames (384)")
    parser.add_argument("--fps", type=int, help="frames per second (25)")
    parser.add_argument("--pack", help="name of a shipped model pack or its folder (nano)")
    parser.add_argument("--steps", type=int, help="denoising steps (2)")
    parser.add_argument("--threads", type=int, help="cap on the engine's threads (every core)")
    parser.add_argument("--provider", help="auto, CPU, CUDA, TensorRT or OpenVINO (auto)")
    parser.add_argument("--host", help="loopback address to listen on (127.0.0.1)")
    parser.add_argument("--control-port", type=int, metavar="PORT", help="audio and control in (5570)")
    parser.add_argument("--frames-port", type=int, metavar="PORT", help="frames, audio and events out (5571)")
    parser.add_argument("--page-port", type=int, metavar="PORT", help="the web page (5580)")
    parser.add_argument("--say", type=Path, metavar="FILE", help="an audio file to speak at the start")
    parser.add_argument(
        "--microphone", nargs="?", const="", metavar="NAME", help="speak what a microphone hears"
    )
    parser.add_argument("--no-greeting", action="store_true", help="start silently")
    parser.add_argument("--no-page", action="store_true", help="serve no web page")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Keeps the daemon until SIGINT or SIGTERM; returns 0."""
    ended, running = threading.Event(), threading.Event()

    def end(signal_number: int, frame: FrameType | None) -> None:
        ended.set()
        if not running.is_set():  # loading a model takes its time: leave it at once
            raise KeyboardInterrupt

    settings = _settings(args)
    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    console = Console()
    status = StatusLine(console)
    try:
        daemon = Daemon(settings, say=args.say)
        running.set()
        try:
            show_places(console, daemon)
            status.start()
            while not ended.wait(REFRESH_S):
                status.show(daemon.session.statistics())
        finally:
            status.stop()
            daemon.close()
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    flags: dict[str, Any] = {
        "engine.avatar": args.avatar,
        "engine.size_px": args.size,
        "engine.fps": args.fps,
        "engine.pack": args.pack,
        "engine.steps": args.steps,
        "engine.threads": args.threads,
        "engine.provider": args.provider,
        "sockets.host": args.host,
        "sockets.control_port": args.control_port,
        "sockets.frames_port": args.frames_port,
        "page.port": args.page_port,
        "page.enabled": False if args.no_page else None,
        "speech.greeting": False if args.no_greeting else None,
        "microphone.enabled": None if args.microphone is None else True,
        "microphone.device": args.microphone,
    }
    return read_settings(args.config, flags)
