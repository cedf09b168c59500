"""Which part of the factory opens which source."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from deploy.core.factory.conversion.words import Convert
from deploy.core.factory.words import Source, SourceKind
from deploy.core.refusal import Refused
from deploy.factory.parent import Parent
from deploy.factory.sources import examples, functions

_BY_KIND: Final[Mapping[SourceKind, str]] = {
    SourceKind.SAVED_MODEL: "deploy.factory.sources.saved_models",
    SourceKind.KERAS: "deploy.factory.sources.keras_models",
    SourceKind.ONNX: "deploy.factory.sources.onnx_files",
    SourceKind.TFLITE: "deploy.factory.sources.tflite",
}
"""Each has `open_source(place, order) -> Parent`."""
_BY_LIBRARY: Final[Mapping[str, str]] = {
    "tensorflow": "deploy.factory.sources.tensorflow_functions",
    "keras": "deploy.factory.sources.keras_models",
    "tf_keras": "deploy.factory.sources.keras_models",
}
"""By the library that the object comes from which a function returned; each has
`open_object(returned, order) -> Parent`."""


def open_parent(source: Source, order: Convert) -> Parent:
    """
    Raises:
        Refused: it cannot be read, or is no model that the factory knows.
    """
    if source.kind is SourceKind.FUNCTION:
        return _returned(source.place, order)
    parent: Parent = import_module(_BY_KIND[source.kind]).open_source(source.place, order)
    return parent


def _returned(place: str, order: Convert) -> Parent:
    found = functions.call(place, functions.find(place))
    if isinstance(found, tuple):
        return examples.open_object(found, order)
    for library in _libraries(found):
        if library in _BY_LIBRARY:
            parent: Parent = import_module(_BY_LIBRARY[library]).open_object(found, order)
            return parent
    raise Refused(
        f"{place} returns {type(found).__name__}: return a tf.function, a ConcreteFunction, a tf.Module, a "
        f"Keras model (known are objects of {', '.join(sorted(_BY_LIBRARY))}), or a JAX function or PyTorch "
        "module together with examples of its inputs, as (function, examples)"
    )


def _libraries(found: Any) -> list[str]:
    """Of its class and of those that it inherits from, the nearest first."""
    return [base.__module__.partition(".")[0] for base in type(found).__mro__]
