"""What the page may ask of the daemon: parts of the daemon offer commands and tell their state.

A request of the page is a JSON object `{"type": COMMAND, "id": N, ...}` with the command's arguments. It is
answered with `{"type": "ok", "id": N}` or `{"type": "error", "id": N, "code": CODE, "text": LINE}`; without
`id` only errors are told. `docs/page.md` lists the commands and states; the page shows what is offered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bridge.errors import BridgeError, UnsupportedError
from engine.errors import EngineError
from engine.types import AvatarState

if TYPE_CHECKING:
    from bridge.avatar import AvatarSession

Arguments = dict[str, Any]
Command = Callable[["AvatarSession", Arguments], None]
Teller = Callable[["AvatarSession"], dict[str, Any]]

STATES = {"auto": None, **{state.name.lower(): state for state in AvatarState}}


class Panel:
    """The commands offered and the states told; `cancel`, `set_state`, `set_expression` are always there."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {
            "cancel": _cancel,
            "set_state": _set_state,
            "set_expression": _set_expression,
        }
        self._tellers: dict[str, Teller] = {"expression": _expression}

    @property
    def offers(self) -> list[str]:
        """Names of the commands."""
        return list(self._commands)

    def offer(self, name: str, command: Command) -> None:
        """Adds a command.

        Args:
            name: the request's `type`.
            command: called from a worker thread with the page's avatar and the whole request, which is not
                checked (use `choice`, `flag` and `numbers`); raises BridgeError to refuse.
        """
        self._commands[name] = command

    def tell(self, part: str, teller: Teller) -> None:
        """Adds a part's state.

        Args:
            part: the state's name.
            teller: called once a second and after every command; what it gives must fit into JSON.
        """
        self._tellers[part] = teller

    def states(self, session: AvatarSession) -> dict[str, dict[str, Any]]:
        """The state of every part, by name."""
        return {part: teller(session) for part, teller in self._tellers.items()}

    def carry_out(self, session: AvatarSession, name: str, arguments: Arguments) -> None:
        """Carries out one command.

        Raises:
            UnsupportedError: it is not offered.
            BridgeError: an argument is wrong, or it failed.
        """
        command = self._commands.get(name)
        if command is None:
            raise UnsupportedError(f"unknown command {name[:60]!r}; there are {', '.join(self._commands)}")
        try:
            command(session, arguments)
        except EngineError as error:
            raise BridgeError(str(error)) from None


def choice(arguments: Arguments, name: str, *known: str) -> str:
    """An argument that is one of a few texts.

    Raises:
        BridgeError: it is missing or something else.
    """
    value = arguments.get(name)
    if not isinstance(value, str) or value not in known:
        raise BridgeError(f"unknown {name} {str(value)[:60]!r}; known are {', '.join(known)}")
    return value


def flag(arguments: Arguments, name: str) -> bool:
    """An argument that is true or false.

    Raises:
        BridgeError: it is missing or something else.
    """
    value = arguments.get(name)
    if not isinstance(value, bool):
        raise BridgeError(f"{name} is {str(value)[:60]!r}; true or false is needed")
    return value


def numbers(arguments: Arguments, name: str, most: int = 64) -> dict[str, float]:
    """An argument that is a map of finite numbers by name, at most `most` of them.

    Raises:
        BridgeError: it is missing or something else.
    """
    value = arguments.get(name)
    if not isinstance(value, dict) or len(value) > most:
        raise BridgeError(f"{name} has to be a map of at most {most} numbers by name")
    for key, number in value.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) < 1e9:
            raise BridgeError(f"{name}.{key[:60]} is {str(number)[:60]!r}; a number is needed")
    return {key: float(number) for key, number in value.items()}


def _cancel(session: AvatarSession, arguments: Arguments) -> None:
    session.cancel()


def _set_state(session: AvatarSession, arguments: Arguments) -> None:
    session.set_state(STATES[choice(arguments, "state", *STATES)])


def _expression(session: AvatarSession) -> dict[str, Any]:
    return {"possible": session.can_set_expression}


def _set_expression(session: AvatarSession, arguments: Arguments) -> None:
    session.set_expression(numbers(arguments, "values"))
