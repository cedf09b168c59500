"""The fleet as a person reads it: a row for each pipeline, as wide as the terminal."""

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size

from agent.wire.reports import CameraState
from agent.wire.topics import MAIN
from deploy.cli import output
from deploy.core.devices.fleet import Row
from deploy.core.devices.roster import Counts
from deploy.core.spans import counted, span

HEADINGS: Final = (
    "DEVICE", "ONLINE", "RUNNING", "ON", "PHASE", "CONDITION", "PLAN", "SEEN", "TAGS", "WHY",
)  # fmt: skip
SPARED: Final = ("TAGS", "PLAN", "ON", "SEEN", "PHASE", "RUNNING")
"""What makes room for the cause, in this order."""
CAUSE_MIN: Final = 40
"""Letters of the cause that a terminal shows, if it can."""


def table(rows: Sequence[Row], width: int | None) -> output.Table:
    """A line for each row.

    Args:
        rows: at least one.
        width: of the terminal: columns and the ends of causes that do not fit are left out. None: all.
    """
    every = [HEADINGS, *map(cells, rows)]
    if width is not None:
        every = _fitting(every, width)
    return output.Table(every[0], every[1:])


def _fitting(every: Sequence[tuple[str, ...]], width: int) -> list[tuple[str, ...]]:
    columns = dict(zip(HEADINGS, zip(*every, strict=True), strict=True))
    widths = {heading: 2 + max(map(cell_len, column)) for heading, column in columns.items()}
    causes = columns.pop("WHY")
    cause = min(widths.pop("WHY") - 2, CAUSE_MIN)
    for heading in SPARED:
        if sum(widths.values()) + cause <= width:
            break
        del columns[heading], widths[heading]
    room = width - sum(widths.values())
    if room >= output.LAST_MIN:
        causes = tuple(_cut(each, room) for each in causes)
    return list(zip(*columns.values(), causes, strict=True))


def _cut(words: str, width: int) -> str:
    return words if cell_len(words) <= width else f"{set_cell_size(words, width - 3)}..."


def summary(counts: Counts) -> list[str]:
    """How many devices there are, how the gate counts them, and what holds them."""
    said = [f"{counted(counts.devices, 'device')}: {counts.online:,} online, {counts.offline:,} offline"]
    for title, of in (("the gate counts", counts.standings), ("causes:", counts.codes)):
        if of:
            said.append(f"{title} {', '.join(f'{count:,} {name}' for name, count in of.items())}")
    return said


CELL_MAX: Final = 64
"""Letters of a cell but the cause, which stands last: what a device calls a thing moves no column far."""


def cells(row: Row) -> tuple[str, ...]:
    """Of the table. Whatever a device wrote there, it is one line, and no command to a terminal."""
    *short, why = map(output.printable, _cells(row))
    return *(_cut(cell, CELL_MAX) for cell in short), why


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
        ",".join(row.tags) or "-",
        _why(row),
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
