"""What a Keras model is called with: its inputs, and the structure that they come in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from deploy.core.factory.conversion.words import TensorForm
from deploy.core.refusal import Refused

_Open = int | None


@dataclass(frozen=True, slots=True)
class Inputs:
    forms: tuple[TensorForm, ...]
    call: Callable[[Sequence[Any]], Any]
    """The model, as it is after training, on tensors in the order of `forms`."""


def inputs(model: Any) -> Inputs:
    """
    Args:
        model: of either Keras.

    Raises:
        Refused: it was built without inputs, and never called.
    """
    declared = getattr(model, "inputs", None)
    if not declared:
        return _called(model)
    structure = declared[0] if len(declared) == 1 else model.input

    def call(tensors: Sequence[Any]) -> Any:
        return model(tf.nest.pack_sequence_as(structure, list(tensors)), training=False)

    return Inputs(tuple(_form(tensor, tensor.name) for tensor in declared), call)


def _called(model: Any) -> Inputs:
    """Of a subclassed model: what it was called with once."""
    arguments = _arguments(model)
    leaves = tf.nest.flatten(arguments)
    if not leaves:
        raise Refused(
            f"the Keras model {getattr(model, 'name', '')!r} does not know its inputs: call it once on data "
            "before it is returned or saved, or return a tf.function with an input_signature"
        )

    def call(tensors: Sequence[Any]) -> Any:
        return model(*tf.nest.pack_sequence_as(arguments, list(tensors)), training=False)

    return Inputs(
        tuple(_form(each, each.name or f"input_{index}") for index, each in enumerate(leaves)), call
    )


def _arguments(model: Any) -> list[Any]:
    """Of the call, each a TensorSpec or a structure of some; none where it was never called.

    The older Keras keeps them and says so; of the newer one only the shapes by which the layers were built
    are left, as its own export reads them.
    """
    if hasattr(model, "save_spec"):
        said = model.save_spec()
        return [] if said is None else list(said[0])
    shapes = getattr(model, "_build_shapes_dict", None) or {}
    return [_specs(shape, model.input_dtype) for shape in shapes.values()]


def _specs(shape: Any, dtype: str) -> Any:
    if isinstance(shape, Mapping):
        return {name: _specs(each, dtype) for name, each in shape.items()}
    if all(isinstance(size, _Open) for size in shape):
        return tf.TensorSpec([None, *shape[1:]], dtype)
    return [_specs(each, dtype) for each in shape]


def _form(tensor: Any, name: str) -> TensorForm:
    sizes = tuple(-1 if size is None else int(size) for size in tensor.shape)
    dtype = str(getattr(tensor.dtype, "name", tensor.dtype))
    return TensorForm(name=name.partition(":")[0].replace("/", "_"), shape=sizes, dtype=dtype)
