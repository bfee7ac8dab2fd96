"""`llia check`: tells what is wrong with an installation and how to mend it."""

from __future__ import annotations

import argparse
from typing import Any

from bridge.check import check_installation
from bridge.config_reader import read_settings


def add_parser(subparsers: Any) -> None:
    """Adds `check` to the command line."""
    parser = subparsers.add_parser("check", help="what is wrong with this installation", description=__doc__)
    parser.add_argument("--config", metavar="FILE", help="settings in TOML, or a shipped file's name")
    parser.add_argument("--pack", help="name of a shipped model pack or its folder (nano)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line per finding; returns 1 if anything fails, 0 if not."""
    failed = 0
    for finding in check_installation(read_settings(args.config, {"engine.pack": args.pack})):
        mend = f"; {finding.mend}" if finding.mend else ""
        print(f"{finding.verdict:<4}  {finding.subject:<12} {finding.text}{mend}", flush=True)
        failed += finding.verdict == "fail"
    print(
        "everything needed is there" if not failed else f"{failed} thing(s) to mend: see the lines that fail"
    )
    return 1 if failed else 0
