"""The plug-in's files: format, translations, what OBS 32 has removed, one version everywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.obs.build import SOURCES
from tests.require import skip_for_want_of

REMOVED = (
    "circlebuf", "obs_sceneitem_get_info(", "obs_sceneitem_set_info(", "obs_scene_sceneitem_from_source",
    "obs_frontend_add_dock(", "obs_service_get_output_type", "obs_hotkey_register_frontend_legacy",
)  # fmt: skip
LANGUAGES = ("en-US", "de-DE", "fr-FR", "ja-JP")


def c_files() -> list[Path]:
    return [path for folder in ("src", "tests") for path in sorted((SOURCES / folder).glob("*.[ch]"))]


def test_format_is_obs_studios() -> None:
    clang_format = Path(sys.executable).with_name("clang-format")
    if not clang_format.is_file():
        skip_for_want_of("clang-format, of the extra `dev`")
    command = [clang_format, "--dry-run", "--Werror", *c_files()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-3_000:]


def translation(language: str) -> dict[str, str]:
    lines = (SOURCES / "data" / "locale" / f"{language}.ini").read_text("utf-8").splitlines()
    found = [re.fullmatch(r'([\w.]+)="([^"]+)"', line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return {match[1]: match[2] for match in found if match}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text(language: str) -> None:
    english, texts = translation("en-US"), translation(language)
    assert list(texts) == list(english)
    used = set()
    for path in c_files():
        code = path.read_text("utf-8")
        used |= set(re.findall(r'"((?:[A-Z]\w+)(?:\.[A-Z]\w+)?)"', code)) & set(english)
        for asked in re.findall(r'obs_module_text\("([^"]+)"\)', code):
            assert asked in english, f"{asked} of {path}"
    assert set(english) - used == set()


def test_nothing_that_obs_32_has_removed() -> None:
    for path in c_files():
        code = path.read_text("utf-8")
        assert not [name for name in REMOVED if name in code], path


def test_every_file_says_its_licence() -> None:
    assert "GNU GENERAL PUBLIC LICENSE" in (SOURCES / "LICENSE").read_text()
    for path in c_files():
        assert "SPDX-License-Identifier: GPL-2.0-or-later" in path.read_text("utf-8"), path


def test_presets_for_three_systems_and_their_workflow() -> None:
    presets = json.loads((SOURCES / "CMakePresets.json").read_text())
    names = {preset["name"] for preset in presets["configurePresets"]}
    assert {
        "macos",
        "macos-ci",
        "windows-x64",
        "windows-ci-x64",
        "ubuntu-x86_64",
        "ubuntu-ci-x86_64",
    } <= names
    workflow = (SOURCES.parents[1] / ".github" / "workflows" / "obs-plugin.yml").read_text()
    for preset in re.findall(r"--preset (\S+)", workflow):
        assert preset in names
    spec = json.loads((SOURCES / "buildspec.json").read_text())
    assert spec["name"] == "llia-obs" and re.fullmatch(r"\d+\.\d+\.\d+", spec["version"])
    for dependency in spec["dependencies"].values():
        hashes = dependency.get("hashes", {"": dependency.get("hash")})
        assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in hashes.values())
