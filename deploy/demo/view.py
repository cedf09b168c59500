"""The demo on a terminal: a download bar, the story so far, and a live table."""

from collections.abc import Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.wire.reports import Progress, Report
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
BAR_WIDTH = 32


class View:
    """On a terminal a table that lives; elsewhere a line now and then."""

    def __init__(self, console: Console) -> None:
        self.console = console
        live = Live(console=console, refresh_per_second=5, transient=True)
        self._live = live if console.is_terminal else None
        self._plain_at = PLAIN_EVERY

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """A line of the story, above the table."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def update(self, tally: Tally, goal: int | None) -> None:
        if self._live is not None:
            self._live.update(_screen(tally, goal))
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


def _screen(tally: Tally, goal: int | None) -> RenderableType:
    parts: list[RenderableType] = []
    if tally.report is not None:
        parts.extend(_state(tally.report))
    if tally.newest is not None:
        parts.extend((_labels(tally, goal), _stages(tally)))
    return Group(*parts)


def pulling(candidate: Progress) -> str:
    """How far a download is, as a bar."""
    filled = candidate.bytes_done * BAR_WIDTH // candidate.bytes_total
    bar = "#" * filled + "." * (BAR_WIDTH - filled)
    megabytes = f"{candidate.bytes_done / 1e6:.1f} of {candidate.bytes_total / 1e6:.1f} MB"
    return f"pulling {candidate.name} {candidate.version} [{bar}] {megabytes}"


def _state(report: Report) -> Sequence[RenderableType]:
    active = report.active
    runs = "nothing yet" if active is None else f"{active.name} {active.version} ({active.digest[:16]})"
    lines: list[RenderableType] = [Text(f"device {report.device}  {report.phase}  runs {runs}", style="bold")]
    if active is not None and active.delegate:
        lines.append(Text(f"{active.runtime}, {active.delegate}: {active.delegate_reason}"))
    return lines


def _labels(tally: Tally, goal: int | None) -> Table:
    newest = tally.newest
    assert newest is not None
    counted = f"{tally.predictions} of {goal}" if goal else str(tally.predictions)
    table = Table(
        title=f"{newest.frame or 'frame'} #{newest.sequence}   {counted} predictions, {tally.fps():.1f} fps",
        title_justify="left",
    )
    table.add_column("label", min_width=32)
    table.add_column("score", justify="right")
    table.add_column("", width=22)
    for ranked in newest.predictions:
        bar = ProgressBar(total=1.0, completed=ranked.score, width=22)
        table.add_row(ranked.label, f"{ranked.score:.3f}", bar)
    return table


def _stages(tally: Tally) -> Table:
    table = Table(title=f"latency in ms   {tally.frames_dropped} frames dropped", title_justify="left")
    table.add_column("stage")
    for column in ("p50", "p95", "p99"):
        table.add_column(column, justify="right")
    table.add_column("what it is", style="dim")
    latency = tally.latency_ms()
    for stage, words in STAGE_WORDS:
        shown = latency.get(stage)
        if shown is not None:
            table.add_row(stage, *(f"{shown[column]:.2f}" for column in ("p50", "p95", "p99")), words)
    return table
