"""Writes Unity's .meta files, beside every file and folder: `python plugins/unity/Tools~/metas.py`.

Without a committed one Unity passes over a file of a package that it has installed from git, as it cannot
write one there. A new one gets an id made of its path, so that everybody makes the same; one that exists
stays as it is, so that a file keeps its id when it is moved together with its .meta. `--check` writes nothing
and tells what is wrong.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
GUID = re.compile(r"^guid: ([0-9a-f]{32})$", re.M)
_USER = "  userData: \n  assetBundleName: \n  assetBundleVariant: \n"
_SCRIPT = (
    "MonoImporter:\n  externalObjects: {}\n  serializedVersion: 2\n  defaultReferences: []\n"
    "  executionOrder: 0\n  icon: {instanceID: 0}\n" + _USER
)
IMPORTERS = {
    "": "folderAsset: yes\nDefaultImporter:\n  externalObjects: {}\n" + _USER,
    ".cs": _SCRIPT,
    ".asmdef": "AssemblyDefinitionImporter:\n  externalObjects: {}\n" + _USER,
    ".json": "PackageManifestImporter:\n  externalObjects: {}\n" + _USER,
    ".md": "TextScriptImporter:\n  externalObjects: {}\n" + _USER,
}
"""What imports a file, by its suffix; "" is a folder."""


def assets(folder: Path = PACKAGE) -> Iterator[Path]:
    """All that needs a .meta file: what Unity sees, and what it copies out of the samples."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix == ".meta":
            continue
        if path.name.endswith("~"):
            if path.name == "Samples~":
                yield from assets(path)
            continue
        yield path
        if path.is_dir():
            yield from assets(path)


def meta_of(path: Path) -> Path:
    """Where the .meta file of a file or folder is."""
    return path.with_name(path.name + ".meta")


def written(path: Path) -> str:
    """A new .meta file's text."""
    kind = "" if path.is_dir() else path.suffix
    if kind not in IMPORTERS:
        raise SystemExit(f"{path}: what imports {kind} files is not known here; add it to IMPORTERS")
    name = f"com.llia.avatar/{path.relative_to(PACKAGE).as_posix()}"
    guid = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"fileFormatVersion: 2\nguid: {guid}\n{IMPORTERS[kind]}"


def problems() -> list[str]:
    """What is wrong with the .meta files, one line each."""
    found, owners = [], {}
    wanted = {meta_of(path): path for path in assets()}
    for meta, path in wanted.items():
        if not meta.exists():
            found.append(f"{meta.relative_to(PACKAGE)} is missing: run plugins/unity/Tools~/metas.py")
            continue
        text = meta.read_text(encoding="utf-8")
        guid = GUID.search(text)
        if not text.startswith("fileFormatVersion: 2\n") or guid is None:
            found.append(f"{meta.relative_to(PACKAGE)} has no guid of 32 hexadecimal digits")
        elif guid[1] in owners:
            found.append(f"{meta.relative_to(PACKAGE)} has the guid of {owners[guid[1]]}")
        else:
            owners[guid[1]] = meta.relative_to(PACKAGE)
        if path.is_dir() != ("folderAsset: yes" in text):
            found.append(f"{meta.relative_to(PACKAGE)} takes a file for a folder, or the reverse")
    for meta in sorted(PACKAGE.rglob("*.meta")):
        if meta not in wanted:
            found.append(f"{meta.relative_to(PACKAGE)} belongs to nothing")
    return found


def main() -> int:
    """Writes what is missing, or checks; 1 where something is wrong."""
    if "--check" not in sys.argv[1:]:
        for path in assets():
            if not meta_of(path).exists():
                meta_of(path).write_text(written(path), encoding="utf-8", newline="\n")
                print(meta_of(path).relative_to(PACKAGE))
    found = problems()
    print(*found, sep="\n", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
