from __future__ import annotations

from pathlib import Path

import pytest

from engine.pipeline import Engine


@pytest.fixture(scope="session")
def engine(toy_pack: Path) -> Engine:
    return Engine(toy_pack, threads=2, provider="CPU")
