"""What an evaluation found: the document that travels with a release.

Nothing in an `Evaluation` depends on the day or the machine's speed, so that the same model, data and runtime
give the same bytes. What was measured in milliseconds stands beside it.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct

from agent.wire.documents import Count, Fit, HexDigest, Share

SCHEMA: Final = 1
"""The major of these documents: they lie on a desk, and no device reads them."""


class Rate(Struct, frozen=True, kw_only=True):
    """A share of pictures with its 95 % interval (Wilson)."""

    count: Count
    of: Count
    share: Share
    low: Share
    high: Share


class ClassFigures(Struct, frozen=True, kw_only=True):
    label: str
    support: Count
    """Pictures of this class."""
    named: Count
    """Pictures that the model named so."""
    right: Count

    @property
    def recall(self) -> float:
        return self.right / self.support if self.support else 0.0

    @property
    def precision(self) -> float:
        return self.right / self.named if self.named else 0.0


class Confused(Struct, frozen=True, kw_only=True):
    """Pictures of one class that the model took for another."""

    truth: str
    named: str
    count: Count


class Reliability(Struct, frozen=True, kw_only=True):
    """Of the predictions whose confidence lies in one bin."""

    above: Share
    upto: Share
    count: Count
    confidence: float
    accuracy: Share


class Accuracy(Struct, frozen=True, kw_only=True):
    """Against the labels of the data."""

    top1: Rate
    top5: Rate | None = None
    """None: there are no more than five classes."""
    calibration_error: float
    """Expected calibration error over 15 bins of equal width; 0 is best."""
    brier: float
    """Mean squared distance of the scores from the truth, over all classes: 0 is best, 2 the worst."""
    classes: tuple[ClassFigures, ...]
    """Those that occur in the data, or were named, in the order of the labels."""
    confused: tuple[Confused, ...]
    """The most frequent first."""
    reliability: tuple[Reliability, ...]


class Beside(Struct, frozen=True, kw_only=True):
    """A model beside the reference model on the same pictures, with or without labels."""

    reference: HexDigest
    same_first: Rate
    """Both name the same class first."""
    score_distance_mean: float
    """Over pictures: the largest distance of the two scores of a class."""
    score_distance_max: float


class ModelSaid(Struct, frozen=True, kw_only=True):
    """Which model, and what computed it."""

    file: str
    digest: HexDigest
    length: Count
    """Bytes on disk."""
    pulled: Count
    """Bytes that a device pulls: packed by zstandard, chunk by chunk where that is shorter."""
    arithmetic: str
    """As the file has it: integer, float, mixed."""
    runtime: str
    delegate: str
    threads: Count
    fit: Fit
    tensors: bool = False
    """The data were the model's own input numbers and not pictures."""


class Evaluation(Struct, frozen=True, kw_only=True):
    """One model over one set of data."""

    schema: int = SCHEMA
    tool: str
    """Name and version of what evaluated."""
    data: HexDigest
    """Over the files and their labels, in their order."""
    pictures: Annotated[int, Meta(ge=1)]
    model: ModelSaid
    accuracy: Accuracy | None
    """None: the data have no labels."""
    confidence_mean: float
    """Mean score of the first class."""
    not_finite: Count
    """Pictures that the model answered with NaN or infinity; such an answer is never right."""
    beside: Beside | None = None


class Latency(Struct, frozen=True, kw_only=True):
    """Milliseconds on the machine that evaluated, the models taking turns picture by picture."""

    invoke_p50_ms: float
    invoke_p95_ms: float
    whole_p50_ms: float
    """Preparing the picture and reading the scores besides."""
    whole_p95_ms: float


class Pair(Struct, frozen=True, kw_only=True):
    """Two models on the same pictures: which one is better, if that can be told."""

    first: int
    """Its place among the models."""
    second: int
    only_first_right: Count
    only_second_right: Count
    difference: float
    """Share of pictures by which the first is better."""
    low: float
    """The interval that holds with 95 % together with those of the other pairs."""
    high: float
    p: Share
    """McNemar's exact test, adjusted for the number of comparisons (Holm)."""
    pictures_needed: int | None
    """To show this difference, if it is the true one; None where there is none."""
    verdict: str


class LayerError(Struct, frozen=True, kw_only=True):
    """One tensor in the quantized model beside the same one in the reference."""

    name: str
    operator: str
    place: int
    """Among the reference's operators that do more than to write numbers in another type."""
    error: float
    """Root mean square of the difference over the standard deviation of the reference's numbers: of the whole
    tensor, or of its median channel where that is worse.
    """
    sqnr_db: float | None
    """Power of the reference's numbers over that of the difference; None where they are equal."""
    clipped: Share
    """Share of the reference's numbers outside the range that the quantized tensor can express."""
    added: float
    """`error` less the largest of the tensors that it is computed from, each counted as 1 at most: what this
    operator itself does.
    """


class Layers(Struct, frozen=True, kw_only=True):
    model: int
    """Its place among the models."""
    pictures: Count
    matched_by: str
    """`name`, or `order of operators`."""
    unmatched: Count
    """Of the reference's layers: not in the quantized model under any name."""
    layers: tuple[LayerError, ...]
    """In the order in which they are computed."""
    advice: tuple[str, ...]
    """What to try, the layer that hurts most first."""


class Model(Struct, frozen=True, kw_only=True):
    evaluation: Evaluation
    latency: Latency


class Report(Struct, frozen=True, kw_only=True):
    """Everything that one run of `shoal evaluate` found."""

    schema: int = SCHEMA
    models: tuple[Model, ...]
    """The best first: by top-1 where there are labels, else by agreement with the reference."""
    reference: int | None
    """Its place among the models."""
    pairs: tuple[Pair, ...]
    layers: tuple[Layers, ...] = ()
    remarks: tuple[str, ...] = ()


def figures(evaluation: Evaluation) -> dict[str, float]:
    """What fits into a release's manifest: a number a name."""
    found = {"pictures": float(evaluation.pictures), "confidence_mean": evaluation.confidence_mean}
    if evaluation.accuracy is not None:
        accuracy = evaluation.accuracy
        for name, rate in (("top1", accuracy.top1), ("top5", accuracy.top5)):
            if rate is not None:
                found |= {name: rate.share, f"{name}_low": rate.low, f"{name}_high": rate.high}
        found |= {"calibration_error": accuracy.calibration_error, "brier": accuracy.brier}
    if evaluation.beside is not None:
        beside = evaluation.beside
        found |= {
            "agreement": beside.same_first.share,
            "agreement_low": beside.same_first.low,
            "agreement_high": beside.same_first.high,
            "score_distance_max": beside.score_distance_max,
        }
    return found
