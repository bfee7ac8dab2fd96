"""What the stages share: resumable checkpoints, averaged weights, learning rate by samples, a log."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from engine.errors import EngineError


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a stage learns.

    Attributes:
        samples: samples after which the learning rate has decayed to `floor` of its peak.
        learning_rate: peak.
        warmup_samples: linear rise at the start.
        floor: share of the peak kept at the end, so that a run can be continued.
        ema: decay of the averaged weights, reached gradually.
        minutes: stop after this many, whatever the samples (None: run to `samples`).
    """

    samples: int
    learning_rate: float
    warmup_samples: int = 2000
    floor: float = 0.02
    ema: float = 0.999
    minutes: float | None = None

    def rate(self, done: int) -> float:
        """Learning rate after `done` samples: linear warm-up, then a cosine."""
        rise = min(1.0, (done + 1) / self.warmup_samples)
        fall = 0.5 * (1.0 + math.cos(math.pi * min(1.0, done / self.samples)))
        return self.learning_rate * rise * (self.floor + (1.0 - self.floor) * fall)


class Trainer:
    """Runs one stage: `for samples in trainer: ... trainer.step(loss)`.

    Args:
        folder: where `checkpoint.pt`, `log.jsonl` and sample sheets go.
        networks: the networks that learn, by name; all are averaged and saved.
        schedule: see `Schedule`.
        checkpoint_minutes: how often the run is saved.
        companions: what is saved with them and trained by the stage itself (a critic, its optimizer).
        on_checkpoint: called with the averaged networks at every save; returns figures for the log.
    """

    def __init__(
        self,
        folder: Path,
        networks: dict[str, nn.Module],
        schedule: Schedule,
        *,
        device: torch.device,
        checkpoint_minutes: float = 5.0,
        companions: Mapping[str, nn.Module | torch.optim.Optimizer] = MappingProxyType({}),
        on_checkpoint: Callable[[dict[str, nn.Module]], dict[str, float]] | None = None,
    ) -> None:
        self.folder, self.networks, self.schedule = folder, networks, schedule
        self.checkpoint_minutes, self.on_checkpoint = checkpoint_minutes, on_checkpoint
        self.companions = companions
        self.samples = 0
        self.averaged = {k: copy.deepcopy(v).eval().requires_grad_(False) for k, v in networks.items()}
        parameters = [p for n in networks.values() for p in n.parameters() if p.requires_grad]
        self.parameters = parameters
        self.optimizer = torch.optim.AdamW(
            parameters, schedule.learning_rate, betas=(0.9, 0.98), weight_decay=1e-3
        )
        self._running: dict[str, float] = {}
        self._steps = 0
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "checkpoint.pt").exists():
            self._resume(_read(folder, device))

    def _resume(self, saved: dict[str, Any]) -> None:
        for name, network in self.networks.items():
            _fill(network, saved["networks"][name], self.folder)
            _fill(self.averaged[name], saved["averaged"][name], self.folder)
        if "optimizer" in saved:  # weights of the repository come without
            self.optimizer.load_state_dict(saved["optimizer"])
        for key, part in self.companions.items():
            part.load_state_dict(saved["companions"][key])
        self.samples, self._steps = saved["samples"], saved["steps"]

    def __iter__(self) -> Iterator[int]:
        """Yields the samples done so far until the schedule ends; saves on the way and at the end."""
        start = last_save = time.monotonic()
        bar = tqdm(
            total=self.schedule.samples,
            initial=self.samples,
            unit="sample",
            mininterval=10.0,
            desc=self.folder.name,
        )
        while self.samples < self.schedule.samples:
            minutes = (time.monotonic() - start) / 60.0
            if self.schedule.minutes is not None and minutes >= self.schedule.minutes:
                break
            if time.monotonic() - last_save > 60.0 * self.checkpoint_minutes:
                self.save()
                last_save = time.monotonic()
            before = self.samples
            yield self.samples
            bar.update(self.samples - before)
            bar.set_postfix({k: f"{v:.4f}" for k, v in self._running.items()}, refresh=False)
        bar.close()
        self.save()

    def step(self, losses: dict[str, Tensor], samples: int) -> None:
        """One optimizer step on the sum of the losses, which came from `samples` samples."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.samples)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.samples += samples
        self._steps += 1
        decay = min(self.schedule.ema, (1 + self._steps) / (10 + self._steps))
        for name, network in self.networks.items():
            average(self.averaged[name], network, decay)
        for key, loss in losses.items():
            value = loss.item()
            self._running[key] = 0.98 * self._running.get(key, value) + 0.02 * value

    def save(self) -> None:
        """Writes the checkpoint, by a temporary name (a kill never leaves half a file), and a log line."""
        temporary = self.folder / "checkpoint.tmp"
        torch.save(
            {
                "networks": {k: v.state_dict() for k, v in self.networks.items()},
                "averaged": {k: v.state_dict() for k, v in self.averaged.items()},
                "optimizer": self.optimizer.state_dict(),
                "companions": {k: v.state_dict() for k, v in self.companions.items()},
                "samples": self.samples,
                "steps": self._steps,
            },
            temporary,
        )
        temporary.replace(self.folder / "checkpoint.pt")
        figures = self.on_checkpoint(self.averaged) if self.on_checkpoint else {}
        line = {"time": time.strftime("%Y-%m-%d %H:%M:%S"), "samples": self.samples}
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(
                json.dumps({**line, **{k: round(v, 4) for k, v in {**self._running, **figures}.items()}})
                + "\n"
            )


def _read(folder: Path, device: torch.device) -> dict[str, Any]:
    path = folder / "checkpoint.pt"
    try:
        saved: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: run the stage '{folder.name}' first") from None
    except Exception as error:  # half a pickle raises whatever its bytes happen to mean
        reason = (str(error).splitlines() or ["it is damaged"])[0]
        raise EngineError(f"{path} cannot be read ({reason}): move it away, the stage starts anew") from None
    return saved


def _fill(network: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        raise EngineError(
            f"{folder / 'checkpoint.pt'} holds networks of other sizes: choose its --preset or move it away"
        ) from None


@torch.no_grad()
def average(target: nn.Module, source: nn.Module, decay: float) -> None:
    """Exponential moving average of weights and of batch-norm statistics, in place."""
    pairs = zip(target.state_dict().values(), source.state_dict().values(), strict=True)
    floats = [(a, b) for a, b in pairs if a.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1.0 - decay)


def load_averaged(folder: Path, networks: dict[str, nn.Module]) -> None:
    """Loads a stage's averaged weights into networks; FileNotFoundError names the stage to run first."""
    saved = _read(folder, torch.device("cpu"))["averaged"]
    for name, network in networks.items():
        _fill(network, saved[name], folder)
        network.eval().requires_grad_(False)
