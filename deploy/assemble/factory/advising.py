"""From a source as the operator names it to what should be done with it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from agent.wire.errors import Malformed
from deploy.adapters import desk
from deploy.adapters.factory_process import FactoryProcess
from deploy.assemble.factory import converting
from deploy.core.factory.advice import choosing, judging
from deploy.core.factory.advice.choosing import Target
from deploy.core.factory.advice.document import Advised
from deploy.core.factory.advice.judging import Made, Question
from deploy.core.factory.advice.words import Describe, Described, Tried
from deploy.core.factory.conversion.words import Quantize
from deploy.core.factory.died import FactoryDied
from deploy.core.factory.tflite import dataflow
from deploy.core.factory.words import Look, Progress
from deploy.core.refusal import Refused
from deploy.ports.factory import Factory, OnProgress

_MODES: Final = (Quantize.NONE, Quantize.DYNAMIC, Quantize.FLOAT16, Quantize.INT8)
_MODES_OF_EDGETPU: Final = (Quantize.NONE, Quantize.INT8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    source: str
    target: Target
    budget_ms: float | None = None
    representative: tuple[str, ...] = ()
    look: Look
    shapes: dict[str, tuple[int, ...]]


def advise(request: Request, on_progress: OnProgress, factory: Factory | None = None) -> Advised:
    """
    Raises:
        Refused: the source cannot be opened, or the data is not what it takes.
        FactoryDied: the process ended before it had opened the source.
    """
    with tempfile.TemporaryDirectory(prefix="shoal-advise-") as folder:
        order = Describe(
            source=converting.source(request.source),
            folder=folder,
            modes=_MODES_OF_EDGETPU if request.target is Target.EDGETPU else _MODES,
            representative=tuple(map(converting.representative, request.representative)),
            look=request.look,
            shapes=request.shapes,
            edgetpu=request.target is not Target.CPU,
        )
        described = _described(factory or FactoryProcess(), order, on_progress)
        files = {tried.mode: _made(tried) for tried in described.tried if tried.file}
        foreign = dataflow.read(desk.read(Path(described.foreign))) if described.foreign else None
        question = Question(request.source, request.target, request.budget_ms, order)
        return judging.advise(question, described, files, foreign)


def _made(tried: Tried) -> Made:
    try:
        return judging.made(tried, desk.read(Path(tried.file)))
    except Malformed as error:
        raise Refused(f"{tried.file}: {error}") from error


def _described(factory: Factory, order: Describe, on_progress: OnProgress) -> Described:
    """A mode that the converter's process dies of is left out, and said to be deadly."""
    deadly: list[Tried] = []
    at: Progress | None = None

    def heard(progress: Progress) -> None:
        nonlocal at
        at = progress
        on_progress(progress)

    while True:
        try:
            answer = factory.carry_out(order, heard)
        except FactoryDied as died:
            mode = next(
                (mode for mode in order.modes if at is not None and at.what == choosing.trying(mode)), None
            )
            if mode is None:
                raise
            deadly.append(Tried(mode=mode, refusal=str(died)))
            order = replace(order, modes=tuple(each for each in order.modes if each is not mode))
            continue
        assert isinstance(answer, Described), answer
        return replace(answer, tried=(*answer.tried, *deadly))
