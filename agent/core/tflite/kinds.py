"""What a model is that is no classifier, as far as its operators and tensors tell."""

from collections.abc import Collection, Sequence
from typing import Final, Protocol


class Shaped(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...


_DETECTION: Final = "TFLite_Detection_PostProcess"
"""The custom operator at the end of an SSD: boxes, classes, scores, and how many."""
_SUPPRESSION: Final = frozenset({"NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"})
_PLACES_MIN: Final = 16
"""A detector without its last step answers for at least so many places."""


def kind(inputs: Sequence[Shaped], outputs: Sequence[Shaped], operators: Collection[str]) -> str | None:
    """In words, such as `a detector (...)`; None where it is neither of the kinds that are told apart."""
    if _DETECTION in operators:
        return f"a detector ({_DETECTION})"
    suppressing = sorted(_SUPPRESSION.intersection(operators))
    if suppressing:
        return f"a detector ({suppressing[0]})"
    if any(map(_boxes, outputs)) and len(outputs) > 1:
        return "a detector (an output of boxes)"
    images = [shape for shape in (tensor.shape for tensor in inputs) if len(shape) == 4]
    if len(outputs) == 1 and any(_maps(image, outputs[0].shape) for image in images):
        return "a segmenter, or another model that answers with a map"
    if len(outputs) == 1 and _places(outputs[0].shape):
        return "a detector without its last step, or another model that answers for many places"
    return None


def _boxes(tensor: Shaped) -> bool:
    return len(tensor.shape) == 3 and tensor.shape[2] == 4


def _maps(image: tuple[int, ...], answer: tuple[int, ...]) -> bool:
    """Whether the answer lies over the picture, at its size or a part of it, with or without channels."""
    if len(answer) not in {3, 4} or min(answer[1:3]) < 2:
        return False
    _, height, width, _ = image
    _, rows, columns, *_ = answer
    # Strides round up: the steps between two rows and between two columns agree to within one pixel.
    return rows <= height and columns <= width and -(-height // rows) == -(-width // columns)


def _places(answer: tuple[int, ...]) -> bool:
    return len(answer) in {3, 4} and sum(size >= _PLACES_MIN for size in answer[1:]) > 1
