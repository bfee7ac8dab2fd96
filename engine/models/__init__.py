"""Finds model packs by name; the shipped ones are folders beside this file."""

from __future__ import annotations

from pathlib import Path

from engine.errors import ModelError


def pack_names(root: Path | None = None) -> list[str]:
    """Names of the packs in `root` (default: the shipped ones)."""
    folder = Path(__file__).parent if root is None else root
    return sorted(path.parent.name for path in folder.glob("*/manifest.json"))


def find_pack(name_or_path: str | Path) -> Path:
    """Folder of a shipped pack ("nano") or of one given by its path.

    Raises:
        ModelError: there is no such pack; the message names those that exist.
    """
    shipped = Path(__file__).parent / str(name_or_path)
    for folder in (shipped, Path(name_or_path).expanduser()):
        if (folder / "manifest.json").is_file():
            return folder
    names = ", ".join(pack_names()) or "none"
    raise ModelError(
        f"no model pack '{name_or_path}'; packs here: {names}; or give the folder that holds a manifest.json"
    )
