"""The Unity layer without Unity: compiled and run against fakes that are written from its documentation."""

from __future__ import annotations

import re

import pytest

from tests.reliability.processes import DaemonProcess
from tests.unity.compile import SYMBOLS, TESTS, behaviour_tests, sources, unity_layer
from tests.unity.nunit import run_nunit

programs = pytest.mark.program("mcs", "mono", "nunit-console")


@programs
@pytest.mark.parametrize("name", SYMBOLS)
def test_compiles_without_a_warning(name: str) -> None:
    made = [path.name for path in unity_layer(SYMBOLS[name])]
    assert "Llia.dll" in made and "Assembly-CSharp.dll" in made
    assert ("Llia.Editor.dll" in made) == ("UNITY_EDITOR" in SYMBOLS[name])


@programs
def test_behaviour(monkeypatch: pytest.MonkeyPatch) -> None:
    with DaemonProcess() as daemon:
        monkeypatch.setenv("LLIA_CONTROL", daemon.control_endpoint)
        assert run_nunit(behaviour_tests()) >= 55


def test_every_signature_of_the_fakes_names_its_page() -> None:
    """Unity's own members bear the name of their documentation page; what the fakes add is internal."""
    missing = []
    for path in [*sources(TESTS / "fakes"), *sources(TESTS / "fakes_editor")]:
        if path.name == "Engine.cs":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.match(r"\s+public (?!override)", line) and not re.search(r"// [A-Z][\w.-]+$", line):
                missing.append(f"{path.name}:{number}: {line.strip()}")
    assert missing == []
