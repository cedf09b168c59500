"""From what models said of pictures to the figures of an evaluation."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from agent.wire.topics import Digest
from deploy.core.factory.evaluation import statistics
from deploy.core.factory.evaluation.document import (
    Accuracy,
    Beside,
    ClassFigures,
    Confused,
    Evaluation,
    Latency,
    ModelSaid,
    Rate,
    Reliability,
)
from deploy.core.factory.evaluation.seen import TOP, Seen

CONFUSED_MAX: Final = 100


def evaluation(
    model: ModelSaid,
    seen: Sequence[Seen],
    truths: Sequence[int | None],
    labels: Sequence[str],
    about: tuple[str, Digest],
) -> Evaluation:
    """
    Args:
        model: which one.
        seen: its answers.
        truths: the true class of each picture; all None where the data have no labels.
        labels: the shared list.
        about: name and version of this program, and the digest of the data.
    """
    tool, data = about
    labelled = [place for place, truth in enumerate(truths) if truth is not None]
    return Evaluation(
        tool=tool,
        data=data,
        pictures=len(seen),
        model=model,
        accuracy=_accuracy([(seen[place], truths[place] or 0) for place in labelled], labels)
        if labelled
        else None,
        confidence_mean=_mean([confidence(each) for each in seen]),
        not_finite=sum(not each.finite for each in seen),
    )


def rate(count: int, of: int) -> Rate:
    interval = statistics.wilson(count, of)
    return Rate(count=count, of=of, share=count / of if of else 0.0, low=interval.low, high=interval.high)


def right(seen: Seen) -> bool:
    return seen.finite and seen.rank == 0


def confidence(seen: Seen) -> float:
    """The score of the class that it names."""
    return seen.top[0][1] if seen.finite and seen.top else 0.0


def first(seen: Seen) -> int | None:
    return seen.top[0][0] if seen.finite and seen.top else None


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _accuracy(answers: Sequence[tuple[Seen, int]], labels: Sequence[str]) -> Accuracy:
    seen = [each for each, _ in answers]
    bins = statistics.reliability(
        np.array([confidence(each) for each in seen]), np.array([right(each) for each in seen])
    )
    return Accuracy(
        top1=rate(sum(map(right, seen)), len(seen)),
        top5=rate(sum(map(_among_five, seen)), len(seen)) if len(labels) > TOP else None,
        calibration_error=statistics.calibration_error(bins),
        brier=_mean([_brier(each) for each in seen]),
        classes=_classes(answers, labels),
        confused=_confused(answers, labels),
        reliability=tuple(
            Reliability(
                above=each.above,
                upto=each.upto,
                count=each.count,
                confidence=each.confidence,
                accuracy=each.accuracy,
            )
            for each in bins
        ),
    )


def _among_five(seen: Seen) -> bool:
    return seen.finite and seen.rank is not None and seen.rank < TOP


def _brier(seen: Seen) -> float:
    """Sum over classes of (score - truth)^2; an answer that is no number is as wrong as can be.

    Source: Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    return seen.squares - 2 * seen.truth_score + 1 if seen.finite else 2.0


def _classes(answers: Sequence[tuple[Seen, int]], labels: Sequence[str]) -> tuple[ClassFigures, ...]:
    support = Counter(truth for _, truth in answers)
    named = Counter(first(seen) for seen, _ in answers)
    hit = Counter(truth for seen, truth in answers if right(seen))
    return tuple(
        ClassFigures(label=label, support=support[place], named=named[place], right=hit[place])
        for place, label in enumerate(labels)
        if support[place] or named[place]
    )


def _confused(answers: Sequence[tuple[Seen, int]], labels: Sequence[str]) -> tuple[Confused, ...]:
    pairs = Counter((truth, first(seen)) for seen, truth in answers if not right(seen))
    ordered = sorted(((-count, truth, said) for (truth, said), count in pairs.items() if said is not None))
    return tuple(
        Confused(truth=labels[truth], named=labels[said], count=-count)
        for count, truth, said in ordered[:CONFUSED_MAX]
    )


def beside(reference: Digest, held: Sequence[Seen], seen: Sequence[Seen]) -> Beside:
    """
    Args:
        reference: the other model's digest.
        held: its answers, to the same pictures.
        seen: the model's own.
    """
    same = sum(
        first(own) is not None and first(own) == first(other) for own, other in zip(seen, held, strict=True)
    )
    distances = [each.distance for each in seen]
    return Beside(
        reference=reference,
        same_first=rate(same, len(seen)),
        score_distance_mean=_mean(distances),
        score_distance_max=max(distances, default=0.0),
    )


def latency(seen: Sequence[Seen]) -> Latency:
    invoke, whole = (
        np.array([each.invoke_ms for each in seen]),
        np.array([each.whole_ms for each in seen]),
    )
    found: Mapping[str, float] = {
        f"{name}_{said}_ms": round(statistics.quantile(values, share), 3)
        for name, values in (("invoke", invoke), ("whole", whole))
        for said, share in (("p50", 0.5), ("p95", 0.95))
    }
    return Latency(**found)
