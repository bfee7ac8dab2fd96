from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from engine.errors import ModelError
from engine.gallery import Gallery
from engine.pipeline import Engine
from tests.toy_pack import avatar_picture


@pytest.fixture
def gallery(engine: Engine) -> Gallery:
    return Gallery(engine.graphs, engine.manifest)


def test_name_path_and_value_are_one_portrait(gallery: Gallery, toy_pack: Path) -> None:
    path = toy_pack / "avatars" / "toy.png"
    found = [gallery.find(picture) for picture in (None, "toy", path, str(path), Image.open(path))]
    assert all(portrait is found[0] for portrait in found)
    assert gallery.find(avatar_picture(128)) is not found[0]


def test_the_least_used_is_let_go(gallery: Gallery) -> None:
    pictures = [avatar_picture(128 + 2 * n) for n in range(9)]
    found = [gallery.find(picture) for picture in pictures[:8]]
    assert gallery.find(pictures[0]) is found[0]
    gallery.find(pictures[8])
    assert gallery.find(pictures[0]) is found[0]
    assert gallery.find(pictures[1]) is not found[1]


def test_unknown_avatar_names_those_that_exist(gallery: Gallery, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no avatar 'nobody'; the pack has toy; or give the path"):
        gallery.find("nobody")
    with pytest.raises(ModelError, match="no avatar"):
        gallery.find(tmp_path)
