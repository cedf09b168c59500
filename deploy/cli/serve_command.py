"""`shoal serve`: the controller."""

import signal
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from types import FrameType

from deploy.assemble import serving, workspaces
from deploy.assemble.controlling import desk
from deploy.assemble.serving import Controller
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.core import history
from deploy.core.rollouts.words import Line, Started

EPILOG = """\
It steers every rollout from wave to wave as their gates say, signs a fresh timestamp every day, and brings a
broker that lost its memory up again. Between two looks it remembers nothing but the ledger and the
repository: end it, kill it, start it again. It needs the online keys, never the offline ones.

examples:
  shoal serve --workspace fleet
  systemd/shoal-serve.service                a unit for systemd
"""
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


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    output.log_to_stderr()
    with desk(workspace) as at, serving.in_place(workspace, at, options.take_over):
        output.note(f"serving {workspace.settings.fleet.name} from {workspace.folder}")
        if not at.fleet().members:
            output.note(UNENROLLED)
        Controller(at, stop, teller(at.ledger.lines())).run()
    return 0


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
