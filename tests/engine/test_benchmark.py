from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import benchmark
from engine.errors import ConfigError, ModelError
from tests.toy_pack import build_toy_pack


def test_report_has_the_agreed_shape(toy_pack: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    report = benchmark.run(
        toy_pack,
        against=build_toy_pack(tmp_path),
        sizes=(64, 96),
        threads=2,
        seconds=0.3,
        progress=lambda label, done: told.append((label, done)),
    )
    json.dumps(report)
    assert {"processor", "cores", "system", "python", "onnxruntime"} <= report["machine"].keys()
    measured = [(r["size"], r["pack"], r["threads"]) for r in report["results"]]
    packs = (str(toy_pack), str(tmp_path))
    assert measured == [(size, pack, count) for size in (64, 96) for pack in packs for count in (2, 1)]
    for result in report["results"]:
        assert (result["preset"], result["precision"]) == ("toy", "fp32")
        assert (result["against_one_thread"] == 1.0) or result["threads"] == 2
        assert (result["against_pack"] is None) == (result["pack"] == str(tmp_path))
        assert result["fps"] > 0
        assert min(result[name] for name in benchmark.REACTIONS) > 0
        assert set(result["stages_ms"]) == {"features", "audio_encoder", "denoise", "decode"}
    done = [part for _, part in told]
    assert done == sorted(done) and done[-1] == 1.0


def test_wrong_size_and_pack(toy_pack: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="size_px = 7"):
        benchmark.run(toy_pack, sizes=(7,), seconds=0.1)
    with pytest.raises(ModelError, match="no model pack"):
        benchmark.run(tmp_path)
