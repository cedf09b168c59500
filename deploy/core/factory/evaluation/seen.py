"""Models asked about pictures, in a process of its own: a damaged file can end it.

The order names classes by their place in one list that all models share (see `naming`), and what comes back
is what figures need of each answer, not the scores of a thousand classes.
"""

from typing import Annotated

from msgspec import Meta, Struct

from agent.core.serving.delegate import RuntimeChoice
from agent.wire.documents import Activation, Count, Fit, Normalization
from deploy.core.factory.evaluation.document import Report

TOP = 5


class Candidate(Struct, frozen=True, kw_only=True):
    """A model file that is to answer, on one runtime."""

    place: str
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    classes: tuple[int, ...]
    """For each class of the model, its place in the shared list."""
    fit: Fit = Fit.CENTRE_CROP
    normalization: Normalization | None = None
    activation: Activation | None = None


class Picture(Struct, frozen=True, array_like=True):
    place: str
    """An absolute path."""
    truth: int | None
    """Its class in the shared list; None: nobody says."""


class PictureFiles(Struct, frozen=True, kw_only=True, tag="files"):
    pictures: tuple[Picture, ...]


class ArrayFile(Struct, frozen=True, kw_only=True, tag="array"):
    """An .npz file: `x` are pictures of bytes, or the real numbers that the model's input stands for."""

    place: str
    rows: tuple[Annotated[int, Meta(ge=0)], ...]
    truths: tuple[int | None, ...]
    """One a row that is named."""


Shown = PictureFiles | ArrayFile


class Evaluate(Struct, frozen=True, kw_only=True, tag="evaluate"):
    candidates: tuple[Candidate, ...]
    shown: Shown
    reference: int | None = None
    """The place of a candidate that the others are held against."""
    threads: Annotated[int, Meta(ge=1, le=64)] = 1


class Seen(Struct, frozen=True, array_like=True):
    """What a model said of one picture. Scores are probabilities."""

    top: tuple[tuple[int, float], ...]
    """The best classes, best first, at most five."""
    rank: int | None
    """Of the true class among the model's own, 0 is first; None: no truth, or the model lacks the class."""
    truth_score: float
    squares: float
    """The sum of the squares of all scores."""
    finite: bool
    """Where not, nothing else in here counts."""
    distance: float
    """The largest distance from the reference's score of a class; 0 without a reference."""
    invoke_ms: float
    whole_ms: float


class Asked(Struct, frozen=True, kw_only=True):
    """A model's answers, one a picture, in the order of the pictures."""

    runtime: str
    delegate: str
    seen: tuple[Seen, ...]


class Evaluated(Struct, frozen=True, kw_only=True, tag="evaluated"):
    asked: tuple[Asked, ...]
    """One a candidate."""
    passed_over: tuple[str, ...] = ()
    """Pictures that could not be read, each with its reason."""
    used: tuple[Count, ...]
    """Places of the pictures that were answered, in the order given."""


class Compare(Struct, frozen=True, kw_only=True, tag="compare-layers"):
    """Every tensor of a quantized model beside the reference's."""

    reference: Candidate
    quantized: Candidate
    shown: Shown


class TensorError(Struct, frozen=True, kw_only=True):
    """See `document.LayerError`."""

    name: str
    operator: str
    place: int
    sources: tuple[str, ...]
    """The tensors that it is computed from, by name in the reference."""
    error: float
    sqnr_db: float | None
    clipped: float
    per_tensor_weights: bool
    """Its operator has weights, and one scale for all their channels."""


class Compared(Struct, frozen=True, kw_only=True, tag="compared-layers"):
    matched_by: str
    unmatched: int
    pictures: int
    tensors: tuple[TensorError, ...]


class Draw(Struct, frozen=True, kw_only=True, tag="draw"):
    """The plots of a report."""

    report: Report
    png: str | None = None
    """Where the picture of them all is to be written; None: each as SVG in the answer."""


class Plot(Struct, frozen=True, kw_only=True):
    title: str
    svg: str
    """An element for a page: lines and letters are of the page's own colour."""


class Drawn(Struct, frozen=True, kw_only=True, tag="drawn"):
    plots: tuple[Plot, ...] = ()
    """None, where a picture was written."""
