from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import benchmark
from engine.errors import ConfigError, ModelError
from engine.pipeline import Engine


def test_report_has_the_agreed_shape(engine: Engine) -> None:
    told: list[tuple[str, float]] = []
    report = benchmark.run(
        engine,
        sizes=(64, 96),
        threads=2,
        seconds=0.3,
        progress=lambda label, done: told.append((label, done)),
    )
    json.dumps(report)
    assert {"processor", "cores", "system", "python", "onnxruntime"} <= report["machine"].keys()
    assert [result["size"] for result in report["results"]] == [64, 96]
    for result in report["results"]:
        assert (result["preset"], result["precision"], result["threads"]) == ("toy", "fp32", 2)
        assert result["fps"] > 0 and result["first_frame_ms"] > 0
        assert set(result["stages_ms"]) == {"features", "audio_encoder", "denoise", "decode"}
    done = [part for _, part in told]
    assert done == sorted(done) and done[-1] == 1.0


def test_wrong_size_and_pack(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="size_px = 7"):
        benchmark.run(engine, sizes=(7,), seconds=0.1)
    with pytest.raises(ModelError, match="no model pack"):
        benchmark.run(tmp_path)
