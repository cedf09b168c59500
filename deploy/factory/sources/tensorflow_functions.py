"""What an operator's own function returned: a tf.function, a ConcreteFunction, or a tf.Module of them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import tensorflow as tf

from deploy.core.factory.conversion.words import Convert
from deploy.core.refusal import Refused
from deploy.factory.faults import one_line
from deploy.factory.sources import saved_models
from deploy.factory.sources.tensorflow_parents import Entry, TensorFlowParent, form

_DEFAULT: Final = "serving_default"


def open_object(returned: Any, order: Convert) -> TensorFlowParent:
    """
    Raises:
        Refused: it says nothing of its inputs, or has no function.
    """
    if hasattr(returned, "signatures") and not isinstance(returned, tf.types.experimental.GenericFunction):
        return saved_models.of_loaded(returned, order)
    functions = _functions_of(returned) if isinstance(returned, tf.Module) else {_DEFAULT: returned}
    concrete = {name: _concrete(name, function) for name, function in functions.items()}
    try:
        variables = {id(each): each for function in concrete.values() for each in function.variables}
    except (AttributeError, ValueError) as error:
        raise Refused(
            f"the function's variables are gone ({one_line(error)}): return the model or tf.Module with them"
        ) from error
    entries = [_entry(name, function) for name, function in concrete.items()]
    return TensorFlowParent(entries, variables.values(), returned, order)


def _functions_of(module: Any) -> dict[str, Any]:
    """Those with a signature of their own; `__call__` is the default one."""
    kind = tf.types.experimental.PolymorphicFunction
    named = {name: getattr(module, name, None) for name in dir(module) if not name.startswith("_")}
    found = {name: each for name, each in named.items() if isinstance(each, kind) and each.input_signature}
    called = vars(type(module)).get("__call__")
    if isinstance(called, kind) and called.input_signature:
        found[_DEFAULT] = module.__call__
    if not found:
        raise Refused(
            f"{type(module).__name__} has no tf.function with an input_signature: decorate one with "
            "@tf.function(input_signature=[tf.TensorSpec(...)])"
        )
    return found


def _concrete(name: str, function: Any) -> Any:
    if isinstance(function, tf.types.experimental.ConcreteFunction):
        return function
    try:
        return function.get_concrete_function()
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise Refused(
            f"the function {name!r} cannot be traced ({one_line(error)}): give it an input_signature, or "
            "return its get_concrete_function(...)"
        ) from error


def _entry(name: str, function: Any) -> Entry:
    structure = function.structured_input_signature
    leaves = tf.nest.flatten(structure)
    specs = [leaf for leaf in leaves if isinstance(leaf, tf.TypeSpec)]
    if not all(isinstance(spec, tf.TensorSpec) for spec in specs):
        raise Refused(f"the function {name!r} takes ragged or sparse tensors: no .tflite file does")
    forms = [
        form(str(spec.name or f"input_{index}"), spec.shape, spec.dtype) for index, spec in enumerate(specs)
    ]
    return Entry(name, tuple(forms), _answering(function, structure))


def _answering(function: Any, structure: Any) -> Callable[..., Mapping[str, Any]]:
    leaves = tf.nest.flatten(structure)

    def answer(*tensors: Any) -> Mapping[str, Any]:
        given = iter(tensors)
        # Arguments that are no tensors, such as training=False, stay what the function was traced with.
        filled = [next(given) if isinstance(leaf, tf.TensorSpec) else leaf for leaf in leaves]
        arguments, named = tf.nest.pack_sequence_as(structure, filled)
        return by_name(function(*arguments, **named))

    return answer


def by_name(outputs: Any) -> Mapping[str, Any]:
    """A single output is `output_0`, as in a SavedModel."""
    if isinstance(outputs, Mapping) and all(tf.is_tensor(each) for each in outputs.values()):
        return {str(name): tensor for name, tensor in outputs.items()}
    return {f"output_{index}": tensor for index, tensor in enumerate(tf.nest.flatten(outputs))}
