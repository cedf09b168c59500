"""A JAX function by way of TensorFlow: what it closes over are constants of the model."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import jax
from jax.experimental import jax2tf
from msgspec.structs import replace

from deploy.core.factory.conversion.words import Convert
from deploy.core.refusal import Refused
from deploy.factory.faults import one_line
from deploy.factory.sources.examples import Example, form
from deploy.factory.sources.tensorflow_functions import by_name
from deploy.factory.sources.tensorflow_parents import Entry, TensorFlowParent

_DEFAULT: Final = "serving_default"


def open_pair(
    function: Callable[..., Any], examples: tuple[Example, ...], order: Convert
) -> TensorFlowParent:
    """
    Raises:
        Refused: JAX cannot trace it on these examples.
    """
    # JAX narrows what it takes to 32 bits: its inputs are what it makes of the examples.
    narrowed = tuple(Example(each.name, jax.numpy.asarray(each.value)) for each in examples)
    try:
        jax.eval_shape(function, *(each.value for each in narrowed))
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise Refused(f"JAX cannot trace the function on its examples: {one_line(error)}") from error
    entry = Entry(_DEFAULT, tuple(map(form, narrowed)), _answering(function))
    return TensorFlowParent([entry], (), None, replace(order, shapes={}))


def _answering(function: Callable[..., Any]) -> Callable[..., Mapping[str, Any]]:
    converted = jax2tf.convert(function, with_gradient=False)

    def answer(*tensors: Any) -> Mapping[str, Any]:
        return by_name(converted(*tensors))

    return answer
