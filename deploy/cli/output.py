"""What a person or a program reads: answers on stdout, progress and complaints on stderr."""

import io
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TextIO

import msgspec
import rich.box
import rich.table
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

OnProgress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""


LAST_MIN: Final = 12
"""Letters that the last column of a table on a terminal has at least, as long as the others fit."""
SHORT_BYTES: Final = 1_000_000
"""What is over in a moment needs no lines about its quarters."""


@dataclass(frozen=True, slots=True)
class Table:
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


Said = str | Table


def spell_what_it_can() -> None:
    """A name must not end the command on a terminal that lacks its letters."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(*said: Said) -> None:
    """Lines, and tables: drawn to fit the terminal, plain columns elsewhere."""
    for each in said:
        if isinstance(each, str):
            print(_lines(each))
        elif (size := room()) is not None:
            drawn = _drawn(each, size.columns)
            sys.stdout.flush()
            Console(width=size.columns, highlight=False).print(drawn)
        else:
            print(*map(_lines, columns(each.headings, each.rows)), sep="\n")


def _drawn(told: Table, width: int) -> rich.table.Table | Text:
    """The last column goes on below where it must; where there is no room for that, a row is lines."""
    widths = [max(map(cell_len, column)) for column in zip(told.headings, *told.rows, strict=True)]
    *before, last = widths
    if sum(before) + 2 * len(before) + min(last, LAST_MIN) > width:
        return Text("\n\n".join(_card(told.headings, row) for row in told.rows))
    made = rich.table.Table(
        box=rich.box.SIMPLE_HEAD,
        show_edge=False,
        show_lines=sum(widths) + 2 * len(before) > width,
        header_style="bold",
        collapse_padding=True,
        pad_edge=False,
    )
    for heading, widest in zip(told.headings[:-1], before, strict=True):
        made.add_column(Text(heading), no_wrap=True, min_width=widest)
    made.add_column(Text(told.headings[-1]), overflow="fold")
    for row in told.rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made


def _card(headings: Sequence[str], row: Sequence[str]) -> str:
    label = max(map(len, headings))
    cells = ((heading, printable(cell)) for heading, cell in zip(headings, row, strict=True))
    return "\n".join(f"{heading:{label}}  {cell}" for heading, cell in cells)


def note(line: str) -> None:
    """Something worth knowing that is not the answer."""
    print(_lines(line), file=sys.stderr)


def _lines(text: str) -> str:
    """What devices and brokers wrote is in most of what is said: it ends lines, and no more."""
    return "\n".join(map(printable, text.split("\n")))


def on_terminal(stream: TextIO | None = None) -> bool:
    """Whether a person looks at a terminal that knows more than lines. None: of standard output."""
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}


def room() -> os.terminal_size | None:
    """The size of the terminal that answers go to; None: they go elsewhere."""
    return shutil.get_terminal_size() if on_terminal() else None


def printable(text: str) -> str:
    """The text with control characters replaced: a device must not steer the operator's terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def complain(message: str) -> None:
    """One sentence about why nothing was done."""
    note(f"shoal: {' '.join(message.split())}")


def say_json(answer: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())


def columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Left-aligned columns, as wide as their widest cell, two blanks apart."""
    widths = [max(cell_len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    return [
        "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in (headings, *rows)
    ]


def log_to_stderr() -> None:
    """What a program that runs for long has to say of itself: an event a line, its fields behind it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Event())
    # Of the device's code, which serves pages and keeps links here too, what went wrong.
    for name, level in (("deploy", logging.INFO), ("agent", logging.WARNING)):
        ours = logging.getLogger(name)
        ours.addHandler(handler)
        ours.setLevel(level)


class _Event(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        said = " ".join(f"{name}={value!s}" for name, value in fields.items())
        return printable(f"{record.levelname.lower()} {record.getMessage()} {said}".rstrip())


_OF_EVERY_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message"}


@contextmanager
def progress(title: str) -> Iterator[OnProgress]:
    """A bar on a terminal, a line at each quarter elsewhere."""
    if not on_terminal(sys.stderr):
        yield _Quarters(title).report
        return
    shown = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*shown, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Quarters:
    def __init__(self, title: str) -> None:
        self._title = title
        self._reported = 0

    def report(self, done: int, total: int) -> None:
        if total < SHORT_BYTES:
            return
        quarter = done * 4 // total
        if quarter < self._reported:
            self._reported = 0
        if quarter > self._reported:
            self._reported = quarter
            note(f"{self._title}: {quarter * 25} %, {done} of {total} bytes")
