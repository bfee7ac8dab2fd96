from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ModelError
from engine.models import find_pack, pack_names


def test_finds_a_pack_by_its_folder(toy_pack: Path) -> None:
    assert find_pack(toy_pack) == toy_pack
    assert find_pack(str(toy_pack)) == toy_pack
    assert pack_names(toy_pack.parent) == ["toy"]


def test_unknown_pack_names_those_that_exist() -> None:
    with pytest.raises(ModelError) as caught:
        find_pack("gigantic")
    assert "no model pack 'gigantic'" in str(caught.value)
    assert (", ".join(pack_names()) or "none") in str(caught.value)
