"""A model's card and the names of its classes, written into its file."""

from collections.abc import Sequence

from agent.core.inference import labels
from agent.core.tflite import flatcard, flatmodel
from agent.core.tflite.flatmeta import Card
from agent.wire.errors import Malformed


def describe(content: bytes, card: Card, names: Sequence[str] | None) -> bytes:
    """The model with this card in the place of the one that it has.

    Args:
        content: the .tflite file.
        card: what to say.
        names: of the first output's classes, in their order; None leaves the files behind the model alone.

    Raises:
        Malformed: the model is damaged, the names are not as many as the classes, or no labels file holds
            them.
    """
    if names is None:
        return flatcard.write(content, card)
    outputs = flatmodel.examine(content).outputs
    fault = labels.mismatch(names, outputs[0].shape[-1] if outputs and outputs[0].shape else 0)
    if fault is not None:
        raise Malformed(fault)
    return flatcard.write(content, card, labels.written(names))
