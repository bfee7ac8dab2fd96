from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.pipeline import Engine


@pytest.fixture(scope="session")
def engine(toy_pack: Path) -> Iterator[Engine]:
    with Engine(toy_pack, threads=2, provider="CPU") as engine:
        yield engine
