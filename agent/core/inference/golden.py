"""What a model answers to a golden case, as the proof needs it: the same on desk and device."""

import numpy as np

from agent.core.inference import scores
from agent.core.inference.contract import TensorForm
from agent.core.inference.scores import Tensor
from agent.wire.documents import GoldenCase, OutputContract
from agent.wire.ipc import GoldenFinding


def compare(case: GoldenCase, output: Tensor, contract: OutputContract, tensor: TensorForm) -> GoldenFinding:
    """
    Args:
        case: what was expected; a class beyond those of the model gets no number.
        output: what the model returned.
        contract: what its numbers are.
        tensor: the loaded model's output.
    """
    found = scores.scores(output, contract, tensor)
    return GoldenFinding(
        expected=case.expected,
        found_top=int(np.argmax(found)),
        found=tuple(
            float(found[index]) if 0 <= index < found.size else float("nan") for index, _ in case.expected
        ),
        finite=scores.finite(output),
    )
