"""`llia bench`: measures frames per second of a pack on this machine, and how soon it answers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bridge.errors import SettingError
from engine.benchmark import run as measure

COLUMNS = {
    "size": "px", "precision": "weights", "threads": "threads", "fps": "fps", "against_one_thread": "/ one",
    "against_pack": "/ other", "soon_ms": "soon, ms", "stages_ms": "ms per frame", "rss_mb": "MB",
}  # fmt: skip
"""What a row shows of a result, and under which heading; all of it fits into 80 columns."""
SOON = {"first": "first_frame_ms", "state": "state_change_ms", "barge": "barge_in_ms"}


def add_parser(subparsers: Any) -> None:
    """Adds `bench` to the command line."""
    parser = subparsers.add_parser("bench", help="measure speed on this machine", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to a file")
    parser.add_argument("--pack", default="nano", help="name of a shipped model pack or its folder (nano)")
    parser.add_argument("--against", metavar="PACK", help="a pack to compare with, as the same in fp32")
    parser.add_argument(
        "--size", type=int, nargs="+", default=[384, 512], metavar="PX", help="sizes (384 512)"
    )
    parser.add_argument("--steps", type=int, default=2, help="denoising steps (2)")
    parser.add_argument("--threads", type=int, help="cap on the engine's threads (every core)")
    parser.add_argument("--provider", default="auto", help="auto, CPU, CUDA, TensorRT or OpenVINO (auto)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of audio per run (4)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measures, prints a table and writes the file; returns 0."""
    if not 0.5 <= args.seconds <= 600:
        raise SettingError(f"--seconds is {args.seconds}; 0.5 to 600 is possible")
    if args.json is not None and not args.json.parent.is_dir():
        raise SettingError(f"--json: the folder {args.json.parent} does not exist")
    console = Console()
    columns = (TextColumn("{task.description:<32}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("loading the pack", total=1.0)
        results = measure(
            args.pack,
            against=args.against,
            sizes=args.size,
            steps=args.steps,
            threads=args.threads,
            seconds=args.seconds,
            provider=args.provider,
            progress=lambda label, part: progress.update(task, description=label, completed=part),
        )
    console.print(_table(results))
    if args.json is not None:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


def _table(results: dict[str, Any]) -> Table:
    machine, first = results["machine"], results["results"][0]
    title = f"{first['preset']} {first['version']}: {machine['processor']}, {machine['cores']} cores"
    table = Table(title=title, title_justify="left", padding=0)
    for heading in COLUMNS.values():
        table.add_column(heading, no_wrap=True)
    for result in results["results"]:
        stages = "\n".join(f"{name} {ms}" for name, ms in result["stages_ms"].items())
        soon = "\n".join(f"{name} {result[key]}" for name, key in SOON.items())
        values = {**result, "stages_ms": stages, "soon_ms": soon}
        table.add_row(*("-" if values[column] is None else str(values[column]) for column in COLUMNS))
    return table
