"""Weights to go on from: every stage's averaged networks in one small file (fp16, no optimizer)."""

from __future__ import annotations

from pathlib import Path

import torch

STAGES = ("audio", "locator", "encoder", "autoencoder", "reader", "diffusion")
"""`distill` is left out: it starts from `diffusion` and is short."""


def save_weights(runs: Path, path: Path) -> None:
    """Collects the checkpoints under `runs`; FileNotFoundError names a stage that has none."""
    collected = {}
    for stage in STAGES:
        checkpoint = runs / stage / "checkpoint.pt"
        if not checkpoint.exists():
            raise FileNotFoundError(f"{checkpoint} is missing: run the stage '{stage}' first")
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        averaged = {
            name: {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
            for name, state in saved["averaged"].items()
        }
        collected[stage] = {"averaged": averaged, "samples": saved["samples"], "steps": saved["steps"]}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(collected, path)


def load_weights(path: Path, runs: Path) -> None:
    """Writes a checkpoint for every stage, from which the stages go on; those that exist are kept."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run the stage 'save-weights' first")
    for stage, saved in torch.load(path, map_location="cpu", weights_only=True).items():
        checkpoint = runs / stage / "checkpoint.pt"
        if checkpoint.exists():
            continue
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        averaged = {
            name: {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
            for name, state in saved["averaged"].items()
        }
        torch.save({**saved, "averaged": averaged, "networks": averaged}, checkpoint)
