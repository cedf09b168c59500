"""What is kept over time as a page is told it: in steps that a chart can show, merged and never averaged."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from agent.core.telemetry.latency import percentiles
from agent.wire.reports import Percentiles
from deploy.core.page.series import (
    REST,
    Against,
    Classes,
    Column,
    LabelLine,
    Latency,
    LatencyLine,
    Reference,
    RunningBy,
    RunningLine,
)
from deploy.core.page.series_drift import Verdict, compare, compare_labels, frames_a_label, frames_a_sight
from deploy.core.page.series_sums import Answered, Counted, Heard, Piece, Pile, top

POINTS_MAX: Final = 150
LABELS_SHOWN: Final = 12
RELEASES_SHOWN: Final = 4
MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
STEPS_S: Final = (
    MINUTE_S, 5 * MINUTE_S, 15 * MINUTE_S,
    HOUR_S, 2 * HOUR_S, 3 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S, DAY_S,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Steps:
    """A range cut into equal steps, in seconds since 1970; the last may be under way."""

    since: int
    until: int
    step_s: int

    @property
    def at(self) -> tuple[int, ...]:
        return tuple(range(self.since, self.until, self.step_s))

    def place(self, at: int) -> int:
        return (at - self.since) // self.step_s


def steps(since: datetime, until: datetime, least_s: int) -> Steps:
    """The finest that a chart can show.

    Args:
        since: begins the range.
        until: ends it; later than `since`, at most the 90 days that are kept, or it is cut.
        least_s: finer steps are not kept of all of it.
    """
    begin, end = int(since.timestamp()), max(int(until.timestamp()), int(since.timestamp()) + 1)
    step_s = next((each for each in STEPS_S if each >= least_s and end - begin <= each * POINTS_MAX), DAY_S)
    begin = max(begin - begin % step_s, 0)
    return Steps(begin, min(end, begin + step_s * POINTS_MAX), step_s)


def latency(stage: str, grid: Steps, pieces: Iterable[Piece]) -> Latency:
    of_place: dict[tuple[str, str], list[Pile]] = defaultdict(lambda: [Pile() for _ in grid.at])
    for piece in pieces:
        of_place[piece.release, piece.hardware][grid.place(piece.at)].add(piece.durations)
    every = [_merged(step) for step in zip(*of_place.values(), strict=True)]
    lines = (_line(release, hardware, piles) for (release, hardware), piles in of_place.items())
    return Latency(
        stage=stage,
        since=_instant(grid.since),
        until=_instant(grid.until),
        step_s=grid.step_s,
        at=grid.at,
        lines=tuple(sorted(lines, key=lambda line: (line.release, line.hardware))),
        everything=_line(REST, REST, every) if every else None,
    )


def _merged(piles: Iterable[Pile]) -> Pile:
    whole = Pile()
    for pile in piles:
        whole.add(pile.document())
    return whole


def _line(release: str, hardware: str, piles: Sequence[Pile]) -> LatencyLine:
    """Of the durations of each step."""
    told = [_percentiles(pile) for pile in piles]
    document = _merged(piles).document()
    return LatencyLine(
        release=release,
        hardware=hardware,
        count=document.count,
        whole=percentiles(document),
        p50=_column(None if each is None else each.p50 for each in told),
        p95=_column(None if each is None else each.p95 for each in told),
        p99=_column(None if each is None else each.p99 for each in told),
        counts=tuple(pile.zeros + sum(pile.bins.values()) for pile in piles),
    )


def _percentiles(pile: Pile) -> Percentiles | None:
    document = pile.document()
    return percentiles(document) if document.count else None


def _column(values: Iterable[float | None]) -> Column:
    return tuple(None if value is None else round(value, 3) for value in values)


@dataclass(frozen=True, slots=True)
class Compared:
    """A reference: what was answered then, in the order of time."""

    grid: Steps
    kind: Against
    heard: tuple[Heard, ...]

    def beside(self, since: int, until: int) -> Answered:
        """What is fit to be held against this range: of a first day, its same hours of the day, for a shop
        is another at night; all of it where that is asked for, or the range has a day or more.
        """
        if self.kind is Against.SAME_HOURS and until - since < DAY_S:
            hours = {at // HOUR_S % 24 for at in (*range(since, until, HOUR_S), until - 1)}
            return _together(one for one in self.heard if one.at // HOUR_S % 24 in hours)
        return _together(self.heard)

    def reference(self, since: int, until: int) -> Reference:
        whole = self.kind is Against.SAME_HOURS and until - since >= DAY_S
        return Reference(
            since=_instant(self.grid.since),
            until=_instant(self.grid.until),
            kind=Against.FIRST_DAY if whole else self.kind,
            frames=self.beside(since, until).frames,
        )


def _together(heard: Iterable[Heard]) -> Answered:
    whole = Answered()
    for one in heard:
        whole.add(one.answered)
    return whole


def classes(release: str, grid: Steps, heard: Iterable[Heard], against: Compared | None) -> Classes:
    whole, each = Answered(), [Answered() for _ in grid.at]
    for one in heard:
        whole.add(one.answered)
        each[grid.place(one.at)].add(one.answered)
    spans = () if against is None else tuple(one.answered for one in against.heard)
    frames = frames_a_label(span.labels for span in spans)

    def beside(since: int, until: int) -> Answered:
        return Answered() if against is None else against.beside(since, until)

    before = beside(grid.since, grid.until)
    verdict = compare_labels(whole.labels, before.labels, frames)
    sureness = compare(
        whole.confidence, before.confidence, frames_a_sight([span.confidence for span in spans])
    )
    steps_ = zip(grid.at, each, strict=True)
    return Classes(
        release=release,
        since=_instant(grid.since),
        until=_instant(grid.until),
        step_s=grid.step_s,
        at=grid.at,
        frames=tuple(answered.frames for answered in each),
        labels=tuple(_labels(whole, before, each)),
        psi=_column(
            compare_labels(answered.labels, beside(at, at + grid.step_s).labels, frames).psi
            for at, answered in steps_
        ),
        drift=verdict.drift,
        psi_whole=_rounded(verdict),
        psi_noise=None if verdict.noise is None else round(verdict.noise, 4),
        psi_confidence=_rounded(sureness),
        drift_confidence=sureness.drift,
        reference=None if against is None else against.reference(grid.since, grid.until),
    )


def running(grid: Steps, counted: Iterable[Counted]) -> RunningBy:
    """Of each step what was counted last in it."""
    steps: list[tuple[int, dict[str, float]]] = [(-1, {}) for _ in grid.at]
    for one in counted:
        place = grid.place(one.at)
        if steps[place][0] != one.at:
            steps[place] = (one.at, {})
        steps[place][1][one.release] = one.pipelines
    most = Counter[str]()
    for _, found in steps:
        most |= Counter({release: int(n) for release, n in found.items()})
    shown = top(most, RELEASES_SHOWN)
    return RunningBy(
        since=_instant(grid.since),
        until=_instant(grid.until),
        step_s=grid.step_s,
        at=grid.at,
        lines=tuple(_running([found for _, found in steps], shown)),
    )


def _running(steps: Sequence[dict[str, float]], shown: tuple[str, ...]) -> Iterator[RunningLine]:
    for release in shown:
        counts = (found.get(release, 0) if found else None for found in steps)
        yield RunningLine(release=release, counts=_column(counts))
    others = [sum(n for release, n in found.items() if release not in shown) for found in steps]
    if any(others):
        counts = (n if found else None for n, found in zip(others, steps, strict=True))
        yield RunningLine(release=REST, counts=_column(counts))


def _rounded(verdict: Verdict) -> float | None:
    return None if verdict.psi is None else round(verdict.psi, 4)


def _labels(whole: Answered, before: Answered, each: Sequence[Answered]) -> Iterator[LabelLine]:
    """Those that are frequent here or were in the reference: what is gone is shown, too."""
    shares = Counter({label: _share(whole, label) for label in whole.labels})
    shares.update({label: _share(before, label) for label in before.labels})
    shown = top(shares, LABELS_SHOWN)
    named = set(shown)
    for label in shown:
        yield LabelLine(
            label=label,
            whole=round(_share(whole, label), 4),
            reference=round(_share(before, label), 4),
            shares=_column(_share(one, label) if one.labels else None for one in each),
        )
    if not (set(whole.labels) | set(before.labels)) <= named:
        yield LabelLine(
            label=REST,
            whole=round(_others(whole, named), 4),
            reference=round(_others(before, named), 4),
            shares=_column(_others(one, named) if one.labels else None for one in each),
        )


def _share(answered: Answered, label: str) -> float:
    return answered.labels.get(label, 0) / max(sum(answered.labels.values()), 1)


def _others(answered: Answered, named: set[str]) -> float:
    others = sum(n for label, n in answered.labels.items() if label not in named)
    return others / max(sum(answered.labels.values()), 1)


def _instant(at: int) -> datetime:
    return datetime.fromtimestamp(at, tz=UTC)
