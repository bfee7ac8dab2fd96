"""The project as a whole: entry points, documentation, what the runtime may load."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in ("runs", "build") for part in path.relative_to(ROOT).parts)
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_command_is_installed_and_lists_its_subcommands() -> None:
    llia = run(str(Path(sys.executable).with_name("llia")), "--help")
    assert llia.returncode == 0, llia.stderr
    for name in ("run", "status", "render", "devices", "obs", "keys", "check", "bench"):
        assert re.search(rf"^ +{name} ", llia.stdout, re.M), name


@pytest.mark.parametrize("name", ["run", "status", "render", "devices", "obs", "keys", "check", "bench"])
def test_every_subcommand_explains_itself(name: str) -> None:
    shown = run(sys.executable, "-m", "bridge.cli", name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"llia {name}" in shown.stdout


def test_training_explains_itself() -> None:
    shown = run(sys.executable, "-m", "engine.train", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "usage" in shown.stdout


def test_wrong_command_lines_end_without_a_traceback(tmp_path: Path) -> None:
    for words in (["nonesuch"], [], ["render"], ["render", "none.wav", str(tmp_path / "out.mp4")]):
        shown = run(sys.executable, "-m", "bridge.cli", *words)
        assert shown.returncode != 0
        assert "Traceback" not in shown.stderr and shown.stderr.strip()


IMPORT_RUNTIME = """
import importlib, pathlib, sys
import bridge, engine
names = []
for package in (engine, bridge):
    root = pathlib.Path(package.__file__).parent
    for path in root.rglob("*.py"):
        parts = (package.__name__, *path.relative_to(root).with_suffix("").parts)
        names.append(".".join(parts).removesuffix(".__init__"))
names = [name for name in names if not name.startswith(("engine.train", "engine.export"))]
assert "bridge.daemon" in names and "engine.pipeline" in names, names
for name in names:
    importlib.import_module(name)
banned = {"torch", "onnx", "onnxscript", "scipy", "skia", "soundfile", "safetensors"}
banned |= {"engine.train", "engine.export"}
assert not banned & set(sys.modules), banned & set(sys.modules)
"""


def test_runtime_loads_no_training_library() -> None:
    """Imports every module but training and export in a fresh interpreter."""
    shown = run(sys.executable, "-c", IMPORT_RUNTIME)
    assert shown.returncode == 0, shown.stderr


def test_runtime_dependencies_are_not_training_ones() -> None:
    runtime = " ".join(SETTINGS["project"]["dependencies"])
    for name in ("torch", "scipy", "onnxscript", "onnxruntime-gpu", "pyvirtualcam", "pytest"):
        assert name not in runtime
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()


def links(document: Path) -> list[str]:
    """Targets of links and pictures, code left out."""
    prose = re.sub(r"```.*?```|`[^`]*`", "", document.read_text(), flags=re.S)
    return re.findall(r"\]\(([^)\s]+)\)", prose)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_in_documents_lead_somewhere(document: Path) -> None:
    dead = []
    for target in links(document):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        if not (document.parent / target.split("#")[0]).exists():
            dead.append(target)
    assert not dead, f"{document.relative_to(ROOT)}: {dead}"


def test_both_readmes_show_the_same_client() -> None:
    clients = [
        re.search(r"```python\n(import msgpack.*?)```", (ROOT / name).read_text(), re.S)
        for name in ("README.md", "bridge/README.md")
    ]
    assert clients[0] and clients[1] and clients[0][1] == clients[1][1]


def layout() -> set[str]:
    """Paths in the README's tree."""
    text = (ROOT / "README.md").read_text()
    tree = re.search(r"## Layout\n+```\n(.*?)```", text, re.S)
    assert tree
    paths, folder = set(), ""
    for line in tree[1].splitlines():
        name = line.split()[0]
        assert len(line.split()) > 1, f"no comment: {line}"
        if line.startswith(" "):
            name = folder + name
        else:
            folder = name
        paths.add(name)
    return paths


def test_layout_in_the_readme_is_the_layout() -> None:
    named = layout()
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    for package in ("engine", "bridge"):
        there = {
            f"{package}/{path.name}" + ("/" if path.is_dir() else "")
            for path in (ROOT / package).iterdir()
            if path.name not in ("__init__.py", "__pycache__")
        }
        assert sorted(there - named) == []


def test_make_help_lists_the_targets() -> None:
    shown = run("make", "help")
    assert shown.returncode == 0
    for target in ("install", "run", "test", "check"):
        assert f"make {target} " in shown.stdout


def test_nothing_names_a_path_of_one_machine() -> None:
    tracked = run("git", "ls-files", "-z").stdout.split("\0")
    if tracked == [""]:
        pytest.skip("not a git checkout")
    found = []
    for name in filter(None, tracked):
        path = ROOT / name
        if path.suffix in (".onnx", ".png", ".wav") or not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        if re.search(r"(?<![\w.])/(?:home|root|Users)/\w", text) or str(ROOT) in text:
            found.append(name)
    assert found == []
