"""`shoal devices`: what the fleet runs, and why."""

import difflib
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Final

from msgspec import Struct

from agent.wire.reasons import Reason
from agent.wire.reports import Phase, Presence
from deploy.assemble.desk import scoring, sight, workspaces
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.fleet import devices_table
from deploy.core.devices import roster
from deploy.core.devices.causes import Cause
from deploy.core.devices.fleet import Row
from deploy.core.devices.roster import Counts, SortBy, Wanted
from deploy.core.refusal import Refused
from deploy.core.rollouts import matching
from deploy.core.rollouts.tally import Standing
from deploy.flows.devices import Patience

CODES: Final = (*Reason, *Cause)
LINES_MIN: Final = 10
OTHER_LINES: Final = 4
"""The command, the headings, how many rows are not shown, and the next prompt."""

EPILOG = """\
Those that failed stand first, then those that something hinders, then those that are offline. A terminal
shows the rows that it has room for, in a pipe all of them come.

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
    counts: Counts
    """Of the rows that were asked for, whatever the limit."""


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    command.add_stream(parser)
    _add_filters(parser)
    parser.add_argument(
        "--sort",
        choices=command.names(SortBy),
        default=SortBy.WORST.value,
        metavar="FIELD",
        help=f"by {', '.join(SortBy)} (default: worst)",
    )
    parser.add_argument(
        "--limit", type=_positive, metavar="N", help="show the first N rows (default: what a terminal holds)"
    )
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
        "--reason",
        type=_code,
        action="append",
        default=[],
        metavar="CODE",
        help="only those with this code (shoal why)",
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


def _code(text: str) -> str:
    if text in CODES:
        return text
    like = difflib.get_close_matches(text, CODES, n=1, cutoff=0.0)
    raise ArgumentTypeError(f"{text!r} is no code: did you mean {like[0]}? shoal why -h tells what there is")


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
        stream=options.stream or "",
    )


def run(options: Namespace) -> int:
    if not 0 < options.wait < float("inf"):
        raise Refused("--wait takes a number of seconds above 0")
    asked, workspace = wanted(options), workspaces.find(options.workspace)
    seen = sight.look(workspace, Patience(wait_s=options.wait))
    every = seen.rows(options.stream or workspace.settings.fleet.stream)
    found = roster.ordered(roster.chosen(every, asked), SortBy(options.sort))
    counts = roster.counts(found)
    if options.json:
        shown = found[: options.limit]
        output.say_json(Answer(devices=shown, complete=not seen.picture.missing, counts=counts))
    elif found:
        _show(found, counts, options.limit)
        for line in scoring.told(
            seen.repository, (name for row in found for name in (row.running, row.candidate))
        ):
            output.note(line)
    else:
        output.say(_nobody(every))
    for missing in seen.picture.missing:
        output.note(f"incomplete: {missing}; devices may be missing, try a longer --wait")
    if seen.unkept:
        output.note(f"not kept for shoal why --offline: {seen.unkept}")
    return 0


def _show(found: tuple[Row, ...], counts: Counts, limit: int | None) -> None:
    said, room = devices_table.summary(counts), output.room()
    hint = ": --limit N, or all in a pipe" if limit is None else ""
    if limit is None and room is not None:
        below = sum(1 + len(line) // room.columns for line in said)
        limit = max(room.lines - below - OTHER_LINES, LINES_MIN)
    shown = found[:limit]
    output.say(devices_table.table(shown, None if room is None else room.columns))
    if len(found) > len(shown):
        said.append(f"{len(found) - len(shown):,} more rows{hint}")
    sys.stdout.flush()
    for line in said:
        output.note(line)


def _nobody(every: tuple[Row, ...]) -> str:
    if every:
        return f"none of {len({row.device for row in every}):,} devices is as asked"
    return "no device has reported here yet: shoal device-config ID writes the configuration of one"


COMMAND = Command(
    "devices",
    "show what every device runs, and why",
    add_options,
    run,
    EPILOG,
    also=("why", "watch", "command"),
)
