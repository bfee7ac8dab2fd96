"""Compiles the package's C# with mono's mcs; a program or library is built once per state of its sources."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "plugins" / "unity"
TESTS = Path(__file__).parent
BUILD = ROOT / "build" / "unity"
NUNIT = Path("/usr/lib/cli/nunit.framework-2.6.3/nunit.framework.dll")


def sources(folder: Path) -> list[Path]:
    """All C# files below a folder."""
    return sorted(folder.rglob("*.cs"))


def compiled(
    name: str,
    files: Iterable[Path],
    references: Iterable[Path | str] = (),
    defines: Iterable[str] = (),
) -> Path:
    """Compiles `files` to `name` (`.dll` or `.exe`); warnings are errors.

    Args:
        name: of the assembly's file.
        files: C# sources.
        references: assemblies; each is put beside the result, so that mono finds it.
        defines: preprocessor symbols.

    Returns:
        The assembly, in a folder of its own.
    """
    files, references, defines = list(files), list(references), sorted(defines)
    state = hashlib.sha256(repr((name, [str(ref) for ref in references], defines)).encode())
    for path in files:
        state.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    folder = BUILD / state.hexdigest()[:16]
    made = folder / name
    if made.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    for reference in references:
        if isinstance(reference, Path):
            for beside in reference.parent.glob("*.dll"):
                link = folder / beside.name
                if not link.exists():
                    os.link(
                        beside, link
                    ) if beside.stat().st_dev == folder.stat().st_dev else link.symlink_to(beside)
    command = [
        "mcs", "-langversion:latest", "-warn:4", "-warnaserror", "-debug", "-optimize+",
        f"-target:{'exe' if name.endswith('.exe') else 'library'}", f"-out:{made}",
        *(f"-r:{reference}" for reference in references),
        *(f"-d:{symbol}" for symbol in defines),
        *map(str, files),
    ]  # fmt: skip
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    if told.returncode:
        made.unlink(missing_ok=True)
        raise AssertionError(f"{name} does not compile:\n{told.stdout}{told.stderr}")
    return made


def core() -> Path:
    """The package's core, which knows nothing of Unity."""
    return compiled("Llia.Core.dll", sources(PACKAGE / "Runtime" / "Core"))


def interop() -> Path:
    """The program that drives the core from outside."""
    return compiled("Llia.Tests.Interop.exe", sources(TESTS / "interop"), [core()])


SYMBOLS = {
    "2021.3 editor": {"UNITY_EDITOR", "UNITY_2021_3_OR_NEWER", "UNITY_STANDALONE", "ENABLE_MONO"},
    "2021.3 player": {"UNITY_2021_3_OR_NEWER", "UNITY_STANDALONE", "ENABLE_MONO"},
    "2021.3 IL2CPP player": {"UNITY_2021_3_OR_NEWER", "UNITY_ANDROID", "ENABLE_IL2CPP", "NET_STANDARD_2_1"},
    "6 editor": {
        "UNITY_EDITOR",
        "UNITY_2021_3_OR_NEWER",
        "UNITY_6000_0_OR_NEWER",
        "UNITY_STANDALONE",
        "ENABLE_MONO",
    },
}
"""The symbols that Unity defines, by where the package is compiled."""


def unity_layer(symbols: set[str]) -> list[Path]:
    """The package against the fakes of Unity: runtime, samples, and in the editor the inspectors."""
    llia_core = compiled("Llia.Core.dll", sources(PACKAGE / "Runtime" / "Core"), defines=symbols)
    engine = compiled("UnityEngine.dll", sources(TESTS / "fakes"), defines=symbols)
    references = [llia_core, engine]
    if "UNITY_EDITOR" in symbols:
        references.append(compiled("UnityEditor.dll", sources(TESTS / "fakes_editor"), [engine], symbols))
    runtime = [
        path for path in sources(PACKAGE / "Runtime") if (PACKAGE / "Runtime" / "Core") not in path.parents
    ]
    made = [*references, compiled("Llia.dll", runtime, references, symbols)]
    if "UNITY_EDITOR" in symbols:
        made.append(compiled("Llia.Editor.dll", sources(PACKAGE / "Editor"), made, symbols))
    made.append(compiled("Assembly-CSharp.dll", sources(PACKAGE / "Samples~"), made, symbols))
    return made


def core_tests() -> Path:
    """The package's own tests of its core; the same files run in Unity's Test Runner."""
    return compiled("Llia.Tests.Editor.dll", sources(PACKAGE / "Tests" / "Editor"), [core(), NUNIT])


def golden_tests() -> Path:
    """The core against the golden messages."""
    references: list[Path | str] = [core(), NUNIT, "System.Web.Extensions"]
    return compiled("Llia.Tests.Golden.dll", sources(TESTS / "golden"), references)


def behaviour_tests() -> Path:
    """The Unity layer in the editor of 2021.3 against the fakes; with the package's own play mode tests."""
    made = unity_layer(SYMBOLS["2021.3 editor"])
    files = [*sources(TESTS / "behaviour"), *sources(PACKAGE / "Tests" / "Runtime")]
    files += [PACKAGE / "Tests" / "Editor" / name for name in ("PeerServer.cs", "Messages.cs", "Wait.cs")]
    references = [*made, NUNIT, "Mono.Posix"]
    return compiled("Llia.Tests.Runtime.dll", files, references, SYMBOLS["2021.3 editor"])
