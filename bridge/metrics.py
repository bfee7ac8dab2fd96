"""Figures for Prometheus on loopback; computed when they are asked for, nothing in between."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from socketserver import TCPServer
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from bridge.config import MetricsSettings
from bridge.errors import PortError
from bridge.protocol.messages import STATES, Statistics

HOST = "127.0.0.1"
PATH = "/metrics"
CLIENT_TIMEOUT_S = 2.0
"""A client that connects and says nothing is left after so long; the next one waits meanwhile."""

_log = logging.getLogger(__name__)


class Measured(Protocol):
    """What the figures need of `bridge.avatar.AvatarSession`."""

    avatar_id: str

    def statistics(self) -> Statistics:
        """The figures of this moment."""


class MetricsServer:
    """Serves `/metrics` while the settings say so.

    Attributes:
        url: where the figures are, "" while they are not served.
    """

    def __init__(
        self,
        sessions: Callable[[], Sequence[Measured]],
        counts: Callable[[], Mapping[str, int]],
        version: str,
    ) -> None:
        """Serves nothing before `apply`.

        Args:
            sessions: gives the avatars that are open; called in each scrape.
            counts: gives the daemon's counts, see `statistics` in `PROTOCOL.md`; likewise.
            version: of the daemon.
        """
        self.url = ""
        self._registry = CollectorRegistry()
        self._registry.register(DaemonCollector(sessions, counts, version))
        ProcessCollector(registry=self._registry)
        self._settings = MetricsSettings(enabled=False)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def apply(self, settings: MetricsSettings) -> None:
        """Opens or closes the port, or changes it.

        Raises:
            PortError: the port is taken or not allowed; what was served before still is.
        """
        if settings == self._settings:
            return
        server = _opened(settings.port, self._registry) if settings.enabled else None
        self.close()
        self._settings = settings
        if server is not None:
            self._server, self.url = server, f"http://{HOST}:{server.server_port}{PATH}"
            self._thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Closes the port; calling it again does nothing."""
        server, self._server, self.url = self._server, None, ""
        if server is not None and self._thread is not None:
            server.shutdown()
            server.server_close()
            self._thread.join()


@dataclass(frozen=True)
class _Figure:
    """A metric of every avatar.

    Attributes:
        name: without the prefix.
        text: what it is.
        read: takes the values out of the statistics, by label; one alone has the label "".
        label: what tells the values apart, beside `avatar_id`; "" where there is one only.
        kind: gauge or counter.
    """

    name: str
    text: str
    read: Callable[[Statistics], Mapping[str, float]]
    label: str = ""
    kind: type[GaugeMetricFamily | CounterMetricFamily] = GaugeMetricFamily

    def family(self, figures: Iterable[tuple[str, Statistics]]) -> Metric:
        """The metric of these avatars."""
        labels = ["avatar_id", self.label] if self.label else ["avatar_id"]
        family = self.kind(f"llia_{self.name}", self.text, labels=labels)
        for avatar_id, statistics in figures:
            for label, value in self.read(statistics).items():
                family.add_metric([avatar_id, label][: len(labels)], value)
        return family


FIGURES = (
    _Figure(
        "state", "1 for the state of the frame shown last.",
        lambda s: {state: float(state == s.state) for state in STATES}, "state",
    ),
    _Figure("frames_per_second", "Frames published over the last second.", lambda s: {"": s.fps}),
    _Figure("lead_seconds", "From a sample's arrival to its frame.", lambda s: {"": s.lead_ms / 1e3}),
    _Figure("compute_seconds", "Recent worst time to a finished frame.", lambda s: {"": s.compute_ms / 1e3}),
    _Figure(
        "stage_seconds", "Compute time per frame, mean of the last second.",
        lambda s: {stage: ms / 1e3 for stage, ms in s.stages_ms.items()}, "stage",
    ),
    _Figure(
        "first_frame_seconds", "From the newest utterance's first sample to its first frame.",
        lambda s: {"": s.first_frame_ms / 1e3} if s.first_frame_ms >= 0 else {},
    ),
    _Figure(
        "latency_seconds", "From sound to picture, mean of the last second; none in silence.",
        lambda s: {"": s.latency_ms / 1e3} if s.latency_ms >= 0 else {},
    ),
    _Figure("queue", "What waits, in the unit at the end of its name.", lambda s: s.queues, "queue"),
    _Figure("drops", "What was lost.", lambda s: s.drops, "kind", CounterMetricFamily),
    _Figure("stalls", "Times that frames came too late.", lambda s: {"": s.stalls}, kind=CounterMetricFamily),
    _Figure(
        "stalled_seconds", "Length of all stalls.",
        lambda s: {"": s.stalled_ms / 1e3}, kind=CounterMetricFamily,
    ),
    _Figure(
        "skipped_audio_seconds", "Live audio skipped to keep the delay bounded.",
        lambda s: {"": s.skipped_audio_ms / 1e3}, kind=CounterMetricFamily,
    ),
)  # fmt: skip


GAUGES = {
    "avatars": ("llia_avatars", "Open avatars."),
    "clients": ("llia_clients", "Clients that sent something lately."),
    "uptime_s": ("llia_uptime_seconds", "Since the start."),
}
"""The daemon's counts that are no sums of events."""


class DaemonCollector(Collector):
    """Turns counts and statistics into metrics; times in seconds, as is the custom there."""

    def __init__(
        self,
        sessions: Callable[[], Sequence[Measured]],
        counts: Callable[[], Mapping[str, int]],
        version: str,
    ) -> None:
        """Takes what `MetricsServer` was given."""
        self._sessions, self._counts, self._version = sessions, counts, version

    def collect(self) -> Iterator[Metric]:
        """Yields the metrics of this moment."""
        yield InfoMetricFamily("llia", "The daemon.", {"version": self._version})
        happened = CounterMetricFamily("llia_messages", "What became of messages.", labels=["kind"])
        for name, count in self._counts().items():
            if name in GAUGES:
                yield GaugeMetricFamily(*GAUGES[name], count)
            else:
                happened.add_metric([name], count)
        yield happened
        figures = [(session.avatar_id, session.statistics()) for session in self._sessions()]
        for figure in FIGURES:
            yield figure.family(figures)


class _Handler(WSGIRequestHandler):
    """Logs nothing; leaves clients that say nothing."""

    timeout = CLIENT_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scrape is no news."""


class _Server(WSGIServer):
    """One client after the other: a scrape is short, and nothing grows."""

    def server_bind(self) -> None:
        """Without asking for this machine's name, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client went away."""
        _log.debug("a scrape was not answered", exc_info=True)


def _opened(port: int, registry: CollectorRegistry) -> _Server:
    """Binds the port; `serve_forever` then answers.

    Raises:
        PortError: it is taken or not allowed.
    """
    try:
        server = _Server((HOST, port), _Handler)
    except OSError as error:
        problem = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
        raise PortError(f"port {port} on {HOST} {problem}; choose another with metrics.port") from None
    names = {f"{name}:{server.server_port}" for name in (HOST, "localhost")}
    figures: Callable[..., Iterable[bytes]] = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Refuses foreign web sites that have a name of their own for this machine (DNS rebinding)."""
        if environ.get("HTTP_HOST") not in names:
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"only http://127.0.0.1 and http://localhost are served\n"]
        if environ["PATH_INFO"] != PATH:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [f"the figures are at {PATH}\n".encode()]
        return figures(environ, start_response)

    server.set_app(answer)
    return server
