"""Runs an NUnit assembly under mono."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def run_nunit(assembly: Path, *, timeout_s: float = 240.0) -> int:
    """Runs all tests of the assembly; returns how many have passed.

    Raises:
        AssertionError: some failed; names them with their messages, and the output.
    """
    result = assembly.with_suffix(".xml")
    result.unlink(missing_ok=True)
    told = subprocess.run(
        ["nunit-console", str(assembly), "-nologo", "-nodots", "-labels", f"-xml={result}"],
        cwd=assembly.parent, capture_output=True, text=True, timeout=timeout_s,
    )  # fmt: skip
    assert result.exists(), f"nunit-console gave no result:\n{told.stdout[-4000:]}{told.stderr[-4000:]}"
    cases = ElementTree.parse(result).getroot().iter("test-case")
    passed, failed = 0, []
    for case in cases:
        if case.get("result") == "Success":
            passed += 1
            continue
        message = (case.findtext(".//message") or "").strip()
        trace = (case.findtext(".//stack-trace") or "").strip()
        ours = [line for line in trace.splitlines() if "(wrapper" not in line and "System." not in line]
        failed.append("\n  ".join([f"{case.get('result')}: {case.get('name')}", message, *ours]))
    assert not failed, f"{len(failed)} of {passed + len(failed)} failed:\n" + "\n".join(failed)
    return passed
