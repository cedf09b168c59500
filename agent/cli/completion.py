"""`shoal-agent completion`: what a shell needs to complete commands, options and files."""

import argparse
from pathlib import Path
from typing import Final

from agent.cli.text import path

SHELLS: Final = ("bash", "zsh", "fish", "tcsh")
FOLDERS: Final = frozenset({"DIR"})
FILES: Final = (Path, path)

_DESCRIPTION = "Print what a shell completes commands, options and files with."
_EPILOG = """\
examples:
  source <(shoal-agent completion bash)
  shoal-agent completion bash > ~/.local/share/bash-completion/completions/shoal-agent
  shoal-agent completion zsh > "${fpath[1]}/_shoal-agent"
  shoal-agent completion fish > ~/.config/fish/completions/shoal-agent.fish"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "completion",
        help="print what a shell completes commands with",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import shtab  # noqa: PLC0415 - other commands must not pay for it

    _mark(arguments.whole, shtab.FILE, shtab.DIRECTORY)
    print(shtab.complete(arguments.whole, arguments.shell))
    return 0


def _mark(parser: argparse.ArgumentParser, file: object, folder: object) -> None:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list of what was added
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - nor a public name for these
            for name in action.choices:
                _mark(action.choices[name], file, folder)
        elif action.type in FILES:
            action.complete = folder if action.metavar in FOLDERS else file  # type: ignore[attr-defined]
