"""SavedModel folders, of Keras, of tf.Module or of any other library that exports them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import tensorflow as tf

from deploy.core.factory.conversion.words import Convert, TensorForm
from deploy.core.refusal import Refused
from deploy.factory.faults import one_line
from deploy.factory.sources.tensorflow_parents import Entry, TensorFlowParent, form

_DEFAULT: Final = "serving_default"
_TWIN: Final = "serve"
"""Keras exports its one endpoint under both names."""


def open_source(place: str, order: Convert) -> TensorFlowParent:
    """
    Raises:
        Refused: it cannot be loaded, or has no signature.
    """
    try:
        loaded = tf.saved_model.load(place)
    except (OSError, ValueError, TypeError, RuntimeError, tf.errors.OpError) as error:
        raise Refused(f"{place} cannot be loaded as a SavedModel: {one_line(error)}") from error
    return of_loaded(loaded, order)


def of_loaded(loaded: Any, order: Convert) -> TensorFlowParent:
    """Of what `tf.saved_model.load` gives."""
    found = {str(name): function for name, function in loaded.signatures.items()}
    if _TWIN in found and _DEFAULT in found and _TWIN not in order.signatures:
        del found[_TWIN]
    variables = {id(each): each for function in found.values() for each in function.variables}
    entries = [Entry(name, _inputs(function), _answering(function)) for name, function in found.items()]
    return TensorFlowParent(entries, variables.values(), loaded, order)


def _inputs(function: Any) -> tuple[TensorForm, ...]:
    return tuple(
        form(name, spec.shape, spec.dtype) for name, spec in function.structured_input_signature[1].items()
    )


def _answering(function: Any) -> Callable[..., Mapping[str, Any]]:
    names = list(function.structured_input_signature[1])

    def answer(*tensors: Any) -> Mapping[str, Any]:
        outputs: Mapping[str, Any] = function(**dict(zip(names, tensors, strict=True)))
        return outputs

    return answer
