"""Computes what golden frames must give, with the very code that devices run."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.camera.frames import Pixels
from agent.core.inference import scores
from agent.core.inference.golden import compare
from agent.core.inference.tensors import Preparer
from agent.core.update import trial
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


Golden = Sequence[tuple[GoldenFrame, GoldenCase]]
"""Frames, and what is expected of each."""


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


def choose(runtime: Runtime, reference: Examined, pictures: Sequence[Pixels]) -> tuple[int, ...]:
    """Which of the pictures become golden frames (see `deploy.core.release.golden.choose`).

    Raises:
        Refused: the model answers a picture with NaN or infinity.
        ModelUnloadable: the runtime refuses the model.
    """
    if len(pictures) <= golden.FRAMES_MAX:
        return tuple(range(len(pictures)))
    model = runtime.load(reference.file.content, threads=1)
    prepare = Preparer(reference.input, model.input).prepare
    return golden.choose([_scores(model, reference.output, prepare(pixels)) for pixels in pictures])


def check(runtime: Runtime, variant: Examined, truth: str, cases: Golden, tolerance: float) -> None:
    """
    Args:
        runtime: computes on the CPU.
        variant: for the CPU.
        truth: the file that computed what is expected.
        cases: the frames and what is expected of them.
        tolerance: how far a score may be off.

    Raises:
        Refused: the variant's answer to a frame is none that a device would accept.
        ModelUnloadable: the runtime refuses the model.
    """
    model = runtime.load(variant.file.content, threads=1)
    prepare = Preparer(variant.input, model.input).prepare
    for number, (frame, case) in enumerate(cases, 1):
        found = compare(case, model.invoke(prepare(frame.pixels)), variant.output, model.output)
        fault = trial.case_fault(found, tolerance) if found.finite else "it is NaN or infinity"
        if fault is not None:
            where = f"golden frame {number} of {len(cases)}"
            raise Refused(
                f"{variant.file.name} and {truth} disagree on {where}: {fault}; convert it anew with better "
                "representative data, or allow more with --tolerance"
            )


def _expected(model: Model, contract: OutputContract, tensor: scores.Tensor) -> tuple[tuple[int, float], ...]:
    return golden.expect(_scores(model, contract, tensor))


def _scores(model: Model, contract: OutputContract, tensor: scores.Tensor) -> scores.Scores:
    output = model.invoke(tensor)
    if not scores.finite(output):
        raise Refused("the model answers a golden frame with NaN or infinity: no device would accept it")
    return scores.scores(output, contract, model.output)
