"""Computes what golden frames must give, with the very code that devices run."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.camera.frames import Pixels
from agent.core.inference import scores
from agent.core.inference.tensors import Preparer
from agent.ports.runtime import Model, Runtime
from agent.wire.documents import GoldenCase, GoldenSet, OutputContract
from deploy.core.refusal import Refused
from deploy.core.release import golden
from deploy.core.release.variants import Examined


@dataclass(frozen=True, slots=True)
class GoldenFrame:
    """A picture as pixels and as the PNG that holds exactly these."""

    pixels: Pixels
    png: bytes


def golden_set(runtime: Runtime, reference: Examined, frames: Sequence[GoldenFrame]) -> GoldenSet:
    """The frames with the scores that the reference model gives on the CPU.

    Raises:
        Refused: the model answers a frame with NaN or infinity.
        ModelUnloadable: the runtime refuses the model.
    """
    model = runtime.load(reference.file.content, threads=1)
    prepare = Preparer(reference.input, model.input).prepare
    return GoldenSet(
        cases=tuple(
            GoldenCase(png=frame.png, expected=_expected(model, reference.output, prepare(frame.pixels)))
            for frame in frames
        )
    )


def _expected(model: Model, contract: OutputContract, tensor: scores.Tensor) -> tuple[tuple[int, float], ...]:
    output = model.invoke(tensor)
    if not scores.finite(output):
        raise Refused("the model answers a golden frame with NaN or infinity: no device would accept it")
    return golden.expect(scores.scores(output, contract, model.output))
