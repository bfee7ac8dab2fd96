"""`python -m engine.export`: checkpoints under runs/ -> a pack that the runtime loads."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from engine.errors import EngineError
from engine.export.avatars import draw_avatars
from engine.export.pack import (
    Networks,
    export_fp32,
    graph_specs,
    levels_per_unit,
    patch_feeds,
    quantize,
    write_manifest,
)
from engine.export.parity import differences
from engine.train.data.shards import open_folder
from engine.train.models.config import PRESETS

CALIBRATION_EXAMPLES = 48


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m engine.export", description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("engine/models/nano"))
    parser.add_argument("--preset", choices=sorted(PRESETS), default="nano")
    parser.add_argument("--pack-version", default="0.1.0")
    parser.add_argument(
        "--denoiser", choices=("diffusion", "distill"), default="distill", help="which stage's weights"
    )
    parser.add_argument("--precision", choices=("int8", "fp32"), default="int8", help="fp32: to compare with")
    parser.add_argument("--avatar", default="amber", help="default avatar")
    parser.add_argument("--pairs", default="pairs", help="rendered pairs to calibrate INT8 with")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Exports, quantizes, writes the manifest and `parity.json`; 2 and one line when something is missing."""
    args = _arguments(arguments)
    torch.manual_seed(0)
    try:
        _export(args)
    except (FileNotFoundError, EngineError) as error:
        print(f"engine.export: {error}", file=sys.stderr)
        return 2
    return 0


def _export(args: argparse.Namespace) -> None:
    nets = Networks(args.runs, PRESETS[args.preset], args.denoiser)
    fp32: Path = args.runs / "fp32"
    export_fp32(nets, fp32)
    feeds = patch_feeds(fp32, args.runs / args.pairs, CALIBRATION_EXAMPLES)
    precision = quantize(fp32, args.out, feeds, int8=args.precision == "int8")
    levels = levels_per_unit(fp32, feeds[::4])
    draw_avatars(args.out / "avatars")
    write_manifest(
        args.out, PRESETS[args.preset], args.preset, args.pack_version, precision, levels, args.avatar
    )
    parity = {}
    arrays = open_folder(args.runs / args.pairs)
    picture = torch.from_numpy(np.array(arrays["ref"][-1:])).float() / 255.0
    controls = torch.from_numpy(np.array(arrays["controls"][-1, 1:4]))
    for name, spec in graph_specs(nets, picture, controls).items():
        parity[name] = {
            "fp32": differences(spec, fp32 / f"{name}.onnx"),
            precision[name]: differences(spec, args.out / f"{name}.onnx"),
        }
    (args.runs / "parity.json").write_text(json.dumps(parity, indent=1) + "\n")
    size_mb = sum(f.stat().st_size for f in args.out.rglob("*") if f.is_file()) / 1e6
    print(f"{args.out}: {size_mb:.1f} MB; parity in {args.runs / 'parity.json'}")


if __name__ == "__main__":
    sys.exit(main())
