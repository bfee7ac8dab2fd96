"""`llia keys`: makes keys, so that the daemon may listen on a public address."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bridge.keys import make_keys


def add_parser(subparsers: Any) -> None:
    """Adds `keys` to the command line."""
    parser = subparsers.add_parser("keys", help="make keys against strangers", description=__doc__)
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="where to; the setting sockets.keys names it"
    )
    parser.add_argument("--client", default="client", metavar="NAME", help="whose keys (client)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the new files and what to do with them; returns 0."""
    for file in make_keys(args.folder.expanduser(), args.client):
        print(f"made   {file}")
    print(f"daemon llia run --set sockets.keys={args.folder} --host ADDRESS")
    print(f"client needs {args.folder / 'server.key'} and {args.folder / 'clients' / args.client}.key_secret")
    return 0
