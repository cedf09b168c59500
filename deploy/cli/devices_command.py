"""`shoal devices`: what the fleet runs, and why."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from msgspec import Struct

from agent.wire.reports import CameraState, Phase, Presence
from agent.wire.topics import MAIN
from deploy.assemble import sight, workspaces
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.core import roster
from deploy.core.fleet import Row
from deploy.core.refusal import Refused
from deploy.core.rollouts import matching
from deploy.core.rollouts.tally import Standing
from deploy.core.roster import SortBy, Wanted
from deploy.core.spans import span
from deploy.flows.devices import Patience

HEADINGS = ("DEVICE", "ONLINE", "RUNNING", "ON", "PHASE", "CONDITION", "PLAN", "SEEN", "TAGS", "WHY")

EPILOG = """\
examples:
  shoal devices --offline                              who is away
  shoal devices --match 'hardware=edgetpu & tag=line-3'
  shoal devices --reason outside-cut --reason low-disk --sort seen
  shoal devices --standing failed --standing silent    what the gate of the rollout counts against it
  shoal devices --release birds@1.2.0 --limit 20
"""


class Answer(Struct, frozen=True, kw_only=True):
    devices: tuple[Row, ...]
    complete: bool
    counts: dict[str, int]
    """Of the rows that were asked for, whatever the limit."""


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    command.add_stream(parser)
    _add_filters(parser)
    parser.add_argument(
        "--sort",
        choices=command.names(SortBy),
        default=SortBy.DEVICE.value,
        metavar="FIELD",
        help=f"by {', '.join(SortBy)} (default: device)",
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="show the first N rows")
    parser.add_argument(
        "--wait",
        type=float,
        default=2.0,
        metavar="S",
        help="seconds that the broker may be silent while it is asked (default: 2)",
    )
    command.add_json(parser)


def _add_filters(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--match",
        action="append",
        default=[],
        metavar="EXPR",
        help="only these: hardware=, tag= or id= with = or !=, joined by &",
    )
    parser.add_argument(
        "--phase", action="append", default=[], choices=command.names(Phase), help="only those in this phase"
    )
    parser.add_argument(
        "--reason", action="append", default=[], metavar="CODE", help="only those with this code (shoal why)"
    )
    parser.add_argument(
        "--standing",
        action="append",
        default=[],
        choices=command.names(Standing),
        help="only those that the gate counts so",
    )
    parser.add_argument("--release", default="", metavar="NAME[@VERSION]", help="only those that run it")
    presence = parser.add_mutually_exclusive_group()
    for state in Presence:
        presence.add_argument(
            f"--{state}",
            dest="presence",
            action="store_const",
            const=state,
            help=f"only those that are {state}",
        )


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number of rows, 1 or more")
    return int(text)


def wanted(options: Namespace) -> Wanted:
    """
    Raises:
        Refused: the match is none.
    """
    return Wanted(
        match=matching.terms(matching.parse(options.match)),
        phases=frozenset(map(Phase, options.phase)),
        reasons=frozenset(options.reason),
        standings=frozenset(map(Standing, options.standing)),
        release=options.release,
        presence=options.presence,
    )


def run(options: Namespace) -> int:
    if not 0 < options.wait < float("inf"):
        raise Refused("--wait takes a number of seconds above 0")
    asked, workspace = wanted(options), workspaces.find(options.workspace)
    seen = sight.look(workspace, Patience(wait_s=options.wait))
    every = seen.rows(options.stream or workspace.settings.fleet.stream)
    found = roster.ordered(roster.chosen(every, asked), SortBy(options.sort))
    shown, counts = found[: options.limit], roster.counts(found)
    if options.json:
        output.say_json(Answer(devices=shown, complete=not seen.picture.missing, counts=counts))
    elif shown:
        output.say(*output.columns(HEADINGS, [_cells(row) for row in shown]))
        output.note(_summary(counts, len(found) - len(shown)))
    else:
        output.say(_nobody(every))
    for missing in seen.picture.missing:
        output.note(f"incomplete: {missing}; devices may be missing, try a longer --wait")
    return 0


def _nobody(every: tuple[Row, ...]) -> str:
    if every:
        return f"none of {len(every)} devices is as asked"
    return "no device has reported here yet: shoal device-config ID writes the configuration of one"


def _summary(counts: dict[str, int], untold: int) -> str:
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count and name)
    return f"{told}; {untold:,} rows are not shown" if untold else told


def _cells(row: Row) -> tuple[str, ...]:
    phase = row.phase.value if row.phase else "-"
    return (
        row.device if row.pipeline == MAIN else f"{row.device}/{row.pipeline}",
        "yes" if row.online else "no",
        row.running or "-",
        row.delegate or "-",
        f"{phase} {row.candidate}".strip(),
        condition(row),
        "-" if row.plan_serial is None else str(row.plan_serial),
        "-" if row.report_age_s is None else f"{span(row.report_age_s)} ago",
        output.printable(",".join(row.tags)) or "-",
        output.printable(_why(row)),
    )


def condition(row: Row) -> str:
    """What keeps the pipeline from doing all that it should, in a few words."""
    camera = f"camera {row.camera}" if row.camera not in {None, CameraState.LIVE} else ""
    words = ("paused" if row.paused else "", "degraded" if row.degraded else "", camera)
    return ", ".join(filter(None, words)) or ("-" if row.phase is None else "ok")


def _why(row: Row) -> str:
    """The cause first, then what is wrong with what serves."""
    update = ": ".join(filter(None, (row.code or row.reason, row.why)))
    camera = row.camera_detail if row.camera is not CameraState.LIVE else ""
    return "; ".join(filter(None, (update, row.degraded, camera)))


COMMAND = Command("devices", "show what every device runs, and why", add_options, run, EPILOG)
