"""The whole way in small: corpus, every training stage, export, and frames from the exported pack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.train.installed import require_voices

pytest.importorskip("torch")
pytest.importorskip("skia")
pytest.importorskip("onnx")

import torch
from tqdm import tqdm

from engine.export.__main__ import main as export
from engine.pipeline import AvatarPipeline, Engine
from engine.portrait import Portrait, read_picture
from engine.runtime.manifest import load_manifest
from engine.train.__main__ import STAGES
from engine.train.__main__ import main as train
from engine.train.autoencoder import Pairs, drawing_losses, flow_losses
from engine.train.data.corpus import main as corpus
from engine.train.evaluate import few_steps
from engine.train.models.autoencoder import Autoencoder
from engine.train.models.config import TOY
from engine.types import CONTROL_NAMES, AudioChunk, ClipPlan
from tests.quality.streams import Scene, Trained, of_network

COMMANDS = (
    "render --entries 4 --frames 4",
    "render --entries 2 --frames 4 --held",
    "audio --samples 256",
    "locator --samples 64",
    "encoder --samples 64 --identities 4",
    "autoencoder --samples 24",
    "autoencoder --samples 48 --head flows",
    "autoencoder --samples 72 --head eyes",
    "reader --samples 48",
    "render --what performances --performances 2 --run-frames 60",
    "render --what performances --performances 1 --run-frames 60 --held",
    "encode",
    "encode --held",
    "diffusion --samples 16",
    "distill --samples 16",
    "evaluate --limit 1",
    "save-weights",
    "load-weights",
)
LEARNED = ("audio", "locator", "encoder", "autoencoder", "reader", "diffusion", "distill")


def stage(command: str, runs: Path) -> int:
    common = (
        "--runs",
        runs,
        "--preset",
        "toy",
        "--threads",
        "1",
        "--device",
        "cpu",
        "--weights",
        runs / "w.pt",
    )
    return train([*command.split(), *map(str, common)])


@pytest.fixture(autouse=True, scope="module")
def no_monitor_thread() -> None:
    tqdm.monitor_interval = 0
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, no_monitor_thread: None) -> Path:
    """A folder of runs after every stage and the export."""
    require_voices()
    folder = tmp_path_factory.mktemp("runs")
    assert corpus(["--out", str(folder / "corpus"), "--takes", "2"]) == 0
    assert corpus(["--out", str(folder / "corpus_held"), "--takes", "1", "--held-out"]) == 0
    for command in COMMANDS:
        assert stage(command, folder) == 0, command
    assert export(["--preset", "toy", "--runs", str(folder), "--out", str(folder / "pack")]) == 0
    return folder


def test_every_stage_is_run_here() -> None:
    assert {command.split()[0] for command in COMMANDS} == set(STAGES)


@pytest.mark.parametrize("name", LEARNED)
def test_stages_leave_a_checkpoint_and_a_log(runs: Path, name: str) -> None:
    saved = torch.load(runs / name / "checkpoint.pt", weights_only=True)
    assert saved["samples"] > 0
    weights = [w for network in saved["averaged"].values() for w in network.values()]
    assert all(torch.isfinite(w).all() for w in weights if w.is_floating_point())
    last = json.loads((runs / name / "log.jsonl").read_text().splitlines()[-1])
    assert last["samples"] == saved["samples"]


def test_a_stage_goes_on_where_it_stopped(runs: Path) -> None:
    before = torch.load(runs / "diffusion" / "checkpoint.pt", weights_only=True)["samples"]
    assert stage(f"diffusion --samples {before + 16}", runs) == 0
    assert torch.load(runs / "diffusion" / "checkpoint.pt", weights_only=True)["samples"] > before


def test_a_part_taught_alone_changes_nothing_else(runs: Path) -> None:
    net = Autoencoder(TOY)
    batch = Pairs(runs / "pairs", torch.device("cpu")).draw(1, np.random.default_rng(0))
    parts = {"flows": flow_losses(net, batch), "mouth": drawing_losses(net, batch, ["mouth"])}
    for part, losses in parts.items():
        net.zero_grad(set_to_none=True)
        sum(losses.values(), torch.zeros(())).backward()
        taught = {name for name, p in net.named_parameters() if p.grad is not None}
        drawing = {name for name in taught if "mouth" in name or "eye" in name}
        assert taught and drawing == (taught if part == "mouth" else set())


def test_a_checkpoint_performs_outside_the_pack(runs: Path) -> None:
    """As the ablations let teachers and students perform that no pack holds."""
    frames, latent = 4, (len(CONTROL_NAMES), 1, 1)
    scene = Scene(
        np.zeros((frames, TOY.audio_tokens, TOY.audio_width), np.float32), np.zeros(frames, np.int64),
        np.zeros((1, 4, 384, 384), np.float32), {"ref_latent": np.zeros((1, *latent), np.float32)},
    )  # fmt: skip
    generate = of_network(Trained(runs / "distill", runs, TOY), few_steps(2))(scene)
    past = np.zeros((1, TOY.motion_frames, *latent), np.float32)
    made = generate(ClipPlan(0, frames, scene.states, 0), scene.audio_emb, past)
    assert made.shape == (frames, *latent) and np.isfinite(made).all()


def test_rendered_folders_are_whole(runs: Path) -> None:
    assert not list(runs.glob("*.part"))
    assert np.load(runs / "pairs" / "ref.npy").shape == (4, 4, 384, 384)
    assert np.load(runs / "performances_held" / "ref.npy").shape == (1, 4, 384, 384)
    assert np.load(runs / "latents" / "z.npy").shape == (2, 60, 21, 1, 1)


def test_sheet_and_figures_are_written(runs: Path) -> None:
    assert (runs / "autoencoder" / "sheet.png").stat().st_size > 1000

    def forbid(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    figures = json.loads((runs / "figures.json").read_text(), parse_constant=forbid)
    assert {"reference_itself", "reconstruction", "teacher_25", "student_2", "student_1"} <= set(figures)
    assert figures["reconstruction"]["psnr_whole"] > 5.0


def test_the_pack_passes_its_manifest(runs: Path) -> None:
    manifest = load_manifest(runs / "pack")
    assert manifest.default_avatar in manifest.avatars
    parity = json.loads((runs / "parity.json").read_text())
    assert set(parity["mouth"]) == {"fp32", "int8"}


def test_the_runtime_makes_frames_from_the_pack(runs: Path) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    with ExitStack() as stack:
        engine = stack.enter_context(Engine(runs / "pack", threads=1, provider="CPU"))
        # The locator has seen 64 faces: it may find none in the avatar's picture, which is aligned already.
        picture = read_picture(engine.manifest.avatars[engine.manifest.default_avatar])
        portrait = Portrait(picture, engine.graphs, engine.manifest, align=False)
        avatar = AvatarPipeline(engine, portrait, size_px=256, fps=25, steps=2, seed=0, lead_ms=None)
        stack.enter_context(avatar)
        avatar.push_audio(AudioChunk(samples, 0, "u"))
        avatar.finish()
        frames = list(islice(avatar.frames(), 12))
    assert [frame.pts_samples for frame in frames] == [640 * k for k in range(12)]
    assert frames[0].rgba.shape == (256, 256, 4)
    assert frames[0].rgba[128, 128, 3] > 200, "the face is opaque"
    assert frames[0].rgba[0, 0, 3] < 50, "the corner is transparent"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_earlier_stage_is_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stage(command, tmp_path) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"engine.train {command.split()[0]}: ")
    assert "run " in lines[0]
    assert " first" in lines[0]


def test_export_without_checkpoints_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(["--preset", "toy", "--runs", str(tmp_path), "--out", str(tmp_path / "pack")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "run the stage" in error
    assert not (tmp_path / "pack").exists()


def test_an_unknown_avatar_is_one_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--preset", "toy", "--runs", str(runs), "--out", str(runs / "other"), "--avatar", "nobody"]
    assert export(options) == 2
    assert "--avatar nobody: the pack has " in capsys.readouterr().err


def test_another_preset_is_one_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["encode", "--runs", str(runs), "--preset", "nano", "--threads", "1"]) == 2
    assert "of other sizes" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["engine.train", "engine.export"])
def test_the_commands_are_executable(module: str, tmp_path: Path) -> None:
    stage_name = ["audio"] if module == "engine.train" else []
    done = subprocess.run(
        [sys.executable, "-m", module, *stage_name, "--runs", str(tmp_path), "--preset", "toy"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
