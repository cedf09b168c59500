"""One command of `shoal`: its words, its options and what it does."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

Run = Callable[[Namespace], int]
"""The exit code; refusals are raised as `AgentError`."""


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    summary: str
    add_options: Callable[[ArgumentParser], None]
    run: Run
    epilog: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Commands below a common word, such as `shoal model list`."""

    name: str
    summary: str
    commands: tuple[Command, ...]


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


def add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document for programs to read")
