"""One command of `shoal`: its words, its options and what it does."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

Run = Callable[[Namespace], int]
"""The exit status; refusals are raised as `AgentError`."""


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    summary: str
    add_options: Callable[[ArgumentParser], None]
    run: Run
    epilog: str = ""
    """Ends with one example or more."""
    also: tuple[str, ...] = ()
    """Other commands that its reader may want, such as `rollout plan`."""


@dataclass(frozen=True, slots=True)
class Group:
    """Commands below a common word, such as `shoal model list`."""

    name: str
    summary: str
    commands: tuple[Command, ...]
    epilog: str = ""


EXIT_STATUS: Final = """\
exit status: 0 done; 1 refused, or something outside failed; 2 wrong usage; 78 a file or an option must change
"""


def ending(command: Command | Group) -> str:
    """What stands below the options in `--help`: examples, exit status, other commands."""
    status = "" if "exit status:" in command.epilog else EXIT_STATUS
    also = command.also if isinstance(command, Command) else ()
    see = f"see also: {', '.join(f'shoal {words}' for words in also)}\n" if also else ""
    return "\n".join(filter(None, (command.epilog, status, see)))


def names(kind: type[StrEnum]) -> list[str]:
    """The choices of an option, as argparse shows them; the command makes the value."""
    return [member.value for member in kind]


def add_workspace(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--workspace",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the fleet's workspace (default: the one that the current folder lies in)",
    )


def add_stream(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--stream", metavar="NAME", help="the stream of rollouts (default: the workspace's, usually main)"
    )


def add_offline_keys(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--offline-keys",
        type=Path,
        metavar="DIR",
        help="where the offline keys are, for instance on a stick (default: keys/offline in the workspace)",
    )


def add_rollout(parser: ArgumentParser, otherwise: str) -> None:
    """
    Args:
        parser: of the command.
        otherwise: which one it is where none is named.
    """
    parser.add_argument(
        "rollout", nargs="?", default="", metavar="ROLLOUT", help=f"its name (default: {otherwise})"
    )


def add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document for programs to read")
