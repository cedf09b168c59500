"""What a classifier says to pictures on the runtimes of this desk, by the device's own tensors and scores."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from agent.adapters.runtime_tflite import open_runtime
from agent.core.camera.frames import Pixels
from agent.core.inference import contract, scores
from agent.core.inference.tensors import Preparer
from agent.core.serving.delegate import RuntimeChoice
from agent.core.tflite import flatmodel
from agent.ports.runtime import Runtime
from agent.wire.errors import ModelUnloadable, RuntimeMissing
from deploy.core.factory.words import Look

THREADS = 2


@dataclass(frozen=True, slots=True)
class Runs:
    """Whether a runtime takes the model."""

    runtime: str
    """Name and version."""
    fault: str | None


def classes(content: bytes, pictures: Iterable[Pixels], look: Look) -> NDArray[np.int64]:
    """The first class of each picture (height x width x 3), on the runtime that devices have by default.

    Raises:
        Malformed: the model is no image classifier.
        ModelUnloadable: the runtime does not take it.
    """
    return _classes(open_runtime(), content, pictures, look)


def runs_on(content: bytes, picture: Pixels, look: Look) -> tuple[Runs, ...]:
    """Each runtime that is installed here, with what came of one picture."""
    return tuple(
        _runs(runtime, content, picture, look)
        for choice in (RuntimeChoice.LITERT, RuntimeChoice.TFLITE)
        for runtime in _installed(choice)
    )


def _installed(choice: RuntimeChoice) -> list[Runtime]:
    try:
        return [open_runtime(choice)]
    except RuntimeMissing:
        return []


def _runs(runtime: Runtime, content: bytes, picture: Pixels, look: Look) -> Runs:
    try:
        _classes(runtime, content, [picture], look)
    except ModelUnloadable as error:
        return Runs(runtime.name, str(error))
    return Runs(runtime.name, None)


def _classes(runtime: Runtime, content: bytes, pictures: Iterable[Pixels], look: Look) -> NDArray[np.int64]:
    taken, given = contract.infer(flatmodel.examine(content), look.fit)
    model = runtime.load(content, threads=THREADS)
    prepared = Preparer(replace(taken, normalization=look.normalization), model.input)
    found = (
        scores.top(scores.scores(model.invoke(prepared.prepare(pixels)), given, model.output), 1)[0][0]
        for pixels in pictures
    )
    return np.fromiter(found, np.int64)
