"""`shoal devices`: what the fleet runs, and why."""

from argparse import ArgumentParser, Namespace

from msgspec import Struct

from agent.wire.reports import CameraState
from agent.wire.topics import MAIN
from deploy.assemble import steering, workspaces
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.core import fleet
from deploy.core.fleet import Row

HEADINGS = ("DEVICE", "ONLINE", "RUNNING", "ON", "PHASE", "CONDITION", "PLAN", "SEEN", "WHY")


class Answer(Struct, frozen=True, kw_only=True):
    devices: tuple[Row, ...]
    complete: bool


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "--wait",
        type=float,
        default=2.0,
        metavar="S",
        help="seconds that each sixteenth of the fleet may take to arrive (default: 2)",
    )
    command.add_json(parser)


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    found, now = steering.read_fleet(workspace, max(options.wait, 0.1))
    rows = tuple(row for device in found.devices for row in fleet.rows(device, now))
    if options.json:
        output.say_json(Answer(devices=rows, complete=not found.incomplete))
    else:
        output.say(*(output.columns(HEADINGS, [_cells(row) for row in rows]) if rows else _nobody()))
    if found.incomplete:
        output.note(
            f"shards {', '.join(found.incomplete)} were not read to their end within {options.wait:g} s: "
            "devices may be missing, try a longer --wait"
        )
    return 0


def _nobody() -> list[str]:
    return ["no device has reported here yet: shoal device-config ID writes the configuration of one"]


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
        "-" if row.report_age_s is None else age(row.report_age_s),
        output.printable(_why(row)),
    )


def condition(row: Row) -> str:
    """What keeps the pipeline from doing all that it should, in a few words."""
    camera = f"camera {row.camera}" if row.camera not in {None, CameraState.LIVE} else ""
    words = ("paused" if row.paused else "", "degraded" if row.degraded else "", camera)
    return ", ".join(filter(None, words)) or ("-" if row.phase is None else "ok")


def _why(row: Row) -> str:
    """The reason of the update first, then what is wrong with what serves."""
    update = f"{row.reason}: {row.why}" if row.reason else row.why
    camera = row.camera_detail if row.camera is not CameraState.LIVE else ""
    return "; ".join(filter(None, (update, row.degraded, camera)))


def age(seconds: float) -> str:
    """The age in its largest unit, rounded down."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"


COMMAND = Command("devices", "show what every device runs, and why", add_options, run)
