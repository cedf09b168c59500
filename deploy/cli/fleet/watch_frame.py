"""One look at a rollout as lines of text that fit a terminal, whatever its size."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from deploy.assemble.controller.watching import View
from deploy.cli.output import printable
from deploy.core.devices.outlook import Outlook, WaveState, WaveView
from deploy.core.rollouts.tally import Standing
from deploy.core.rollouts.words import Judgement, Outcome, Verdict
from deploy.core.spans import counted, span, volume

TABLE_MIN: Final = 76
"""Columns of a terminal in which the standings have columns of their own."""
BAR_MIN, BAR_MAX = 10, 40
ALWAYS: Final = frozenset({Standing.HEALTHY, Standing.PENDING, Standing.FAILED, Standing.SILENT})

STYLES: Final[Mapping[Standing, str]] = {
    Standing.HEALTHY: "green",
    Standing.DEGRADED: "yellow",
    Standing.PENDING: "cyan",
    Standing.FAILED: "bold red",
    Standing.SILENT: "red",
    Standing.HELD: "yellow",
    Standing.OFFLINE: "dim",
    Standing.VANISHED: "magenta",
    Standing.AWAY: "bright_magenta",
}
VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.PROMOTE: "bold green",
    Verdict.HOLD: "bold yellow",
    Verdict.ABORT: "bold red",
}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Each standing is told apart without colours, too."""

    marks: Mapping[WaveState, str]
    blocks: Mapping[Standing, str]


def _glyphs(marks: str, blocks: str) -> Glyphs:
    return Glyphs(dict(zip(WaveState, marks, strict=True)), dict(zip(STYLES, blocks, strict=True)))


UNICODE: Final = _glyphs("✓▶·", "█▓░x!=.?~")
ASCII: Final = _glyphs("*> ", "#+-x!=.?~")


