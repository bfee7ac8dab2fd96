"""The command `llia`: a file per subcommand in `bridge/commands`; every error becomes one line."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from bridge import logs
from bridge.config import LogSettings
from bridge.errors import BridgeError
from engine.errors import EngineError

COMMANDS = ("run", "status", "render", "devices", "obs", "keys", "check", "bench")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: arguments without the program's name; None takes the process's.

    Returns:
        The exit code: 0 for success, 1 for an error that was told in one line.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    logs.configure(LogSettings())
    try:
        args = _parser(arguments).parse_args(arguments)
        return int(args.run(args))
    except (EngineError, BridgeError) as error:
        print(f"llia: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        print(f"llia: the package {error.name!r} is missing; run `make install`", file=sys.stderr)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"llia: {where}{error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("llia: interrupted", file=sys.stderr)
        return 130
    return 1


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llia", description="A portrait that talks, on this machine.")
    subparsers = parser.add_subparsers(metavar="command", required=True)
    # Only the command that is called is imported: `llia check` has to work where packages are missing.
    called = arguments[0] if arguments else ""
    for name in (called,) if called in COMMANDS else COMMANDS:
        importlib.import_module(f"bridge.commands.{name}").add_parser(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
