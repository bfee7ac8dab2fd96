"""The package's core, which knows nothing of Unity, under mono: its own tests, and the golden messages."""

from __future__ import annotations

import json

import pytest

from tests.unity.compile import ROOT, core_tests, golden_tests
from tests.unity.nunit import run_nunit

pytestmark = pytest.mark.program("mcs", "mono", "nunit-console")
LEFT_OUT = ("set_microphone", "shared_frame")
"""What the package does not speak, as GoldenTests.cs says."""
GOLDEN = ROOT / "tests" / "protocol" / "golden.json"


def test_core_tests_pass() -> None:
    assert run_nunit(core_tests()) >= 100


def test_golden_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLIA_GOLDEN", str(GOLDEN))
    entries = [e for e in json.loads(GOLDEN.read_text(encoding="utf-8")) if e["type"] not in LEFT_OUT]
    assert run_nunit(golden_tests()) == len(entries) + 1
