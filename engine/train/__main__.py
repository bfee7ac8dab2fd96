"""`python -m engine.train STAGE`: every stage of the training; `docs/training.md` has the recipe."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch

from engine.errors import EngineError
from engine.train import (
    audio,
    autoencoder,
    diffusion,
    distill,
    encoder,
    evaluate,
    instruments,
    latents,
    weights,
)
from engine.train.data import shards
from engine.train.models.config import PRESETS
from engine.train.trainer import Schedule

STAGES = (
    "render", "audio", "locator", "encoder", "autoencoder", "reader", "encode", "diffusion",
    "distill", "evaluate", "save-weights", "load-weights",
)  # fmt: skip
PRETRAINED = Path(__file__).parent / "pretrained"
"""Weights of the repository to go on from, one file per preset."""
DEFAULTS = {
    "audio": Schedule(samples=3_000_000, learning_rate=1.5e-3, warmup_samples=20_000),
    "locator": Schedule(samples=400_000, learning_rate=1.5e-3),
    "encoder": Schedule(samples=300_000, learning_rate=2e-3, warmup_samples=4000),
    "autoencoder": Schedule(samples=600_000, learning_rate=1.5e-3, warmup_samples=4000),
    "reader": Schedule(samples=60_000, learning_rate=2e-4),
    "diffusion": Schedule(samples=1_000_000, learning_rate=1e-3, warmup_samples=2000, ema=0.9995),
    "distill": Schedule(samples=100_000, learning_rate=4e-4, ema=0.99),
}
"""Lengths for a good model (12-24 hours of two CPU cores in all); --samples and --minutes shorten them."""


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m engine.train", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of data and checkpoints")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="nano")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: all)")
    parser.add_argument("--samples", type=int, help="length of the stage's schedule in samples")
    parser.add_argument("--minutes", type=float, help="stop after this long; run again to go on")
    parser.add_argument("--pairs", default="pairs", help="folder of rendered pairs under --runs")
    parser.add_argument("--entries", type=int, default=1600, help="render: identities")
    parser.add_argument("--identities", type=int, default=700, help="encoder: people painted at a time")
    parser.add_argument("--frames", type=int, default=12, help="render: frames per identity")
    parser.add_argument("--seed", type=int, default=0, help="render: seed of the first identity")
    parser.add_argument("--performances", type=int, default=2200, help="render: most runs of frames")
    parser.add_argument("--run-frames", type=int, default=300, help="render: frames of a run")
    parser.add_argument(
        "--what", choices=("pairs", "performances"), default="pairs", help="render: which set"
    )
    parser.add_argument(
        "--held", action="store_true", help="render, encode: held-out identities and sentences"
    )
    parser.add_argument(
        "--head", choices=autoencoder.PARTS, help="autoencoder: teach this part alone, three times as fast"
    )
    parser.add_argument("--no-discriminator", action="store_true", help="distill: without the discriminator")
    parser.add_argument("--weights", type=Path, help="save-weights, load-weights: file (the repository's)")
    parser.add_argument("--limit", type=int, default=8, help="evaluate: held-out runs of 12 s to measure")
    options = parser.parse_args(arguments)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"--device {options.device}: this PyTorch sees no such card; use --device cpu")
    return options


def _schedule(args: argparse.Namespace) -> Schedule:
    base = DEFAULTS[args.stage]
    return Schedule(
        samples=args.samples or base.samples,
        learning_rate=base.learning_rate,
        warmup_samples=base.warmup_samples,
        ema=base.ema,
        minutes=args.minutes,
    )


def _render(args: argparse.Namespace) -> None:
    runs: Path = args.runs
    suffix, seed = ("_held", shards.HELD_OUT_SEED) if args.held else ("", args.seed)
    takes = shards.takes_of(runs / f"corpus{suffix}")
    if args.what == "pairs":
        folder = runs / (f"pairs{suffix}" if args.held else args.pairs)
        shards.render_pairs(folder, args.entries, args.frames, seed, takes, args.device)
    else:
        folder = runs / f"performances{suffix}"
        shards.render_performances(
            folder, takes, args.run_frames, 50_000 + seed, args.device, args.performances
        )


def main(arguments: list[str] | None = None) -> int:
    """Runs one stage; 0 when it is done, 2 with one line on what is missing."""
    args = _arguments(arguments)
    torch.set_num_threads(args.threads or os.cpu_count() or 1)
    runs, config, device = args.runs, PRESETS[args.preset], torch.device(args.device)
    folder, pairs, held = runs / args.stage, runs / args.pairs, runs / "pairs_held"
    try:
        match args.stage:
            case "render":
                _render(args)
            case "audio":
                audio.train(runs / "corpus", runs / "corpus_held", folder, config, _schedule(args), device)
            case "locator":
                instruments.train_locator(pairs, held, folder, _schedule(args), device)
            case "encoder":
                takes_held = runs / "corpus_held"
                encoder.train(
                    runs / "corpus", takes_held, folder, config, _schedule(args), device, args.identities
                )
            case "autoencoder":
                autoencoder.train(
                    pairs, held, folder, config, _schedule(args), device, entries=6, head=args.head
                )
            case "reader":
                encoded = runs / "encoder"
                instruments.train_reader(pairs, held, encoded, folder, config, _schedule(args), device)
            case "encode":
                suffix = "_held" if args.held else ""
                performances, corpus = runs / f"performances{suffix}", runs / f"corpus{suffix}"
                latents.encode(performances, corpus, runs, runs / f"latents{suffix}", config, device)
            case "diffusion":
                diffusion.train(runs / "latents", runs, folder, config, _schedule(args), device)
            case "distill":
                adversarial = not args.no_discriminator
                distill.train(runs / "latents", runs, folder, config, _schedule(args), device, adversarial)
            case "evaluate":
                evaluate.evaluate(runs, config, runs / "figures.json", limit=args.limit)
            case "save-weights":
                weights.save_weights(runs, args.weights or PRETRAINED / f"{args.preset}.pt")
            case "load-weights":
                weights.load_weights(args.weights or PRETRAINED / f"{args.preset}.pt", runs)
    except (FileNotFoundError, EngineError) as error:
        print(f"engine.train {args.stage}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"\nengine.train {args.stage}: stopped; run it again to go on from its last save", file=sys.stderr
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
