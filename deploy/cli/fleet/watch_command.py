"""`shoal watch`: a rollout as it goes on, live in the terminal or line by line in a pipe."""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import msgspec
from msgspec import Struct
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live

from agent.wire.documents import Instant
from deploy.assemble.controller import watching
from deploy.assemble.controller.watching import View, Watcher
from deploy.assemble.desk import workspaces
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.fleet import watch_frame
from deploy.core.rollouts.tally import Standing
from deploy.core.rollouts.words import Outcome, Verdict

REVERTED: Final = 3
BACK_S: Final = 20.0
"""For so long devices are watched that go back; who is away then may be so for weeks."""
EPILOG = """\
It reads only: leave it with Ctrl-C and the rollout goes on. What stands in a terminal follows its size; in a
pipe it is a line whenever something changes; with --json each line is one JSON document.

examples:
  shoal watch
  shoal watch birds-1.4.0 --json | jq -c '{wave, standings, verdict}'

exit status: 0 the rollout completed; 3 it was taken back; 1 there is no such rollout, or the broker cannot be
reached; 130 left with Ctrl-C
"""

Show = Callable[[View], None]


class Look(Struct, frozen=True, kw_only=True):
    """The rollout at one instant, as a program reads it."""

    at: Instant
    rollout: str
    stands: str
    outcome: Outcome | None
    wave: int
    """From 0; -1: the first has not begun."""
    standings: dict[Standing, int]
    verdict: Verdict | None
    words: str
    """Of the gate."""
    note: str
    """What keeps this from being true, or the rollout from going on; else empty."""


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    command.add_rollout(parser, "the newest of the stream")
    command.add_stream(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document a line, for programs")


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    stream = options.stream or workspace.settings.fleet.stream
    on_terminal = output.on_terminal() and not options.json
    with watching.watching(workspace, options.rollout, stream) as watcher:
        view = _follow(watcher, _screen if on_terminal else _documents if options.json else _lines)
    found = view.outlook
    if on_terminal:
        output.say(output.printable(f"{found.rollout.name}: {watch_frame.stands(found)}"))
    return 0 if found.rollout.outcome is Outcome.COMPLETED else REVERTED


def _follow(watcher: Watcher, shown: Callable[[], AbstractContextManager[Show]]) -> View:
    """To the rollout's end, and a little on while devices come back from what was taken back meanwhile."""
    view, back_by_s = watcher.look(), 0.0
    try:
        with shown() as show:
            show(view)
            while view.outlook.rollout.outcome is None or _comes_back(view, back_by_s):
                if view.outlook.rollout.outcome is None:
                    back_by_s = time.monotonic() + BACK_S
                watcher.wait()
                view = watcher.look()
                show(view)
    except KeyboardInterrupt:
        stands = watch_frame.stands(view.outlook)
        raise KeyboardInterrupt(f"{view.outlook.rollout.name} goes on: {stands}") from None
    return view


def _comes_back(view: View, by_s: float) -> bool:
    found = view.outlook
    reverted = found.rollout.outcome is Outcome.REVERTED and found.back < found.let_in
    return reverted and time.monotonic() < by_s


class _Frame:
    """Drawn anew for the size that the terminal has at that moment."""

    def __init__(self) -> None:
        self.view: View | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.view is None:
            return
        glyphs = watch_frame.UNICODE if options.encoding.startswith("utf") else watch_frame.ASCII
        yield from watch_frame.frame(self.view, options.max_width, options.height or console.height, glyphs)


@contextmanager
def _screen() -> Iterator[Show]:
    """The terminal's other screen, so that what stood there before stands there afterwards."""
    drawn = _Frame()

    def show(view: View | None) -> None:
        drawn.view = view

    console = Console(highlight=False)
    with Live(console=console, screen=True, get_renderable=lambda: drawn, refresh_per_second=4) as live:
        try:
            yield show
        finally:
            # A terminal that was resized meanwhile may keep what it cannot tell from its own.
            show(None)
            live.refresh()


@contextmanager
def _lines() -> Iterator[Show]:
    said = ""

    def show(view: View) -> None:
        nonlocal said
        if (fresh := watch_frame.plain(view)) != said:
            said = fresh
            print(f"{view.outlook.at:%H:%M:%S} {fresh}", flush=True)

    yield show


@contextmanager
def _documents() -> Iterator[Show]:
    said = ""

    def show(view: View) -> None:
        nonlocal said
        if (fresh := watch_frame.plain(view)) != said:
            said = fresh
            print(msgspec.json.encode(_look(view)).decode(), flush=True)

    yield show


def _look(view: View) -> Look:
    found = view.outlook
    judged = found.judgement
    return Look(
        at=found.at,
        rollout=found.rollout.name,
        stands=watch_frame.stands(found),
        outcome=found.rollout.outcome,
        wave=found.rollout.wave,
        standings=dict(found.totals),
        verdict=None if judged is None else judged.verdict,
        words="" if judged is None else judged.words,
        note=view.note,
    )


COMMAND = Command(
    "watch", "watch a rollout as it goes on", add_options, run, EPILOG, also=("rollout status", "why")
)
