"""Keras models, of the newer Keras and of the older one, as files or as objects."""

import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from deploy.core.factory.conversion.words import Convert
from deploy.core.refusal import Refused
from deploy.factory.faults import one_line
from deploy.factory.parent import Parent
from deploy.factory.sources import keras_precision, recurrent
from deploy.factory.sources.keras_files import NEWER, OLDER, written_by
from deploy.factory.sources.recurrent import RebuiltParent

_DEFAULT: Final = "serving_default"
_FAULTS: Final = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    ImportError,
    IndexError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
)
"""What the two raise on files that they do not understand."""


def open_source(place: str, order: Convert) -> Parent:
    """
    Raises:
        Refused: neither Keras can load it.
    """
    first = written_by(Path(place))
    if first == OLDER and "tensorflow" not in sys.modules:
        # TensorFlow decides when it is imported which of the two it calls `tf.keras`.
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
    faults = []
    for package in (first, OLDER if first == NEWER else NEWER):
        try:
            return open_object(_loaded(package, place), order)
        except _Unloadable as error:
            faults.append(str(error))
    raise Refused(f"{place} cannot be loaded as a Keras model: {faults[0]}")


class _Unloadable(Exception):
    pass


def _loaded(package: str, place: str) -> Any:
    load = import_module(f"{package}.models").load_model
    faults = []
    for scope in _scopes(package):
        try:
            with scope:
                return load(place, compile=False)
        except _FAULTS as error:
            faults.append(error)
    raise _Unloadable(_explained(faults[0])) from faults[0]


def _scopes(package: str) -> Iterator[AbstractContextManager[Any]]:
    """The layers of quantization-aware training are known where the older Keras is in charge."""
    yield nullcontext()
    in_charge = package == OLDER and os.environ.get("TF_USE_LEGACY_KERAS") == "1"
    if in_charge and find_spec("tensorflow_model_optimization") is not None:
        yield import_module("tensorflow_model_optimization").quantization.keras.quantize_scope()


def _explained(error: BaseException) -> str:
    said = one_line(error)
    if "Lambda" in said and "safe" in str(error):
        return "it holds a Lambda layer, whose code no file is trusted with: build it in a module:function"
    if "Could not locate class" in said or "Unknown layer" in said:
        return f"{said}; layers of your own are known to a function of yours: give it as module:function"
    return said


def open_object(model: Any, order: Convert) -> Parent:
    """
    Raises:
        Refused: it is no model with inputs, or cannot be traced.
    """
    if not hasattr(model, "_flatten_layers"):
        raise Refused(f"{type(model).__name__} of Keras is no model: return a Model, or a tf.function")
    remarks = keras_precision.widen(model)
    parent = recurrent.with_recurrent(model, order, lambda each, more: _parent(each, more, order))
    return RebuiltParent(parent, parent, remarks) if remarks else parent


def _parent(model: Any, more: Sequence[Any], order: Convert) -> Parent:
    import tensorflow as tf  # noqa: PLC0415 - after the choice of the Keras

    from deploy.factory.sources import keras_inputs  # noqa: PLC0415 - which Keras comes first
    from deploy.factory.sources.tensorflow_parents import Entry, TensorFlowParent  # noqa: PLC0415 - same

    taken = keras_inputs.inputs(model)
    entry = Entry(_DEFAULT, taken.forms, _answering(model, taken))
    # The newer Keras wraps TensorFlow's variables, the older one has them as they are.
    held = [each if isinstance(each, tf.Variable) else each.value for each in model.variables]
    return TensorFlowParent([entry], [*held, *more], model, order)


def _answering(model: Any, taken: Any) -> Callable[..., Mapping[str, Any]]:
    names = _output_names(model)

    def answer(*tensors: Any) -> Mapping[str, Any]:
        from deploy.factory.sources.tensorflow_functions import by_name  # noqa: PLC0415 - as above

        found = taken.call(tensors)
        plain = by_name(found)
        if isinstance(found, Mapping) or len(names) != len(plain):
            return plain
        return dict(zip(names, plain.values(), strict=True))

    return answer


def _output_names(model: Any) -> list[str]:
    """None where two would be the same."""
    names = [str(name).replace("/", "_") for name in getattr(model, "output_names", None) or ()]
    return names if len(set(names)) == len(names) else []
