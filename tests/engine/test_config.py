from __future__ import annotations

from typing import Any

import pytest

from engine.config import EngineConfig
from engine.errors import ConfigError


def test_defaults_and_values() -> None:
    assert EngineConfig.from_mapping({}) == EngineConfig()
    config = EngineConfig.from_mapping({"size_px": 512, "provider": "CPU", "seed": None, "threads": 1})
    assert (config.size_px, config.provider, config.seed, config.threads) == (512, "CPU", None, 1)


@pytest.mark.parametrize(
    ("key", "value", "bound"),
    [
        ("size_px", 8, "64..1024 in steps of 32"),
        ("size_px", 385, "in steps of 32"),
        ("size_px", "384", "64..1024"),
        ("size_px", None, "64..1024"),
        ("fps", 9, "10..60"),
        ("fps", 25.0, "10..60"),
        ("steps", True, "1..50"),
        ("threads", 0, "1..256"),
        ("seed", -1, "0..9223372036854775807"),
        ("provider", "abacus", "auto, CPU"),
        ("avatar", 5, "text"),
        ("colour", "red", "unknown key; known are avatar, fps"),
    ],
)
def test_error_names_file_key_value_and_bound(key: str, value: Any, bound: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EngineConfig.from_mapping({key: value}, file="my.toml")
    line = str(caught.value)
    assert line.startswith(f"my.toml: engine.{key} = {value!r}")
    assert bound in line
