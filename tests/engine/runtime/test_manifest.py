from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ModelError
from engine.runtime.manifest import TensorSpec, load_manifest
from tests.toy_pack import build_toy_pack


def _edit(root: Path, **changes: Any) -> None:
    path = root / "manifest.json"
    raw = json.loads(path.read_text())
    raw.update(changes)
    path.write_text(json.dumps(raw))


def _refused(root: Path, *words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_manifest(root)
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line


def test_reads_what_the_pack_says(toy_pack: Path) -> None:
    manifest = load_manifest(toy_pack)
    assert manifest.preset == "toy"
    assert manifest.frame_samples == 640
    assert manifest.sampling_timesteps == {1: (1.0,), 2: (1.0, 0.5)}
    assert manifest.reanchor_every_frames is None
    assert manifest.graphs["denoiser"].inputs["x"] == TensorSpec("float32", (1, "F", 21, 1, 1))
    assert manifest.avatars["toy"].is_file()


def test_no_folder_and_no_json(tmp_path: Path) -> None:
    _refused(tmp_path / "nowhere", "manifest.json", "cannot be read")
    (tmp_path / "manifest.json").write_text("{")
    _refused(tmp_path, "not JSON")
    (tmp_path / "manifest.json").write_text("[]")
    _refused(tmp_path, "expected an object")


def test_another_format_version(tmp_path: Path) -> None:
    _refused(build_toy_pack(tmp_path, format_version=1), "format_version is 1", "reads 4")


def test_altered_graph(tmp_path: Path) -> None:
    graph = build_toy_pack(tmp_path) / "decoder.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    _refused(tmp_path, "graph 'decoder'", "altered")


def test_altered_avatar(tmp_path: Path) -> None:
    picture = build_toy_pack(tmp_path) / "avatars" / "toy.png"
    picture.write_bytes(picture.read_bytes()[:-1])
    _refused(tmp_path, "avatar 'toy'", "altered")


def test_missing_graph_file(tmp_path: Path) -> None:
    (build_toy_pack(tmp_path) / "reader.onnx").unlink()
    _refused(tmp_path, "graph 'reader'", "missing")


def test_missing_graph_entry(tmp_path: Path) -> None:
    build_toy_pack(tmp_path)
    graphs = json.loads((tmp_path / "manifest.json").read_text())["graphs"]
    del graphs["expression"]
    _edit(tmp_path, graphs=graphs)
    _refused(tmp_path, "graph 'expression' is missing")


def test_file_outside_the_pack(tmp_path: Path) -> None:
    build_toy_pack(tmp_path / "pack")
    (tmp_path / "secret.png").write_bytes(b"")
    _edit(tmp_path / "pack", avatars={"toy": {"file": "../secret.png", "sha256": ""}})
    _refused(tmp_path / "pack", "outside the pack")


def test_wrong_shape_in_the_manifest(tmp_path: Path) -> None:
    build_toy_pack(tmp_path)
    graphs = json.loads((tmp_path / "manifest.json").read_text())["graphs"]
    graphs["decoder"]["inputs"]["latents"][1] = ["F", 21, 2, 2]
    _edit(tmp_path, graphs=graphs)
    _refused(tmp_path, "graphs.decoder", "latents", "[F, 21, 2, 2]", "expected float32 [F, 21, 1, 1]")


def test_an_output_may_have_lost_a_constant_size(tmp_path: Path) -> None:
    build_toy_pack(tmp_path)
    graphs = json.loads((tmp_path / "manifest.json").read_text())["graphs"]
    graphs["audio_encoder"]["outputs"]["audio_emb"][1] = ["F", "tokens", 128]
    _edit(tmp_path, graphs=graphs)
    load_manifest(tmp_path)
    graphs["decoder"]["inputs"]["latents"][1] = ["F", "channels", 4, 4]
    _edit(tmp_path, graphs=graphs)
    _refused(tmp_path, "graphs.decoder: input 'latents'")


def test_an_input_that_nothing_feeds(tmp_path: Path) -> None:
    build_toy_pack(tmp_path)
    graphs = json.loads((tmp_path / "manifest.json").read_text())["graphs"]
    graphs["denoiser"]["inputs"]["mood"] = ["float32", [1]]
    _edit(tmp_path, graphs=graphs)
    _refused(tmp_path, "graphs.denoiser", "nothing feeds input 'mood'")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("clip_lengths", [2, 4]),
        ("clip_lengths", []),
        ("motion_lags", []),
        ("motion_lags", [1, 2]),
        ("motion_lags", [8, 4]),
        ("noise_scale", [[1.0]] * 3),
        ("noise_scale", [[1.0] * 21] * 2),
        ("noise_scale", [[-1.0] * 21] * 3),
        ("control_std", [0.0] * 21),
        ("latent_shape", [16, 4, 4]),
        ("sampling_timesteps", {}),
        ("sampling_timesteps", {"2": [1.0]}),
        ("reanchor_every_frames", 0),
        ("default_avatar", "nobody"),
        ("fps", 30),
        ("framing", {"eyes": [0.1], "mouth": [0.0, 0.3]}),
    ],
)
def test_value_the_runtime_cannot_use(tmp_path: Path, key: str, value: Any) -> None:
    _refused(build_toy_pack(tmp_path, **{key: value}), key)


@pytest.mark.parametrize("key", ["fps", "graphs", "avatars", "framing", "latent_shape"])
def test_missing_key(tmp_path: Path, key: str) -> None:
    build_toy_pack(tmp_path)
    raw = json.loads((tmp_path / "manifest.json").read_text())
    del raw[key]
    (tmp_path / "manifest.json").write_text(json.dumps(raw))
    _refused(tmp_path, f"key '{key}' is missing")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("graphs", []),
        ("audio", 5),
        ("fps", "fast"),
        ("reanchor_every_frames", "often"),
        ("noise_scale", [1.0] * 21),
    ],
)
def test_wrong_type(tmp_path: Path, key: str, value: Any) -> None:
    _refused(build_toy_pack(tmp_path, **{key: value}), "manifest.json")
