from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from engine.errors import ConfigError, EngineError, ModelError
from engine.runtime.manifest import TensorSpec, load_manifest
from engine.runtime.session import (
    GraphSession,
    load_graphs,
    provider_candidates,
)


def _session(pack: Path, name: str, **changes: object) -> GraphSession:
    spec = replace(load_manifest(pack).graphs[name], **changes)  # type: ignore[arg-type]
    return GraphSession(name, spec, provider="CPU", threads=1)


def test_auto_takes_the_best_and_names_are_forgiving(monkeypatch: pytest.MonkeyPatch) -> None:
    here = ["CPUExecutionProvider", "CUDAExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: here)
    assert provider_candidates("auto") == ["CUDA", "CPU"]
    assert provider_candidates("cuda") == ["CUDA"]


def test_forced_provider_that_is_absent_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ConfigError, match="TensorRT is not in this onnxruntime, which has CPU"):
        provider_candidates("TensorRT")
    with pytest.raises(ConfigError, match="'abacus' is unknown; choose one of auto, TensorRT"):
        provider_candidates("abacus")


def test_auto_falls_back_where_a_listed_provider_does_not_start(
    toy_pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.runtime.session.provider_candidates", lambda wanted: ["CUDA", "CPU"])
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("CUDA starts here")
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        assert load_graphs(load_manifest(toy_pack)).provider == "CPU"


def test_runs_and_ignores_banks_it_does_not_use(toy_pack: Path) -> None:
    session = _session(toy_pack, "audio_encoder")
    feeds: dict[str, np.ndarray] = {"mel_windows": np.zeros((3, 40, 40), np.float32), "tint": np.zeros(1)}
    assert session.run(feeds)["audio_emb"].shape == (3, 10, 128)


def test_warm_up_of_every_graph(toy_pack: Path) -> None:
    graphs = load_graphs(load_manifest(toy_pack), provider="CPU")
    for session in graphs.sessions.values():
        session.warm_up(F=2, S=32)


def test_wrong_input_is_one_line(toy_pack: Path) -> None:
    with pytest.raises(EngineError, match="graph 'audio_encoder' failed") as caught:
        _session(toy_pack, "audio_encoder").run({"mel_windows": np.zeros((3, 40, 41), np.float32)})
    assert "\n" not in str(caught.value)


def test_file_that_is_no_graph(toy_pack: Path) -> None:
    with pytest.raises(ModelError, match=r"graph 'decoder' .* does not load on CPU"):
        _session(toy_pack, "decoder", path=toy_pack / "manifest.json")


def test_graph_that_does_not_fit_its_manifest(toy_pack: Path) -> None:
    with pytest.raises(ModelError, match=r"has inputs .*, its manifest says"):
        _session(toy_pack, "audio_encoder", inputs={"mel": TensorSpec("float32", (1,))})
    for wrong in (TensorSpec("float32", ("F", 40, 41)), TensorSpec("int64", ("F", 40, 40))):
        with pytest.raises(ModelError, match="input 'mel_windows' is float32"):
            _session(toy_pack, "audio_encoder", inputs={"mel_windows": wrong})
    with pytest.raises(ModelError, match="input 'mel_windows'"):
        _session(toy_pack, "audio_encoder", inputs={"mel_windows": TensorSpec("float32", (1, 40, 40))})
