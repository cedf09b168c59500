"""A report as a person reads it in a terminal."""

from collections.abc import Sequence

from deploy.core.factory.evaluation.document import Model, Rate, Report

_PAIRS_MAX = 10
_MODELS_FEW = 3
"""All pairs of them are worth reading; of more, those with the best."""


def table(report: Report) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row a model."""
    headings, accuracy = ["model"], report.models[0].evaluation.accuracy
    if accuracy is not None:
        headings += ["top-1 (95 %)", *([] if accuracy.top5 is None else ["top-5"]), "ECE", "Brier"]
    if report.reference is not None:
        headings += ["agrees", "score distance"]
    headings += ["confidence", "bytes", "pulled", "invoke p50/p95 ms"]
    return headings, [_row(report, place) for place in range(len(report.models))]


def _row(report: Report, place: int) -> list[str]:
    model = report.models[place]
    found, accuracy = model.evaluation, model.evaluation.accuracy
    row = [found.model.file]
    if accuracy is not None:
        row.append(interval(accuracy.top1))
        row += [] if accuracy.top5 is None else [percent(accuracy.top5.share)]
        row += [f"{accuracy.calibration_error:.3f}", f"{accuracy.brier:.3f}"]
    if report.reference is not None:
        row += _beside(model, is_reference=place == report.reference)
    latency = model.latency
    return [
        *row,
        f"{found.confidence_mean:.2f}",
        f"{found.model.length:,}",
        f"{found.model.pulled:,}",
        f"{latency.invoke_p50_ms:.1f} / {latency.invoke_p95_ms:.1f}",
    ]


def _beside(model: Model, *, is_reference: bool) -> Sequence[str]:
    beside = model.evaluation.beside
    if is_reference or beside is None:
        return "reference", ""
    return interval(
        beside.same_first
    ), f"{beside.score_distance_mean:.3f}, max {beside.score_distance_max:.3f}"


def pictures(count: int) -> str:
    return f"{count:,} picture{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def interval(rate: Rate) -> str:
    return f"{percent(rate.share)} ({rate.low * 100:.1f} to {rate.high * 100:.1f})"


def sentences(report: Report) -> list[str]:
    """What the table means."""
    few = len(report.models) <= _MODELS_FEW
    said = [pair.verdict for pair in report.pairs if few or 0 in {pair.first, pair.second}][:_PAIRS_MAX]
    if len(report.pairs) > len(said):
        said.append(f"{len(report.pairs) - len(said)} more comparisons, not with the first, are in --json")
    return [*said, *_measured(report)]


def _measured(report: Report) -> list[str]:
    first = report.models[0].evaluation
    runtimes = sorted({f"{m.evaluation.model.runtime}" for m in report.models})
    threads = f"{first.model.threads} thread{'' if first.model.threads == 1 else 's'}"
    on = f"{pictures(first.pictures)} on {' and '.join(runtimes)}, {threads}"
    return [f"{on}, the models in turn; times are this machine's"]
