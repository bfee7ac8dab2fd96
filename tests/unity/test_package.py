"""The package's conventions, as Unity's manual tells them; see also `plugins/unity/Tools~/metas.py`."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unity.compile import PACKAGE, ROOT

MANIFEST: dict[str, Any] = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))
METAS = runpy.run_path(str(PACKAGE / "Tools~" / "metas.py"))
ASMDEFS = {path.stem: json.loads(path.read_text()) for path in PACKAGE.rglob("*.asmdef")}


def test_manifest() -> None:
    assert MANIFEST["name"] == "com.llia.avatar" and MANIFEST["unity"] == "2021.3"
    assert re.fullmatch(r"\d+\.\d+\.\d+", MANIFEST["version"])
    for field in ("displayName", "description", "author", "license", "keywords"):
        assert MANIFEST[field], field
    changes = (PACKAGE / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in changes or f"## [{MANIFEST['version']}]" in changes


def test_layout() -> None:
    for name in (
        "README.md", "CHANGELOG.md", "LICENSE.md", "Third Party Notices.md", "Runtime/Core", "Runtime",
        "Editor", "Tests/Editor", "Tests/Runtime", "Samples~", "Documentation~/index.md",
    ):  # fmt: skip
        assert (PACKAGE / name).exists(), name
    assert (PACKAGE / "LICENSE.md").read_text() == (ROOT / "LICENSE").read_text()


def test_samples_are_those_of_the_manifest() -> None:
    listed = {sample["path"] for sample in MANIFEST["samples"]}
    there = {f"Samples~/{path.name}" for path in (PACKAGE / "Samples~").iterdir() if path.is_dir()}
    assert listed == there and len(there) == 5
    for sample in MANIFEST["samples"]:
        assert sample["displayName"] and sample["description"]


def test_every_file_has_its_meta() -> None:
    checked = subprocess.run(
        [sys.executable, str(PACKAGE / "Tools~" / "metas.py"), "--check"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr


def test_what_is_wrong_with_metas_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METAS["problems"].__globals__, "PACKAGE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["metas.py"])
    for name in ("Runtime/A.cs", "Runtime/B.cs", "Samples~/One/C.cs", "Tools~/D.cs", ".hidden/E.cs"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.setattr(METAS["assets"], "__defaults__", (tmp_path,))
    assert len(METAS["problems"]()) == 5  # Runtime, A, B, One, C
    assert METAS["main"]() == 0 and METAS["problems"]() == []
    a, b = (tmp_path / "Runtime" / f"{name}.cs.meta" for name in "AB")
    before = b.read_text()
    assert METAS["main"]() == 0 and b.read_text() == before
    b.write_text(a.read_text())
    (tmp_path / "Gone.cs.meta").write_text(before)
    (tmp_path / "Runtime.meta").write_text(before.replace("guid: ", "guid: g"))
    told = "\n".join(METAS["problems"]())
    for part in (
        "has the guid of Runtime/A.cs.meta",
        "Gone.cs.meta belongs to nothing",
        "Runtime.meta has no guid",
    ):
        assert part in told


def test_asmdefs() -> None:
    assert set(ASMDEFS) == {"Llia.Core", "Llia", "Llia.Editor", "Llia.Tests.Editor", "Llia.Tests.Runtime"}
    for stem, asmdef in ASMDEFS.items():
        assert asmdef["name"] == stem and not asmdef["allowUnsafeCode"]
        for reference in asmdef["references"]:
            assert reference in ASMDEFS or reference.startswith(("UnityEngine.", "UnityEditor.")), reference
    assert ASMDEFS["Llia.Core"]["noEngineReferences"] and not ASMDEFS["Llia.Core"]["references"]
    assert ASMDEFS["Llia.Editor"]["includePlatforms"] == ["Editor"]
    for runtime in ("Llia.Core", "Llia"):  # WebGL has no TCP
        assert ASMDEFS[runtime]["excludePlatforms"] == ["WebGL"]
    for tests in ("Llia.Tests.Editor", "Llia.Tests.Runtime"):
        assert ASMDEFS[tests]["defineConstraints"] == ["UNITY_INCLUDE_TESTS"]


def test_is_plain_csharp() -> None:
    """No library; the core knows nothing of Unity; nothing that IL2CPP lacks."""
    assert not [path for path in PACKAGE.rglob("*") if path.suffix in (".dll", ".so", ".dylib", ".bundle")]
    for path in (PACKAGE / "Runtime").rglob("*.cs"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"Reflection|Emit\b|\bdynamic\b|DllImport|unsafe", text), path
        if (PACKAGE / "Runtime" / "Core") in path.parents:
            assert "UnityEngine" not in text, path


def test_files_are_small_and_one_type_gives_the_name() -> None:
    for path in PACKAGE.rglob("*.cs"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 800, path
        assert max(map(len, text.splitlines()), default=0) <= 150, path
