"""Prometheus's view of a real daemon."""

from __future__ import annotations

import dataclasses
import time
import urllib.request
from pathlib import Path

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from bridge.config import MetricsSettings
from bridge.daemon import Daemon
from tests.integration.test_daemon import settings


def scraped(url: str) -> dict[tuple[str, ...], float]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_follows_the_avatar(toy_pack: Path) -> None:
    wanted = dataclasses.replace(settings(toy_pack), metrics=MetricsSettings(enabled=True, port=0))
    daemon = Daemon(wanted)
    try:
        daemon.session.push_audio(np.full(48_000, 0.1, np.float32), 16_000, "u")
        end_s, told = time.monotonic() + 20, scraped(daemon.metrics.url)
        while not told["llia_state", "default", "speaking"] and time.monotonic() < end_s:
            time.sleep(0.1)
            told = scraped(daemon.metrics.url)
        assert told["llia_state", "default", "speaking"] == 1
        assert told["llia_frames_per_second", "default"] > 0
        assert told["llia_first_frame_seconds", "default"] > 0
        assert told["llia_queue", "default", "speech_ms"] > 0
        assert any(name == "llia_stage_seconds" for name, *_ in told)
    finally:
        daemon.close()