def frame(view: View, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """At most `height` lines of at most `width` cells, the most important first to stay.

    What stays to the last is the head, the current wave, and what the gate says.
    """
    found = view.outlook
    head = [_head(found), *([Text(view.note, "bold yellow")] if view.note else [])]
    gate = [finding[: max(2, height // 4)] for finding in _gate(found.judgement, width)]
    spare = height - len(head) - len(gate[0] if gate else ())
    waves = _waves(found.waves, width, max(1, spare - 2), glyphs)
    lines = [*head, *waves]
    if (load := _load(view)) is not None:
        lines.append(load)
    for finding in gate:
        if len(lines) + len(finding) < height:
            lines += finding
    room = height - len(lines) - 2
    if room > 0 and view.events:
        lines += [Text(), *(Text(printable(each), "dim") for each in view.events[-room:])]
    if len(lines) < height:
        lines.append(Text(_foot(found), "dim"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines[:height]


def _head(found: Outlook) -> Text:
    rollout = found.rollout
    release = rollout.order.release
    said = Text(f"{release.name}@{release.version}", "bold").append(f" {stands(found)}")
    return said.append(f"  rollout {rollout.name}, stream {rollout.order.stream}", "dim")


def stands(found: Outlook) -> str:
    """Where the rollout is, in a few words."""
    rollout = found.rollout
    match rollout.outcome:
        case Outcome.COMPLETED:
            return "completed: it became the stable release"
        case Outcome.REVERTED:
            return f"reverted: {found.back} of {found.let_in} devices serve what was stable"
        case None if rollout.aborted is not None:
            return "is being taken back"
        case None if rollout.wave < 0:
            return "has not begun"
        case _:
            waves, begun = rollout.order.waves, rollout.wave_at
            ago = f" for {span((found.at - begun).total_seconds())}" if begun else ""
            paused = ", paused" if rollout.paused else ""
            return f"wave {rollout.wave + 1} of {len(waves)} ({waves[rollout.wave]}){ago}{paused}"


def _waves(views: Sequence[WaveView], width: int, room: int, glyphs: Glyphs) -> list[Text]:
    shown = _nearest(views, room - (width >= TABLE_MIN))
    if width < TABLE_MIN:
        return [_in_words(view, glyphs) for view in shown]
    columns = [each for each in STYLES if each in ALWAYS or any(view.standings.get(each) for view in views)]
    bar = min(BAR_MAX, width - 20 - sum(len(each) + 2 for each in columns))
    heading = Text(f"  {'WAVE':<7} {'DEVICES':>8}", "dim")
    for each in columns:
        heading.append(f"  {each}", "dim")
    return [heading, *(_row(view, columns, bar, glyphs) for view in shown)]


def _nearest(views: Sequence[WaveView], room: int) -> Sequence[WaveView]:
    """As many as there is room for, around the current one."""
    current = next((n for n, view in enumerate(views) if view.state is WaveState.CURRENT), 0)
    room = max(1, room)
    first = max(0, min(current - room // 2, len(views) - room))
    return views[first : first + room]


def _row(view: WaveView, columns: Sequence[Standing], bar: int, glyphs: Glyphs) -> Text:
    line = Text(
        f"{glyphs.marks[view.state]} {view.label:<7} {view.devices:>8,}",
        "bold" if view.state is WaveState.CURRENT else "",
    )
    for each in columns:
        count = view.standings.get(each, 0)
        said = f"{count:,}" if view.state is not WaveState.COMING else ""
        line.append(f"  {said:>{len(each)}}", STYLES[each] if count else "dim")
    if bar >= BAR_MIN and view.devices and view.state is not WaveState.COMING:
        line.append("  ").append_text(_bar(view, bar, glyphs))
    return line


def _bar(view: WaveView, width: int, glyphs: Glyphs) -> Text:
    """Whoever is there has at least one cell, so that one failure among a thousand is seen."""
    present = {each: count for each in STYLES if (count := view.standings.get(each, 0))}
    spare = width - len(present)
    bar, total, cells, gone = Text(), sum(present.values()), 0, 0
    for each, count in present.items():
        gone += count
        end = round(gone / total * spare)
        bar.append(glyphs.blocks[each] * (end - cells + 1), STYLES[each])
        cells = end
    return bar


def _in_words(view: WaveView, glyphs: Glyphs) -> Text:
    line = Text(
        f"{glyphs.marks[view.state]} {view.label} ", "bold" if view.state is WaveState.CURRENT else ""
    )
    if view.state is WaveState.COMING:
        return line.append(f"{counted(view.devices, 'device')} to come", "dim")
    told = [(each, count) for each in STYLES if (count := view.standings.get(each, 0))]
    for number, (each, count) in enumerate(told):
        line.append(", " if number else "").append(f"{count:,} {each}", STYLES[each])
    return line if told else line.append("nobody", "dim")


def _load(view: View) -> Text | None:
    found = view.outlook
    if not found.bytes_left:
        return None
    said = f"{volume(found.bytes_left)} to come to {counted(found.loading, 'device')}"
    if view.rate_bytes_s > 0:
        said += f", {volume(view.rate_bytes_s)}/s, about {span(found.bytes_left / view.rate_bytes_s)}"
    return Text(said)


def _gate(judgement: Judgement | None, width: int) -> Iterator[list[Text]]:
    """The verdict with its first reason, then the other findings, those that decide first."""
    if judgement is None:
        return
    first, *rest = sorted(judgement.findings, key=lambda each: each.says is not judgement.verdict)
    verdict = judgement.verdict
    yield _wrapped(f"gate: {verdict}", VERDICTS[verdict], first.words, width)
    for each in rest:
        yield _wrapped(f"  {each.says:<7}", VERDICTS[each.says], f"{each.name}: {each.words}", width)


def _wrapped(head: str, style: str, words: str, width: int) -> list[Text]:
    """The words beside the head, and below it where they do not fit."""
    indent = " " * min(len(head) + 2, width // 4)
    first, *more = textwrap.wrap(
        printable(words), width, initial_indent=" " * (len(head) + 2), subsequent_indent=indent
    ) or [""]
    return [Text(head, style).append(first[len(head) :], "default"), *map(Text, more)]


def _foot(found: Outlook) -> str:
    return f"{found.at:%H:%M:%S} UTC, {counted(found.devices, 'device')}; Ctrl-C leaves, the rollout goes on"


_PASSING: Final = re.compile(r", \S+ from now|, of which \d+ s are over")
"""What a gate's words tell of the time that is left or over."""


def timeless(words: str) -> str:
    """The same at every moment, as long as nothing happens."""
    return _PASSING.sub("", words)


def plain(view: View) -> str:
    """One line without the time: it changes where something has."""
    found = view.outlook
    counts = ", ".join(f"{count} {each}" for each in STYLES if (count := found.totals.get(each, 0)))
    words = "" if found.judgement is None else timeless(found.judgement.words)
    judged = "" if found.judgement is None else f"; {found.judgement.verdict}: {words}"
    rollout = found.rollout
    where = f"wave {rollout.wave + 1} of {len(rollout.order.waves)} ({rollout.order.waves[rollout.wave]})"
    going = rollout.outcome is None and rollout.aborted is None and rollout.wave >= 0
    said = f"{where}: {counts or 'nobody'}{judged}" if going else stands(found)
    return printable(f"{said}; {view.note}" if view.note else said)
