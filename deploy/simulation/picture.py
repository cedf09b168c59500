"""The course of a simulated rollout as people look at it: lines for a terminal, and an SVG."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from deploy.core.spans import volume
from deploy.simulation.outcome import Cost, Moment, Ran

SPARKS: Final = " ▁▂▃▄▅▆▇█"
SPARK_WIDTH: Final = 60
WIDTH_PX, HEIGHT_PX, MARGIN_PX = 900, 440, 64
CURVES: Final[tuple[tuple[str, str, Callable[[Moment], int]], ...]] = (
    ("met the candidate", "#c2410c", lambda moment: moment.exposed),
    ("run the candidate", "#1d4ed8", lambda moment: moment.on_candidate),
    ("run the release before it", "#15803d", lambda moment: moment.on_stable),
)


def lines(ran: Ran) -> Iterator[str]:
    last_s = ran.course[-1].at_s if ran.course else 0.0
    slow = f", deadlines {ran.stretch:g} times as long" if ran.stretch > 1.0 else ""
    yield f"{ran.scenario}: {ran.words}"
    yield f"  {ran.devices} devices, seed {ran.seed}{slow}: {_outcome(ran)} after {ran.rollout_s:.1f} s"
    yield f"  exposed          {_exposed(ran)}"
    yield f"  time to detect   {_seconds(ran.detect_s, 'from the first harm to the verdict')}"
    yield f"  time to revert   {_seconds(ran.revert_s, 'from the verdict until no device ran the candidate')}"
    yield from _cost(ran.cost)
    for name, _, of in CURVES[:2]:
        counts = [of(moment) for moment in ran.course]
        yield f"  {name:18} {spark(counts)} at most {max(counts, default=0)}"
    yield f"  {'':18} 0 s to {last_s:.1f} s"
    yield "  ended as         " + "; ".join(f"{count} {end}" for end, count in ran.ends.items())
    yield from (f"  NOT AS EXPECTED: {failure}" for failure in ran.failures)
    if not ran.failures:
        yield "  all of it as the scenario expects"


def _outcome(ran: Ran) -> str:
    return "not ended" if ran.outcome is None else ran.outcome.value


def _exposed(ran: Ran) -> str:
    harmed = f", which harmed {ran.fallen} of them" if ran.fallen else ""
    return f"{ran.exposed} of {ran.devices} met the candidate{harmed}"


def _cost(cost: Cost) -> Iterator[str]:
    received, sent = volume(cost.device_received_bytes), volume(cost.device_sent_bytes)
    cpu = f"{cost.devices_cpu_s:.1f} s devices, {cost.controller_cpu_s:.1f} s controller"
    memory = f"{volume(cost.devices_peak_bytes)} devices, {volume(cost.broker_peak_bytes)} broker"
    yield f"  messages         {cost.device_messages} to and from devices: {received} in, {sent} out"
    yield f"  processor        {cpu}, {cost.broker_cpu_s:.1f} s broker"
    yield f"  memory, most     {memory}"


def _seconds(seconds: float | None, what: str) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s {what}"


def spark(values: Sequence[int]) -> str:
    """Each sign is the highest of its part of the time."""
    if not values:
        return ""
    width = min(SPARK_WIDTH, len(values))
    edges = [len(values) * number // width for number in range(width + 1)]
    most = max(*values, 1)
    highest = (max(values[edges[at] : edges[at + 1]]) for at in range(width))
    return "".join(SPARKS[-(-value * (len(SPARKS) - 1) // most)] for value in highest)


def svg(ran: Ran) -> str:
    """The curves over time, with what was decided as lines across."""
    span_s = max((moment.at_s for moment in ran.course), default=1.0) or 1.0
    scale = _Scale(span_s, ran.devices)
    title = f"{ran.scenario}: {ran.words}"
    course = f"{_exposed(ran)}; {_outcome(ran)} after {ran.rollout_s:.1f} s (seed {ran.seed})"
    box = f'viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect width="{WIDTH_PX}" height="{HEIGHT_PX}" fill="white"/>',
        _text(MARGIN_PX, 18, title),
        _text(MARGIN_PX, 34, course),
        *_axes(scale),
        *_plans(ran, scale),
        *(_curve(ran, scale, colour, of) for _, colour, of in CURVES),
        *(
            _text(MARGIN_PX + 230 * number, HEIGHT_PX - 8, name, colour)
            for number, (name, colour, _) in enumerate(CURVES)
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Scale:
    def __init__(self, span_s: float, devices: int) -> None:
        self.span_s, self.devices = span_s, devices

    def x(self, at_s: float) -> float:
        return MARGIN_PX + at_s / self.span_s * (WIDTH_PX - 2 * MARGIN_PX)

    def y(self, count: float) -> float:
        return HEIGHT_PX - MARGIN_PX - count / self.devices * (HEIGHT_PX - 2 * MARGIN_PX)


def _axes(scale: _Scale) -> Iterator[str]:
    for part in range(5):
        count, at_s = scale.devices * part / 4, scale.span_s * part / 4
        y, x = scale.y(count), scale.x(at_s)
        yield f'<line x1="{MARGIN_PX}" x2="{WIDTH_PX - MARGIN_PX}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        yield _text(MARGIN_PX - 8, y + 4, f"{count:.0f}", anchor="end")
        yield _text(x, HEIGHT_PX - MARGIN_PX + 18, f"{at_s:.0f} s", anchor="middle")
    yield _text(MARGIN_PX - 8, MARGIN_PX - 14, "devices", anchor="end")


def _plans(ran: Ran, scale: _Scale) -> Iterator[str]:
    for decision in ran.decisions:
        if decision.kind == "Steered" and decision.at_s <= scale.span_s:
            x = scale.x(max(0.0, decision.at_s))
            yield (
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{MARGIN_PX}" y2="{HEIGHT_PX - MARGIN_PX}" '
                'stroke="#999" stroke-dasharray="3 3"/>'
            )
            late = x > WIDTH_PX * 0.75
            yield _text(x - 3 if late else x + 3, MARGIN_PX - 4, decision.label, "#777", _anchor(late=late))


def _anchor(*, late: bool) -> str:
    """Words near the right edge stand before their line."""
    return "end" if late else "start"


def _curve(ran: Ran, scale: _Scale, colour: str, of: Callable[[Moment], int]) -> str:
    points = " ".join(f"{scale.x(moment.at_s):.1f},{scale.y(of(moment)):.1f}" for moment in ran.course)
    return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'


def _text(x: float, y: float, words: str, colour: str = "#333", anchor: str = "start") -> str:
    placed = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {placed} fill="{colour}">{escape(words)}</text>'
