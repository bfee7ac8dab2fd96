"""Checkpoints: a resumed run goes on as if it had never stopped, and a kill leaves the last save whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn
from tqdm import tqdm

from engine.errors import EngineError
from engine.train import weights
from engine.train.trainer import Schedule, Trainer, average, load_averaged

SCHEDULE = Schedule(samples=64, learning_rate=1e-2, warmup_samples=8, ema=0.9)
CPU = torch.device("cpu")
BATCH = 4


@pytest.fixture(autouse=True)
def no_monitor_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tqdm, "monitor_interval", 0)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 1))


def loss_of(net: nn.Module, samples: int) -> dict[str, Tensor]:
    """The loss of the batch that follows `samples` samples, the same in every run."""
    x = torch.randn(BATCH, 1, 4, 4, generator=torch.Generator().manual_seed(samples))
    return {"square": (net(x) - 1.0).pow(2).mean()}


def run(trainer: Trainer, net: nn.Module) -> None:
    for samples in trainer:
        trainer.step(loss_of(net, samples), BATCH)


def trainer_for(folder: Path, net: nn.Module, schedule: Schedule = SCHEDULE) -> Trainer:
    return Trainer(folder, {"net": net}, schedule, device=CPU)


def test_a_resumed_run_goes_on_exactly(tmp_path: Path) -> None:
    straight = network()
    one = trainer_for(tmp_path / "straight", straight)
    run(one, straight)

    first = network()
    trainer = trainer_for(tmp_path / "broken", first)
    for samples in trainer:
        trainer.step(loss_of(first, samples), BATCH)
        if trainer.samples == 32:
            trainer.save()
            break
    second = network(seed=7)
    resumed = trainer_for(tmp_path / "broken", second)
    assert resumed.samples == 32
    run(resumed, second)

    assert resumed.samples == one.samples == 64
    for made, wanted in ((second, straight), (resumed.averaged["net"], one.averaged["net"])):
        torch.testing.assert_close(made.state_dict(), wanted.state_dict(), atol=0.0, rtol=0.0)
    moments = [t.optimizer.state_dict()["state"] for t in (resumed, one)]
    torch.testing.assert_close(moments[0], moments[1], atol=0.0, rtol=0.0)


def test_companions_are_saved_and_resumed(tmp_path: Path) -> None:
    net, critic = network(), network(seed=1)
    Trainer(tmp_path, {"net": net}, SCHEDULE, device=CPU, companions={"critic": critic}).save()
    other = network(seed=2)
    Trainer(tmp_path, {"net": net}, SCHEDULE, device=CPU, companions={"critic": other})
    torch.testing.assert_close(other.state_dict(), critic.state_dict(), atol=0.0, rtol=0.0)


def test_a_kill_while_saving_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network()
    trainer = trainer_for(tmp_path, net)
    trainer.save()
    whole = (tmp_path / "checkpoint.pt").read_bytes()

    def killed(saved: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    trainer.step(loss_of(net, 0), BATCH)
    with pytest.raises(KeyboardInterrupt):
        trainer.save()
    assert (tmp_path / "checkpoint.pt").read_bytes() == whole
    assert trainer_for(tmp_path, network()).samples == 0


def test_the_log_gets_a_line_per_save(tmp_path: Path) -> None:
    net = network()
    trainer = Trainer(
        tmp_path, {"net": net}, SCHEDULE, device=CPU, on_checkpoint=lambda nets: {"figure": 0.5}
    )
    run(trainer, net)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["samples"] for line in lines] == [64]
    assert lines[0]["figure"] == 0.5
    assert lines[0]["square"] > 0.0


def test_minutes_end_a_run_early(tmp_path: Path) -> None:
    trainer = trainer_for(tmp_path, network(), Schedule(samples=64, learning_rate=1e-2, minutes=0.0))
    assert list(trainer) == []
    assert (tmp_path / "checkpoint.pt").exists()


def test_learning_rate_rises_and_falls_to_its_floor() -> None:
    schedule = Schedule(samples=1000, learning_rate=1.0, warmup_samples=100, floor=0.1)
    rates = [schedule.rate(n) for n in range(0, 1001, 10)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(1.0, abs=0.03)
    assert rates.index(max(rates)) in range(8, 12)
    assert rates[-1] == pytest.approx(0.1)
    assert schedule.rate(5000) == pytest.approx(0.1)


def test_average_moves_floats_only() -> None:
    target, source = network(), network(seed=3)
    old = target[0].weight.clone()
    average(target, source, decay=0.75)
    torch.testing.assert_close(target[0].weight, 0.75 * old + 0.25 * source[0].weight)
    assert target[1].num_batches_tracked.item() == 0


def test_averaged_weights_load_frozen(tmp_path: Path) -> None:
    net, fresh = network(), network(seed=5)
    trainer = trainer_for(tmp_path, net)
    trainer.save()
    load_averaged(tmp_path, {"net": fresh})
    torch.testing.assert_close(fresh.state_dict(), net.state_dict())
    assert not fresh.training
    assert not any(p.requires_grad for p in fresh.parameters())


def test_a_missing_checkpoint_names_its_stage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the stage 'audio' first"):
        load_averaged(tmp_path / "audio", {})


@pytest.mark.parametrize("content", [b"", b"half a file", b"PK\x03\x04 half a file"])
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(EngineError, match=r"checkpoint\.pt cannot be read") as caught:
        trainer_for(tmp_path, network())
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_preset_is_one_line(tmp_path: Path) -> None:
    trainer_for(tmp_path, network()).save()
    with pytest.raises(EngineError, match="of other sizes") as caught:
        load_averaged(tmp_path, {"net": nn.Linear(2, 2)})
    assert "\n" not in str(caught.value)


def test_weights_go_out_and_come_back(tmp_path: Path) -> None:
    source, target = tmp_path / "runs", tmp_path / "other"
    for stage in weights.STAGES:
        trainer = Trainer(
            source / stage,
            {"net": nn.Linear(2, 1)},
            Schedule(samples=2, learning_rate=0.1, warmup_samples=1),
            device=torch.device("cpu"),
        )
        for _ in trainer:
            net = trainer.networks["net"]
            trainer.step({"loss": net(torch.ones(2, 2)).pow(2).mean()}, 2)
    weights.save_weights(source, tmp_path / "w.pt")
    weights.load_weights(tmp_path / "w.pt", target)
    stage = weights.STAGES[0]
    again = Trainer(
        target / stage,
        {"net": nn.Linear(2, 1)},
        Schedule(samples=4, learning_rate=0.1),
        device=torch.device("cpu"),
    )
    assert again.samples == 2
    before = torch.load(source / stage / "checkpoint.pt", weights_only=True)["averaged"]["net"]
    torch.testing.assert_close(
        again.networks["net"].state_dict()["weight"], before["weight"], atol=1e-3, rtol=1e-3
    )


def test_weights_name_the_stage_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the stage 'audio' first"):
        weights.save_weights(tmp_path, tmp_path / "w.pt")
