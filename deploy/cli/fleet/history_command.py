"""`shoal history`: what was decided, by whom, and why."""

from argparse import ArgumentParser, Namespace
from functools import partial

from msgspec import Struct

from agent.wire import topics
from deploy.assemble.desk import controlling, scoring, workspaces
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.core import history
from deploy.core.history import Told

HEADINGS = ("LINE", "AT (UTC)", "BY", "ROLLOUT", "WHAT")


class Answer(Struct, frozen=True, kw_only=True):
    lines: tuple[Told, ...]


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument("--stream", metavar="NAME", help="only what concerns this stream of rollouts")
    parser.add_argument("--device", metavar="ID", help="only what concerns this device")
    command.add_json(parser)


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    device = None if options.device is None else topics.device_id(options.device)
    lines = controlling.open_ledger(workspace).lines()
    about = partial(scoring.of_release, workspaces.open_repository(workspace))
    told = tuple(history.history(lines, options.stream, device, about))
    if options.json:
        output.say_json(Answer(lines=told))
    elif told:
        output.say(output.Table(HEADINGS, [_cells(each) for each in told]))
    else:
        output.say("nothing was decided of that yet" if lines else "nothing was decided here yet")
    return 0


def _cells(told: Told) -> tuple[str, ...]:
    return (
        str(told.number),
        f"{told.at:%Y-%m-%d %H:%M:%S}",
        output.printable(told.by),
        told.rollout or "-",
        output.printable(told.what),
    )


EPILOG = """\
examples:
  shoal history
  shoal history --device pi-7 --json | jq -r '.lines[].what'
"""

COMMAND = Command(
    "history",
    "tell what was decided, by whom and why",
    add_options,
    run,
    EPILOG,
    also=("audit verify", "why"),
)
