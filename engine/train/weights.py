"""Weights to go on from: every stage's averaged networks in one small file (fp16 and int8, no optimizer)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

STAGES = ("audio", "locator", "encoder", "autoencoder", "reader", "diffusion")
"""`distill` is left out: it starts from `diffusion` and is short."""

INT8_STAGES = ("diffusion", "reader")
"""Their matrices, half of all weights, are stored as int8 with a scale per row."""
Stored = dict[str, Tensor | tuple[Tensor, Tensor]]


def _stored(state: dict[str, Tensor], int8: bool) -> Stored:
    stored: Stored = {}
    for name, value in state.items():
        if int8 and name.endswith("weight") and value.dim() == 2:
            scale = value.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127.0
            stored[name] = (value.div(scale).round().to(torch.int8), scale)
        else:
            stored[name] = value.half() if value.is_floating_point() else value
    return stored


def _restored(stored: Stored) -> dict[str, Tensor]:
    state = {}
    for name, value in stored.items():
        if isinstance(value, tuple):
            state[name] = value[0].float() * value[1]
        else:
            state[name] = value.float() if value.is_floating_point() else value
    return state


def save_weights(runs: Path, path: Path) -> None:
    """Collects the checkpoints under `runs`; FileNotFoundError names a stage that has none."""
    collected = {}
    for stage in STAGES:
        checkpoint = runs / stage / "checkpoint.pt"
        if not checkpoint.exists():
            raise FileNotFoundError(f"{checkpoint} is missing: run the stage '{stage}' first")
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        averaged = {name: _stored(state, stage in INT8_STAGES) for name, state in saved["averaged"].items()}
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
        averaged = {name: _restored(state) for name, state in saved["averaged"].items()}
        torch.save({**saved, "averaged": averaged, "networks": averaged}, checkpoint)
