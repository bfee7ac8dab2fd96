"""The plug-in's own tests (parser, client, clock, pixels, fuzzing) under AddressSanitizer and UBSan."""

from __future__ import annotations

import subprocess

from tests.obs.build import SOURCES, build


def test_parser_and_client_under_sanitizers() -> None:
    folder = build(sanitized=True)
    done = subprocess.run(
        ["ctest", "--output-on-failure", "--no-tests=error", "--verbose"],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    print(done.stdout[-6_000:])
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    for name in ("wire", "clock", "pixels", "client", "fuzz"):
        assert f": {name} ..." in done.stdout, f"{name} did not run"


def test_the_parser_knows_neither_obs_nor_zeromq() -> None:
    """Every source of the core is free of OBS; the parser of ZeroMQ, too."""
    for name in ("wire", "client", "clock", "pixels"):
        for suffix in (".c", ".h"):
            text = (SOURCES / "src" / (name + suffix)).read_text()
            assert "#include <obs" not in text and "util/" not in text, name
    assert "zmq" not in (SOURCES / "src" / "wire.c").read_text()
    assert "alloc" not in (SOURCES / "src" / "wire.c").read_text()
