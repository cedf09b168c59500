"""Asks models about pictures, in turn, so that a busy moment of the machine hits them all."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from agent.core.inference import contract, quant, scores
from agent.core.inference.tensors import Preparer, Tensor
from agent.core.tflite import flatmodel
from agent.ports.runtime import Model, Runtime
from agent.wire.documents import Dtype, InputContract, OutputContract
from agent.wire.errors import Malformed
from deploy.core.factory.evaluation.seen import TOP, Candidate, Seen
from deploy.core.refusal import Refused

Shown = NDArray[np.generic]
"""Pixels in bytes; or the real numbers of the model's input, without the axis of the batch."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A loaded model with all that is needed to ask it."""

    file: str
    model: Model
    input: InputContract
    output: OutputContract
    preparer: Preparer
    places: NDArray[np.int64]
    """Of each of its classes in the shared list."""

    def tensor(self, shown: Shown) -> Tensor:
        """
        Raises:
            Refused: these numbers are not of the input's shape.
        """
        if shown.dtype == np.uint8:
            return self.preparer.prepare(np.asarray(shown, np.uint8))
        form = self.model.input
        if shown.size != np.prod(form.shape) or shown.shape != form.shape[-shown.ndim :]:
            raise Refused(
                f"{self.file} takes {' x '.join(map(str, form.shape[1:]))} numbers, and the data have "
                f"{' x '.join(map(str, shown.shape))}: give such arrays, or pictures as bytes (uint8)"
            )
        if form.quantization is not None and form.dtype not in {Dtype.FLOAT32, Dtype.FLOAT16}:
            return quant.quantize(np.asarray(shown, np.float32), form.quantization, form.dtype).reshape(
                form.shape
            )
        return shown.astype(form.dtype.value).reshape(form.shape)


def ready(runtime: Runtime, candidate: Candidate, file: str, content: bytes, threads: int) -> Ready:
    """
    Raises:
        Refused: the file is no image classifier, or its tensors are not as it declares.
        ModelUnloadable: the runtime refuses it.
    """
    try:
        taken, given = contract.infer(flatmodel.examine(content), candidate.fit)
    except Malformed as error:
        raise Refused(f"{file}: {error}") from error
    model = runtime.load(content, threads=threads)
    taken = replace(taken, normalization=candidate.normalization or taken.normalization)
    given = replace(given, activation=candidate.activation or given.activation)
    fault = contract.compare(taken, given, model.input, model.output)
    if fault is not None:
        raise Refused(f"{file}: {fault}")
    places = np.asarray(candidate.classes, np.int64)
    return Ready(file, model, taken, given, Preparer(taken, model.input), places)


@dataclass(frozen=True, slots=True)
class _Said:
    scores: scores.Scores
    finite: bool
    invoke_ms: float
    whole_ms: float


def ask(
    models: Sequence[Ready], shown: Iterable[tuple[Shown, int | None]], reference: int | None, classes: int
) -> Iterator[tuple[Seen, ...]]:
    """What each model says of each picture, with its true class.

    Args:
        models: they take turns, and another one begins with each picture.
        shown: what is looked at, and its true class in the shared list.
        reference: whose scores the others are held against.
        classes: in the shared list.
    """
    for number, (picture, truth) in enumerate(shown):
        said: dict[int, _Said] = {}
        for turn in range(len(models)):
            place = (number + turn) % len(models)
            said[place] = _say(models[place], picture)
        held = None if reference is None else _spread(models[reference], said[reference], classes)
        yield tuple(_seen(model, said[place], truth, held, classes) for place, model in enumerate(models))


def _say(ready: Ready, picture: Shown) -> _Said:
    began = perf_counter_ns()
    tensor = ready.tensor(picture)
    prepared = perf_counter_ns()
    output = ready.model.invoke(tensor)
    invoked = perf_counter_ns()
    found = scores.scores(output, ready.output, ready.model.output)
    done = perf_counter_ns()
    return _Said(found, scores.finite(output), (invoked - prepared) / 1e6, (done - began) / 1e6)


def _seen(ready: Ready, said: _Said, truth: int | None, held: scores.Scores | None, classes: int) -> Seen:
    found = np.where(np.isfinite(said.scores), said.scores, 0.0)
    own = np.flatnonzero(ready.places == truth) if truth is not None else np.empty(0, np.int64)
    return Seen(
        top=tuple((int(ready.places[index]), score) for index, score in scores.top(found, TOP)),
        rank=_rank(found, int(own[0])) if own.size else None,
        truth_score=float(found[own[0]]) if own.size else 0.0,
        squares=float(np.square(found).sum()),
        finite=said.finite,
        distance=_distance(held, _spread(ready, said, classes)),
        invoke_ms=said.invoke_ms,
        whole_ms=said.whole_ms,
    )


def _rank(found: scores.Scores, own: int) -> int:
    """As `scores.top` orders them: among equal scores the lower class is first."""
    better, equal = found > found[own], found == found[own]
    return int(better.sum() + equal[:own].sum())


def _spread(ready: Ready, said: _Said, classes: int) -> scores.Scores:
    """The scores over the shared list; NaN for classes that the model lacks."""
    spread = np.full(classes, np.nan)
    spread[ready.places] = np.where(np.isfinite(said.scores), said.scores, 0.0)
    return spread


def _distance(held: scores.Scores | None, own: scores.Scores) -> float:
    if held is None:
        return 0.0
    both = np.isfinite(held) & np.isfinite(own)
    return float(np.abs(held[both] - own[both]).max()) if both.any() else 0.0
