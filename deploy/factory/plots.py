"""The plots of a report, by matplotlib: as elements of a page, or together as a picture."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deploy.core.factory.evaluation import layers, plotting
from deploy.core.factory.evaluation.document import LayerError, Layers, Report
from deploy.core.factory.evaluation.seen import Draw, Drawn, Plot
from deploy.core.refusal import Refused
from deploy.ports.factory import OnProgress

_INK: Final = "#0a0b0c"
"""Becomes the colour of the page's own letters."""
_COLOURS: Final = ("#3b82c4", "#d97706", "#2a9d6f", "#b4518f", "#7a6ff0", "#c0453a", "#5f8f1f", "#4aa3b5")
"""Told apart on white and on near-black, and mostly so by those who see few colours."""
_WIDE_INCHES: Final = 4.6
_MODELS_MAX: Final = len(_COLOURS)
_ROW_MAX: Final = 38
_RELIABILITIES_MAX: Final = 4
_NUMBERS_MAX: Final = 25
"""With more labels the numbers in a matrix would not be read."""

Axes = Any


@dataclass(frozen=True, slots=True)
class _Drawing:
    title: str
    height_inches: float
    draw: Callable[[Axes], None]


def carry_out(order: Draw, tell: OnProgress) -> Drawn:
    """
    Raises:
        Refused: matplotlib is not installed.
    """
    del tell  # it is over at once
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise Refused("plots need matplotlib: pip install 'shoal[evaluate]'") from error
    mpl.use("agg")
    drawings = list(_drawings(order.report))
    with mpl.rc_context(style()):
        if order.png is not None:
            _write_png(drawings, Path(order.png))
            return Drawn()
        return Drawn(plots=tuple(_svg(drawing, place) for place, drawing in enumerate(drawings)))


def style() -> Any:
    ink = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color")
    return {
        **dict.fromkeys(ink, _INK),
        "svg.fonttype": "none",
        "svg.hashsalt": "shoal",
        # Labels are what somebody called a folder.
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.15,
        "legend.frameon": False,
        "axes.facecolor": "none",
    }


def _svg(drawing: _Drawing, place: int) -> Plot:
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    figure = Figure(figsize=(_WIDE_INCHES, drawing.height_inches), layout="constrained", facecolor="none")
    drawing.draw(figure.subplots())
    written = io.StringIO()
    # Without dates and random names, so that the same report is the same page.
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return Plot(title=drawing.title, svg=_element(written.getvalue(), f"plot{place}", drawing.title))


