"""The figures for Prometheus, scraped over HTTP."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge import metrics
from bridge.config import MetricsSettings
from bridge.errors import PortError
from bridge.metrics import MetricsServer
from bridge.protocol.messages import Statistics

ON = MetricsSettings(enabled=True, port=0)


class Avatar:
    """An avatar with fixed figures that counts how often it is asked."""

    def __init__(self, avatar_id: str, **figures: object) -> None:
        self.avatar_id = avatar_id
        self.figures = Statistics(avatar_id=avatar_id, **figures)  # type: ignore[arg-type]
        self.asked = 0

    def statistics(self) -> Statistics:
        self.asked += 1
        return self.figures


@pytest.fixture
def avatars() -> list[Avatar]:
    return [
        Avatar(
            "a", state="speaking", fps=24.5, lead_ms=180.0, compute_ms=40.0, stages_ms={"decode": 12.0},
            first_frame_ms=210.0, latency_ms=190.0, stalls=2, stalled_ms=500.0, skipped_audio_ms=30.0,
            queues={"speech_ms": 1_500.0}, drops={"frames": 3},
        ),
        Avatar('b"\n', first_frame_ms=-1.0),
    ]  # fmt: skip


@pytest.fixture
def server(avatars: list[Avatar]) -> Iterator[MetricsServer]:
    def counts() -> dict[str, int]:
        return {"uptime_s": 60, "avatars": len(avatars), "clients": 3, "refused": 5}

    serving = MetricsServer(lambda: avatars, counts, "1.2.3")
    yield serving
    serving.close()
    serving.close()


def get(url: str, **headers: str) -> tuple[int, str]:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    connection.request("GET", place.path, headers=headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_tells_every_avatar(server: MetricsServer) -> None:
    server.apply(ON)
    status, text = get(server.url)
    told = samples(text)
    assert status == 200
    expected = {
        ("llia_info", "1.2.3"): 1, ("llia_avatars",): 2, ("llia_clients",): 3,
        ("llia_uptime_seconds",): 60, ("llia_messages_total", "refused"): 5,
        ("llia_state", "a", "speaking"): 1, ("llia_state", "a", "idle"): 0, ("llia_state", 'b"\n', "idle"): 1,
        ("llia_frames_per_second", "a"): 24.5, ("llia_lead_seconds", "a"): 0.18,
        ("llia_compute_seconds", "a"): 0.04, ("llia_stage_seconds", "a", "decode"): 0.012,
        ("llia_first_frame_seconds", "a"): 0.21, ("llia_latency_seconds", "a"): 0.19,
        ("llia_queue", "a", "speech_ms"): 1_500,
        ("llia_drops_total", "a", "frames"): 3, ("llia_stalls_total", "a"): 2,
        ("llia_stalled_seconds_total", "a"): 0.5, ("llia_skipped_audio_seconds_total", "a"): 0.03,
    }  # fmt: skip
    assert {name: told[name] for name in expected} == pytest.approx(expected)
    assert not {("llia_first_frame_seconds", 'b"\n'), ("llia_latency_seconds", 'b"\n')} & told.keys()


def test_figures_are_computed_in_scrapes_only(server: MetricsServer, avatars: list[Avatar]) -> None:
    server.apply(ON)
    assert avatars[0].asked == 0
    get(server.url)
    avatars.pop()
    assert samples(get(server.url)[1])["llia_avatars",] == 1
    assert avatars[0].asked == 2


def test_foreign_sites_and_other_paths_are_refused(server: MetricsServer, avatars: list[Avatar]) -> None:
    server.apply(ON)
    assert get(server.url, Host="evil.example")[0] == 403
    assert get(server.url.replace("/metrics", "/other"))[0] == 404
    assert avatars[0].asked == 0


def test_settings_open_move_and_close_it(server: MetricsServer) -> None:
    server.apply(MetricsSettings())
    assert server.url == ""
    server.apply(ON)
    first = server.url
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortError, match=rf"^port {port} on 127\.0\.0\.1 is in use; .* metrics\.port$"):
            server.apply(MetricsSettings(enabled=True, port=port))
    assert server.url == first and get(first)[0] == 200
    server.apply(MetricsSettings(enabled=False))
    assert server.url == ""
    with pytest.raises(ConnectionRefusedError):
        get(first)


def test_a_client_that_says_nothing_is_left(server: MetricsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics._Handler, "timeout", 0.2)
    server.apply(ON)
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0)):
        assert get(server.url)[0] == 200
