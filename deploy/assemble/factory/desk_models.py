"""Models asked about pictures on the operator's own machine: the factory's child carries this out."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from agent.adapters.runtime_tflite import open_runtime
from agent.wire.errors import PortError
from deploy.adapters import desk, evaluation_data
from deploy.adapters.evaluation_data import Rows
from deploy.core.factory.evaluation.seen import (
    ArrayFile,
    Asked,
    Candidate,
    Evaluate,
    Evaluated,
    PictureFiles,
    Seen,
    Shown,
)
from deploy.core.factory.words import Progress
from deploy.core.refusal import Refused
from deploy.flows import evaluate
from deploy.flows.evaluate import Ready
from deploy.ports.factory import OnProgress

_TOLD_EVERY: Final = 50


def carry_out(order: Evaluate, tell: OnProgress) -> Evaluated:
    """
    Raises:
        Refused: a model cannot be evaluated here, or no picture could be read.
    """
    ready = [open_candidate(candidate, order.threads, tell) for candidate in order.candidates]
    showing = Showing(order.shown)
    classes = 1 + max(max(candidate.classes) for candidate in order.candidates)
    _warm_up(ready, showing, tell)
    seen: list[tuple[Seen, ...]] = []
    for each in evaluate.ask(ready, showing.pictures(), order.reference, classes):
        seen.append(each)
        if len(seen) % _TOLD_EVERY == 0:
            tell(Progress(what="pictures", done=len(seen), total=showing.total))
    if not seen:
        raise Refused(f"no picture could be read: {showing.passed_over[0]}")
    return Evaluated(
        asked=tuple(
            Asked(runtime=each.model.runtime, delegate=each.model.delegate, seen=answers)
            for each, answers in zip(ready, zip(*seen, strict=True), strict=True)
        ),
        passed_over=tuple(showing.passed_over),
        used=tuple(showing.used),
    )


def open_candidate(candidate: Candidate, threads: int, tell: OnProgress) -> Ready:
    """
    Raises:
        Refused: the file cannot be loaded; the sentence names it.
    """
    path = Path(candidate.place)
    tell(Progress(what=f"loading {path.name}"))
    try:
        return evaluate.ready(open_runtime(candidate.runtime), candidate, path.name, desk.read(path), threads)
    except PortError as error:
        raise Refused(f"{path.name}: {error}") from error


def _warm_up(models: Sequence[Ready], showing: "Showing", tell: OnProgress) -> None:
    """The first invocation is the slowest, and the one that a damaged file dies of."""
    for ready in models:
        tell(Progress(what=f"running {ready.file}"))
        try:
            ready.model.invoke(ready.tensor(showing.blank))
        except PortError as error:
            raise Refused(f"{ready.file}: {error}") from error


class Showing:
    """What is looked at, one after the other; what cannot be read is passed over and remembered."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self.passed_over: list[str] = []
        self.used: list[int] = []

    @cached_property
    def _rows(self) -> Rows:
        assert isinstance(self._shown, ArrayFile)
        return evaluation_data.rows(self._shown.place)

    @property
    def blank(self) -> evaluate.Shown:
        """Something of the kind that is looked at."""
        if isinstance(self._shown, ArrayFile):
            return self._rows[self._shown.rows[0]]
        return np.zeros((2, 2, 3), np.uint8)

    @property
    def total(self) -> int:
        match self._shown:
            case PictureFiles(pictures=pictures):
                return len(pictures)
            case ArrayFile(rows=rows):
                return len(rows)

    def pictures(self) -> Iterator[tuple[evaluate.Shown, int | None]]:
        match self._shown:
            case PictureFiles(pictures=pictures):
                for number, picture in enumerate(pictures):
                    try:
                        pixels = np.asarray(desk.picture(Path(picture.place)))
                    except Refused as error:
                        self.passed_over.append(str(error))
                        continue
                    self.used.append(number)
                    yield pixels, picture.truth
            case ArrayFile(rows=rows, truths=truths):
                for number, (row, truth) in enumerate(zip(rows, truths, strict=True)):
                    self.used.append(number)
                    yield self._rows[row], truth
