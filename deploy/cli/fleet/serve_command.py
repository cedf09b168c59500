"""`shoal serve`: the controller."""

import signal
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import Final

from agent.wire.errors import LinkDown
from deploy.adapters import page_process
from deploy.adapters.kept_process import kept
from deploy.adapters.workspace import Workspace
from deploy.assemble.controller import serving
from deploy.assemble.controller.serving import Controller
from deploy.assemble.desk import workspaces
from deploy.assemble.desk.controlling import desk
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.core import history
from deploy.core.rollouts.words import Line, Started

EPILOG = """\
It steers every rollout from wave to wave as their gates say, signs a fresh timestamp every day, and brings a
broker that lost its memory up again. Between two looks it remembers nothing but the ledger and the
repository: end it, kill it, start it again. It needs the online keys, never the offline ones.

The fleet's page comes with it, a process of its own: on http://127.0.0.1:8470/ unless [web] in shoal.toml
says otherwise. Nobody can order anything there until shoal users add NAME --role operator.

examples:
  shoal serve --workspace fleet
  systemd/shoal-serve.service                a unit for systemd
"""
RETRY_S: Final = 5.0
UNENROLLED = (
    "nobody is enrolled here, so whoever may write to the broker is believed: shoal enrol ID gives a device "
    "a seal of its own"
)


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "--take-over",
        metavar="WHY",
        help="be the controller though the last one, on another machine, said no goodbye; WHY is recorded",
    )
    parser.add_argument(
        "--no-page", action="store_true", help="without the fleet's page, whatever [web] in shoal.toml says"
    )


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    output.log_to_stderr()
    with _page(workspace, wanted=not options.no_page):
        while not stop.is_set():
            try:
                _serve(workspace, stop, options.take_over)
            except LinkDown as down:
                output.note(f"{down}; it is tried again")
                stop.wait(RETRY_S)
    return 0


def _serve(workspace: Workspace, stop: threading.Event, take_over: str | None) -> None:
    with desk(workspace) as at, serving.in_place(workspace, at, take_over):
        output.note(f"serving {workspace.settings.fleet.name} from {workspace.folder}")
        if not at.fleet().members:
            output.note(UNENROLLED)
        Controller(at, stop, teller(at.ledger.lines())).run()


def _page(workspace: Workspace, *, wanted: bool) -> AbstractContextManager[object]:
    if not wanted or not workspace.settings.web.listen:
        return nullcontext()
    return kept(page_process.page(page_process.command(workspace.folder)))


def teller(before: Iterable[Line]) -> Callable[[Line], None]:
    """Says each line in words; what a wave is called stands in the order."""
    orders = [line for line in before if isinstance(line.entry, Started)]

    def tell(line: Line) -> None:
        *_, told = history.history([*orders, line])
        if isinstance(line.entry, Started):
            orders.append(line)
        output.note(f"{told.at:%Y-%m-%d %H:%M:%S}  {told.rollout or '-'}  {told.what}")

    return tell


COMMAND = Command("serve", "steer every rollout, and keep the fleet's broker right", add_options, run, EPILOG)
