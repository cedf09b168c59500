"""`shoal watch`: a rollout as it goes on, live in the terminal or line by line in a pipe."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live

from deploy.assemble import watching, workspaces
from deploy.assemble.watching import View
from deploy.cli import command, output, watch_frame
from deploy.cli.command import Command
from deploy.core.rollouts.words import Outcome

REVERTED: Final = 3
EPILOG = """\
It reads only: leave it with Ctrl-C and the rollout goes on. What stands in a terminal follows its size; in a
pipe it is a line whenever something changes.

exit codes: 0 the rollout completed; 3 it was taken back; 1 there is no such rollout, or the broker cannot be
reached; 130 left with Ctrl-C
"""

Show = Callable[[View], None]


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "rollout",
        nargs="?",
        default="",
        metavar="ROLLOUT",
        help="its name (default: the newest of the stream)",
    )
    command.add_stream(parser)


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    stream = options.stream or workspace.settings.fleet.stream
    with watching.watching(workspace, options.rollout, stream) as watcher:
        view = watcher.look()
        with _live(view) if sys.stdout.isatty() else _lines() as show:
            show(view)
            while view.outlook.rollout.outcome is None:
                watcher.wait()
                view = watcher.look()
                show(view)
    if sys.stdout.isatty():
        output.say(output.printable(f"{view.outlook.rollout.name}: {watch_frame.stands(view.outlook)}"))
    return 0 if view.outlook.rollout.outcome is Outcome.COMPLETED else REVERTED


class _Screen:
    """Drawn anew for the size that the terminal has at that moment."""

    def __init__(self, view: View) -> None:
        self.view = view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        glyphs = watch_frame.UNICODE if options.encoding.startswith("utf") else watch_frame.ASCII
        height = options.height or console.height
        yield from watch_frame.frame(self.view, options.max_width, height, glyphs)


@contextmanager
def _live(first: View) -> Iterator[Show]:
    """The terminal's other screen, which leaves everything as it was."""
    screen = _Screen(first)

    def show(view: View) -> None:
        screen.view = view

    console = Console(highlight=False)
    with Live(console=console, screen=True, get_renderable=lambda: screen, refresh_per_second=4):
        yield show


@contextmanager
def _lines() -> Iterator[Show]:
    said = ""

    def show(view: View) -> None:
        nonlocal said
        if (fresh := watch_frame.plain(view)) != said:
            said = fresh
            print(f"{view.outlook.at:%H:%M:%S} {fresh}", flush=True)

    yield show


COMMAND = Command("watch", "watch a rollout as it goes on", add_options, run, EPILOG)
