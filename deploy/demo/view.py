"""The demo on a terminal: a download bar, the story so far, and a live table."""

from collections.abc import Sequence
from typing import Self

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.wire.reports import Progress, Report
from deploy.core.spans import volume
from deploy.demo.tally import Tally

STAGE_WORDS = (
    ("capture", "waiting in the latest-frame slot"),
    ("pre", "crop, resize, quantize"),
    ("invoke", "the model itself"),
    ("post", "dequantize, rank"),
    ("publish", "encode, hand to the broker"),
    ("age", "exposure to prediction, in all"),
)
PLAIN_EVERY = 25
BAR_WIDTH = 22
LABELS = 3
"""Shown of the ranking: on 24 lines the story keeps eight."""
TALL = 40
"""Lines of a terminal on which a long sentence may take several."""
WIDE = 64
"""Columns in which bars and explanations fit beside the figures."""


class View:
    """On a terminal that can move its cursor a table that lives; elsewhere a line now and then."""

    def __init__(self, console: Console) -> None:
        self.console = console
        lives = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, refresh_per_second=5, transient=True) if lives else None
        self._plain_at = PLAIN_EVERY
        self._page = ""

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """A line of the story, above the table: wrapped there, for Rich draws the table by the same rule."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=self._live is None)

    def page(self, url: str) -> None:
        """Where the device's page is: the story scrolls away, this stays."""
        self._page = f"page: {url}"
        self.say(self._page)

    def update(self, tally: Tally, goal: int | None) -> None:
        if self._live is not None:
            foot = Text(f"{self._page}   Ctrl-C ends it")
            self._live.update(Group(screen(tally, goal, self.console.size), foot))
        elif tally.predictions >= self._plain_at:
            self._plain_at = tally.predictions + PLAIN_EVERY
            self.say(_line(tally, goal))


def _line(tally: Tally, goal: int | None) -> str:
    newest = tally.newest
    if newest is None or not newest.predictions:
        return "no prediction yet"
    best = newest.predictions[0]
    counted = f"{tally.predictions}/{goal}" if goal else str(tally.predictions)
    invoke = tally.latency_ms().get("invoke", {})
    return (
        f"  {counted:>9} predictions  {newest.frame:<24} {best.label:<28} {best.score:.3f}  "
        f"{tally.fps():5.1f} fps  invoke p50 {invoke.get('p50', 0.0):.1f} ms  {newest.model} {newest.version}"
    )


def screen(tally: Tally, goal: int | None, size: ConsoleDimensions) -> Group:
    """Low enough for 24 lines, the story above it."""
    parts: list[RenderableType] = []
    if tally.report is not None:
        parts.extend(_state(tally.report, size))
    if tally.newest is not None:
        parts.extend((_seen(tally, goal), _labels(tally, size), _stages(tally, size)))
    return Group(*parts)


def pulling(candidate: Progress) -> str:
    """How far a download is, as a bar."""
    filled = candidate.bytes_done * BAR_WIDTH // candidate.bytes_total
    bar = "#" * filled + "." * (BAR_WIDTH - filled)
    amounts = f"{volume(candidate.bytes_done)} of {volume(candidate.bytes_total)}"
    return f"pulling {candidate.name} {candidate.version} [{bar}] {amounts}"


def _short(text: str, size: ConsoleDimensions, style: str = "") -> Text:
    """Of one line, but where there is room for more."""
    return Text(text, style=style, no_wrap=size.height < TALL, overflow="ellipsis")


def _state(report: Report, size: ConsoleDimensions) -> Sequence[RenderableType]:
    active = report.active
    runs = "nothing yet" if active is None else f"{active.name} {active.version} ({active.digest[:16]})"
    lines = [_short(f"device {report.device}  {report.phase}  runs {runs}", size, "bold")]
    if active is not None and active.delegate:
        lines.append(_short(f"{active.runtime}, {active.delegate}: {active.delegate_reason}", size))
    return lines


def _seen(tally: Tally, goal: int | None) -> Text:
    newest = tally.newest
    assert newest is not None
    counted = f"{tally.predictions} of {goal}" if goal else str(tally.predictions)
    return Text(
        f"{newest.frame or 'frame'} #{newest.sequence}   {counted} predictions, {tally.fps():.1f} fps, "
        f"{tally.frames_dropped} frames dropped"
    )


def _labels(tally: Tally, size: ConsoleDimensions) -> Table:
    newest = tally.newest
    assert newest is not None
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=24, no_wrap=True)
    table.add_column(justify="right")
    shown = newest.predictions[:LABELS]
    for ranked in shown:
        bar = ProgressBar(total=1.0, completed=ranked.score, width=BAR_WIDTH)
        table.add_row(f"  {ranked.label}", f"{ranked.score:.3f}", *([bar] if size.width >= WIDE else ()))
    for _ in range(LABELS - len(shown)):
        table.add_row("")
    return table


def _stages(tally: Tally, size: ConsoleDimensions) -> Table:
    explained = size.width >= WIDE
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "right", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_row("latency, ms", "p50", "p95", "p99", style="bold")
    latency = tally.latency_ms()
    for stage, words in STAGE_WORDS:
        shown = latency.get(stage)
        if shown is not None:
            figures = (f"{shown[column]:.2f}" for column in ("p50", "p95", "p99"))
            table.add_row(f"  {stage}", *figures, *([Text(words, style="dim")] if explained else ()))
    return table
