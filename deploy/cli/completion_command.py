"""`shoal completion`: what a shell needs to complete commands, options, files and names."""

from argparse import SUPPRESS, Action, ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

import shtab

from agent.wire.errors import AgentError, ConfigError
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk import sight, workspaces
from deploy.assemble.enrolment import membership
from deploy.cli import command, output
from deploy.cli.command import Command

EPILOG: Final = """\
Names of devices, releases and rollouts are those of the workspace that the current folder lies in.

examples:
  source <(shoal completion bash)                                            in this shell
  shoal completion bash > ~/.local/share/bash-completion/completions/shoal   in each, from the next on
  shoal completion zsh > "${fpath[1]}/_shoal"
  shoal completion fish > ~/.config/fish/completions/shoal.fish
"""


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    TCSH = "tcsh"


class Named(StrEnum):
    DEVICES = "devices"
    RELEASES = "releases"
    ROLLOUTS = "rollouts"


METAVARS: Final[Mapping[str, Named]] = {
    "DEVICE": Named.DEVICES,
    "DEVICE[/PIPELINE]": Named.DEVICES,
    "NAME[@VERSION]": Named.RELEASES,
    "ROLLOUT": Named.ROLLOUTS,
}
"""What an argument is called that takes the name of something there is."""
FOLDER: Final = "DIR"
NAMES_IN_ZSH: Final = """\
_shoal_names() { compadd -- ${(f)"$(shoal completion --names $1 2>/dev/null)"} }
"""
"""A function, which runs when a name is wanted; a list of words would be made when the program is loaded."""


def add_options(parser: ArgumentParser) -> None:
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument(
        "shell", nargs="?", choices=command.names(Shell), metavar="SHELL", help=f"one of {', '.join(Shell)}"
    )
    # The shell asks for these while somebody types.
    asked.add_argument("--names", choices=command.names(Named), help=SUPPRESS)


def run(options: Namespace) -> int:
    if options.names is None:
        output.say(script(Shell(options.shell)))
    else:
        output.say(*_known(Named(options.names)))
    return 0


def script(shell: Shell) -> str:
    from deploy.cli import main  # noqa: PLC0415 - it imports this module for its command

    parser = main.parser()
    _mark(parser)
    return shtab.complete(parser, shell, preamble=NAMES_IN_ZSH if shell is Shell.ZSH else "")


def _mark(parser: ArgumentParser) -> None:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list of what was added
        if isinstance(action, _SubParsersAction):
            for below in action.choices.values():
                _mark(below)
        elif (found := _completion(action)) is not None:
            action.complete = found  # type: ignore[attr-defined]  # where shtab looks for it


def _completion(action: Action) -> object:
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if (named := METAVARS.get(metavar)) is not None:
        return dict(shtab.cmd(f"shoal completion --names {named} 2>/dev/null")) | {
            "zsh": f" _shoal_names {named}"
        }
    if action.type is Path:
        return shtab.DIRECTORY if metavar == FOLDER else shtab.FILE
    return None


def _known(named: Named) -> Iterable[str]:
    """Nothing where there is no workspace: whoever completes a word wants no complaint."""
    try:
        workspace = workspaces.find(Path())
        return sorted(_NAMES[named](workspace))
    except AgentError:
        return ()


def _devices(workspace: Workspace) -> Iterable[str]:
    """Enrolled, or heard the last time that the fleet was read: the broker is not asked."""
    members = membership.read_fleet(workspace).members
    try:
        return {*members, *sight.remember(workspace).ids()}
    except ConfigError:
        return members


def _releases(workspace: Workspace) -> Iterable[str]:
    refs = workspaces.open_repository(workspace).releases()
    return {name for ref in refs for name in (ref.name, f"{ref.name}@{ref.version}")}


def _rollouts(workspace: Workspace) -> Iterable[str]:
    return membership.read_fleet(workspace).rollouts


_NAMES: Final[Mapping[Named, Callable[[Workspace], Iterable[str]]]] = {
    Named.DEVICES: _devices,
    Named.RELEASES: _releases,
    Named.ROLLOUTS: _rollouts,
}

COMMAND: Final = Command("completion", "print what a shell completes commands with", add_options, run, EPILOG)
