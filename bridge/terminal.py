"""What `llia run` shows: where everything is, then a live line."""

from __future__ import annotations

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bridge.control import daemon_version
from bridge.daemon import Daemon
from bridge.protocol.messages import Statistics


class StatusLine:
    """The live line; where the output is no terminal, a plain line at every change of state."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )
        self._told_state = ""

    def start(self) -> None:
        """Begins the line."""
        if self._live is not None:
            self._live.start()

    def show(self, statistics: Statistics) -> None:
        """Brings the line up to date."""
        latency = f"{statistics.first_frame_ms:.0f} ms" if statistics.first_frame_ms >= 0 else "-"
        line = (
            f"{statistics.state:<9}  {statistics.fps:4.1f} fps  first frame {latency}  "
            f"lead {statistics.lead_ms:.0f} ms  compute {statistics.compute_ms:.0f} ms  "
            f"stalls {statistics.stalls}"
        )
        if self._live is not None:
            self._live.update(Text(line, style="bold", no_wrap=True), refresh=True)
        elif statistics.state != self._told_state and statistics.fps > 0:
            self._told_state = statistics.state
            print(line, file=self._console.file, flush=True)

    def stop(self) -> None:
        """Removes the line."""
        if self._live is not None:
            self._live.stop()


def show_places(console: Console, daemon: Daemon) -> None:
    """Says where everything is."""
    session = daemon.session
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    rows = [
        ("page", daemon.page_url or "off"),
        ("control", f"{daemon.control_endpoint}  audio and control in (ZeroMQ ROUTER)"),
        ("frames", f"{daemon.frames_endpoint}  frames, audio, events out (ZeroMQ XPUB)"),
        ("avatar", f"{session.name}, {session.size_px} x {session.size_px} px, {session.fps} fps"),
        ("device", session.provider),
        *([("metrics", daemon.metrics.url)] if daemon.metrics.url else []),
        *daemon.pictures.places(),
        ("microphone", daemon.microphone or "off"),
    ]
    title = f"LLIA {daemon_version()} runs. Ctrl-C ends it."
    if not console.is_terminal:
        for line in (title, *(f"{name:<10} {value}" for name, value in rows)):
            print(line, file=console.file, flush=True)
        return
    for name, value in rows:
        table.add_row(Text(name, style="dim"), Text(value))
    console.print(Text(title, style="bold"))
    console.print(table)
