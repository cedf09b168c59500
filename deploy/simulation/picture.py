"""The course of a simulated rollout as people look at it: lines for a terminal, and an SVG."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from deploy.simulation.outcome import Cost, Moment, Ran

SPARKS: Final = " ▁▂▃▄▅▆▇█"
SPARK_WIDTH: Final = 60
WIDTH_PX, HEIGHT_PX, MARGIN_PX = 900, 420, 56
CURVES: Final[tuple[tuple[str, str, Callable[[Moment], int]], ...]] = (
    ("exposed to the candidate", "#c2410c", lambda moment: moment.exposed),
    ("run the candidate", "#1d4ed8", lambda moment: moment.on_candidate),
    ("run the release before it", "#15803d", lambda moment: moment.on_stable),
)


def lines(ran: Ran) -> Iterator[str]:
    outcome = "did not end" if ran.outcome is None else ran.outcome.value
    yield f"{ran.scenario}, {ran.devices} devices, seed {ran.seed}: {outcome} after {ran.rollout_s:.1f} s"
    yield f"  exposed          {ran.exposed} of {ran.devices}, {ran.fallen} of them fell"
    yield f"  time to detect   {_seconds(ran.detect_s)}"
    yield f"  time to revert   {_seconds(ran.revert_s)}"
    yield from _cost(ran.cost)
    for name, _, of in CURVES[:2]:
        yield f"  {name:26} {spark([of(moment) for moment in ran.course])}"
    yield "  ended as         " + ", ".join(f"{count} {end}" for end, count in ran.ends.items())
    for failure in ran.failures:
        yield f"  NOT AS EXPECTED: {failure}"


def _cost(cost: Cost) -> Iterator[str]:
    received, sent = _megabytes(cost.device_received_bytes), _megabytes(cost.device_sent_bytes)
    cpu = f"{cost.devices_cpu_s:.1f} s devices, {cost.controller_cpu_s:.1f} s controller"
    memory = f"{_megabytes(cost.devices_peak_bytes)} devices, {_megabytes(cost.broker_peak_bytes)} broker"
    yield f"  messages         {cost.device_messages} of the devices, {received} in, {sent} out"
    yield f"  processor        {cpu}, {cost.broker_cpu_s:.1f} s broker"
    yield f"  memory           {memory}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


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
    outcome = "did not end" if ran.outcome is None else ran.outcome.value
    title = f"{ran.scenario}: {ran.devices} devices, seed {ran.seed}, {ran.exposed} exposed, {outcome}"
    box = f'viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect width="{WIDTH_PX}" height="{HEIGHT_PX}" fill="white"/>',
        _text(MARGIN_PX, 20, title),
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
        yield _text(6, y + 4, f"{count:.0f}")
        yield _text(x - 10, HEIGHT_PX - MARGIN_PX + 18, f"{at_s:.0f} s")


def _plans(ran: Ran, scale: _Scale) -> Iterator[str]:
    for decision in ran.decisions:
        if decision.kind == "Steered" and decision.at_s <= scale.span_s:
            x = scale.x(max(0.0, decision.at_s))
            yield (
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{MARGIN_PX}" y2="{HEIGHT_PX - MARGIN_PX}" '
                'stroke="#999" stroke-dasharray="3 3"/>'
            )
            yield _text(x + 3, MARGIN_PX - 6, decision.words.partition(":")[2].strip()[:24])


def _curve(ran: Ran, scale: _Scale, colour: str, of: Callable[[Moment], int]) -> str:
    points = " ".join(f"{scale.x(moment.at_s):.1f},{scale.y(of(moment)):.1f}" for moment in ran.course)
    return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'


def _text(x: float, y: float, words: str, colour: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{escape(words)}</text>'