def _element(svg: str, prefix: str, title: str) -> str:
    """The drawing as an element of a page that holds others."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(
        r'(<svg[^>]*?) height="[^"]*"', rf'\1 role="img" aria-label="{escape(title)}"', body, count=1
    )
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    names = {name: f"{prefix}n{number}" for number, name in enumerate(re.findall(r'id="([^"]+)"', body))}
    body = re.sub(r'id="([^"]+)"', lambda found: f'id="{names[found[1]]}"', body)
    body = re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{names[found[1]]})", body)
    body = re.sub(r'href="#([^"]+)"', lambda found: f'href="#{names[found[1]]}"', body)
    return body.replace(_INK, "currentColor")


def _write_png(drawings: Sequence[_Drawing], path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    rows = -(-len(drawings) // 2)
    heights = [max(each.height_inches for each in drawings[2 * row : 2 * row + 2]) for row in range(rows)]
    figure = Figure(
        figsize=(2 * _WIDE_INCHES + 0.6, sum(heights) + 0.4 * rows), layout="constrained", dpi=120
    )
    # Each with margins of its own: the long names of one would squeeze the other.
    cells = figure.subfigures(rows, 2, squeeze=False, height_ratios=heights).ravel()
    for cell, drawing in zip(cells, drawings, strict=False):
        cell.suptitle(drawing.title, x=0.02, horizontalalignment="left", fontsize=10, fontweight="bold")
        drawing.draw(cell.subplots())
    figure.savefig(path, format="png", metadata={"Software": None})


def _drawings(report: Report) -> Sequence[_Drawing]:
    said, points = plotting.points(report)
    found = []
    if points:
        height = 2.4 + 0.2 * min(len(points), _MODELS_MAX)
        found += [
            _Drawing(
                f"{said} against bytes pulled", height, lambda axes: _cost(axes, said, points, "pulled")
            ),
            _Drawing(f"{said} against latency", height, lambda axes: _cost(axes, said, points, "latency")),
        ]
    return [*found, *_of_the_best(report), *_of_layers(report)]


def _cost(axes: Axes, said: str, points: Sequence[plotting.Point], what: str) -> None:
    shown = points[:_MODELS_MAX]
    names = plotting.shorten([point.name for point in shown], 34)
    costs = [point.pulled_mb if what == "pulled" else point.invoke_ms for point in shown]
    for point, cost, name in zip(shown, costs, names, strict=True):
        rate = point.rate
        axes.errorbar(
            cost,
            rate.share * 100,
            [[max(0.0, rate.share - rate.low) * 100], [max(0.0, rate.high - rate.share) * 100]],
            fmt="o",
            capsize=3,
            color=_colour(point.place),
            label=name,
        )
    axes.set_xlabel("MB pulled by a device that has nothing" if what == "pulled" else "ms an invoke, median")
    axes.set_ylabel(f"{said.partition(' ')[0]}, %")
    axes.set_xlim(0, 1.15 * max(*costs, 1e-9))
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.22), fontsize=8)


def _colour(model: int) -> str:
    """A model has the same one in every plot."""
    return _COLOURS[model % len(_COLOURS)]


def _of_the_best(report: Report) -> list[_Drawing]:
    best = report.models[0].evaluation
    accuracy = best.accuracy
    if accuracy is None:
        return []
    name = plotting.shorten([best.model.file])[0]
    table, recalls = plotting.matrix(accuracy), plotting.recalls(accuracy)
    found = [
        _Drawing(_of_reliability(report), 3.4, lambda axes: _reliability(axes, report)),
        _Drawing(
            f"recall of classes, {name}", 1.0 + 0.22 * len(recalls), lambda axes: _recalls(axes, recalls)
        ),
    ]
    if table is not None and len(table.labels) > 1:
        labels = plotting.shorten([plotting.called(label) for label in table.labels], 16)
        found.append(_Drawing(f"confusion, {name}", 3.8, lambda axes: matrix(axes, table.counts, labels)))
    elif accuracy.confused:
        pairs = accuracy.confused[: plotting.ROWS_MAX]
        rows = [
            (f"{plotting.called(pair.truth)} as {plotting.called(pair.named)}", pair.count) for pair in pairs
        ]
        found.append(
            _Drawing(f"worst confusions, {name}", 1.0 + 0.22 * len(rows), lambda a: _counts(a, rows))
        )
    return found


def _of_reliability(report: Report) -> str:
    several = len(report.models) > _RELIABILITIES_MAX
    return f"reliability of the best {_RELIABILITIES_MAX}" if several else "reliability"


def _reliability(axes: Axes, report: Report) -> None:
    axes.plot([0, 1], [0, 1], "--", color=_INK, alpha=0.4, linewidth=1)
    shown = report.models[:_RELIABILITIES_MAX]
    names = plotting.shorten([model.evaluation.model.file for model in shown], 34)
    for model, name, colour in zip(shown, names, _COLOURS, strict=False):
        accuracy = model.evaluation.accuracy
        if accuracy is None:
            continue
        bins = [each for each in accuracy.reliability if each.count]
        confidences, shares = [each.confidence for each in bins], [each.accuracy for each in bins]
        label = f"{name}: ECE {accuracy.calibration_error:.3f}"
        axes.plot(confidences, shares, "-", color=colour, linewidth=1, alpha=0.6)
        # A bin of three pictures is a small thing.
        sizes = [6 + 90 * each.count / accuracy.top1.of for each in bins]
        axes.scatter(confidences, shares, s=sizes, color=colour, label=label)
    axes.set(xlim=(0, 1.02), ylim=(-0.02, 1.04), xlabel="confidence", ylabel="share that is right")
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.21), fontsize=8)


def _recalls(axes: Axes, recalls: Sequence[tuple[str, Any]]) -> None:
    places = range(len(recalls))
    shares = [rate.share * 100 for _, rate in recalls]
    below = [max(0.0, rate.share - rate.low) * 100 for _, rate in recalls]
    above = [max(0.0, rate.high - rate.share) * 100 for _, rate in recalls]
    axes.barh(places, shares, color=_COLOURS[0], alpha=0.8, height=0.7)
    axes.errorbar(shares, places, xerr=[below, above], fmt="none", ecolor=_INK, capsize=2, linewidth=1)
    axes.set_yticks(places, plotting.shorten([plotting.called(label) for label, _ in recalls]))
    axes.set(xlim=(0, 101), xlabel="recall, % (95 % interval)")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def _counts(axes: Axes, rows: Sequence[tuple[str, int]]) -> None:
    places = range(len(rows))
    axes.barh(places, [count for _, count in rows], color=_COLOURS[5], alpha=0.8, height=0.7)
    axes.set_yticks(places, plotting.shorten([name for name, _ in rows], 38))
    axes.set_xlabel("pictures")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def matrix(axes: Axes, counts: NDArray[np.int64], labels: Sequence[str]) -> None:
    """What was taken for what.

    Args:
        axes: to draw on.
        counts: by truth (row) and what was named (column).
        labels: of rows and columns.
    """
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415 - an extra

    # From nothing to colour, so that it lies on any ground.
    fading = LinearSegmentedColormap.from_list("fading", [(0.23, 0.51, 0.77, 0.0), (0.23, 0.51, 0.77, 0.9)])
    axes.pcolormesh(counts / counts.sum(axis=1, keepdims=True).clip(1), cmap=fading, vmin=0, vmax=1)
    if len(labels) <= _NUMBERS_MAX:
        for (truth, named), count in np.ndenumerate(counts):
            if count:
                axes.text(named + 0.5, truth + 0.5, str(count), ha="center", va="center", size=8)
    centres = [place + 0.5 for place in range(len(labels))]
    leaning = 0 if max(map(len, labels)) < 4 else 45
    axes.set_xticks(centres, labels, rotation=leaning, ha="right" if leaning else "center")
    axes.set_yticks(centres, labels)
    axes.set(xlabel="named", ylabel="truth")
    axes.invert_yaxis()
    axes.grid(visible=False)


def _of_layers(report: Report) -> list[_Drawing]:
    if not report.layers:
        return []
    lines = _Drawing("error of each layer", 3.2, lambda axes: _layer_lines(axes, report))
    worst = sorted(report.layers, key=_most_added, reverse=True)
    return [lines, *(_hurting(report, each) for each in worst[:2])]


def _most_added(found: Layers) -> float:
    return max((layer.added for layer in _blamed(found)), default=0.0)


def _blamed(found: Layers) -> list[LayerError]:
    return [layer for layer in found.layers if layer.operator not in layers.SQUASHING]


def _hurting(report: Report, found: Layers) -> _Drawing:
    name = plotting.shorten([report.models[found.model].evaluation.model.file])[0]
    height = 1.0 + 0.22 * min(len(_blamed(found)), plotting.ROWS_MAX)
    return _Drawing(f"layers that hurt, {name}", height, lambda axes: _worst_layers(axes, found))


def _layer_lines(axes: Axes, report: Report) -> None:
    names = plotting.shorten([report.models[each.model].evaluation.model.file for each in report.layers], 34)
    for each, name in zip(report.layers, names, strict=True):
        axes.plot(
            [layer.place for layer in each.layers],
            [layer.error for layer in each.layers],
            color=_colour(each.model),
            label=name,
        )
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="operator, in the order of computing", ylabel="RMS error / spread", ylim=(0, None))
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.24), fontsize=8)


def _worst_layers(axes: Axes, found: Layers) -> None:
    told = dict(zip(found.layers, layers.apart([layer.name for layer in found.layers]), strict=True))
    worst = sorted(_blamed(found), key=lambda layer: -layer.added)[: plotting.ROWS_MAX]
    rows = [_row(layer, told[layer]) for layer in worst]
    axes.barh(range(len(worst)), [max(0.0, layer.added) for layer in worst], color=_COLOURS[1], height=0.7)
    axes.set_yticks(range(len(worst)), plotting.shorten(rows, _ROW_MAX))
    axes.axvline(layers.HURTS, color=_INK, linestyle="--", alpha=0.4, linewidth=1)
    axes.set_xlabel("error that the layer itself adds")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def _row(layer: LayerError, name: str) -> str:
    """With the operator where there is room; a name that is long says it mostly itself."""
    row = f"{layer.place} {layer.operator} {name}"
    return row if len(row) <= _ROW_MAX else f"{layer.place} {name}"
