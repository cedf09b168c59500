"""Trained models that TensorFlow itself computes, whatever they came as.

All take one way: each signature is traced anew with its sizes fixed, over variables that one module holds,
and saved as a SavedModel for the converter. Of the converter's other entries `from_concrete_functions` loses
the variables of a Keras 3 model and converts it silently to one that answers nonsense.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf

from deploy.core.factory.conversion import shapes
from deploy.core.factory.conversion.words import Convert, Signature, TensorForm
from deploy.core.refusal import Refused
from deploy.factory.converter import tf_converter
from deploy.factory.faults import one_line
from deploy.factory.parent import Arrays, Made, Samples

_LOOPS: Final = frozenset({"While", "StatelessWhile"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One signature of a model, not traced yet."""

    name: str
    inputs: tuple[TensorForm, ...]
    answer: Callable[..., Mapping[str, Any]]
    """Takes the inputs in their order, gives the outputs by name."""


class TensorFlowParent:
    """See `deploy.factory.parent.Parent`."""

    def __init__(
        self, entries: Sequence[Entry], variables: Iterable[Any], keep: object, order: Convert
    ) -> None:
        """
        Args:
            entries: at least one.
            variables: all that the model has.
            keep: whatever else it consists of, such as tables.
            order: which signatures, and the sizes of what is open.

        Raises:
            Refused: a weight is no number, a size is open, or the model cannot be traced.
        """
        wanted = shapes.chosen(entries, order.signatures)
        shapes.check_names(order.shapes, [form for entry in wanted for form in entry.inputs])
        held = list(variables)
        _check(held)
        module = tf.Module()
        module.held = held
        self._module = module
        self._keep = keep
        self._traced = {entry.name: _traced(entry, order) for entry in wanted}
        self.signatures = tuple(_signature(name, traced) for name, traced in self._traced.items())

    def answer(self, signature: str, inputs: Arrays) -> Arrays:
        try:
            found = self._traced[signature](**{name: tf.constant(array) for name, array in inputs.items()})
        except tf.errors.OpError as error:
            raise Refused(f"the float model itself fails on a sample: {one_line(error)}") from error
        return {name: np.asarray(tensor) for name, tensor in found.items()}

    def convert(self, order: Convert, samples: Mapping[str, Samples]) -> Made:
        if order.quantize.calibrated and any(map(_has_loop, self._traced.values())):
            raise Refused(
                "it has a recurrent loop, and TensorFlow's converter dies of quantizing it: unroll it, "
                "give the Keras model, whose recurrent layers are unrolled here, or choose none, dynamic or "
                "float16"
            )
        with tempfile.TemporaryDirectory() as scratch:
            try:
                self._save(scratch)
            except (AssertionError, ValueError, TypeError, tf.errors.OpError) as error:
                raise Refused(f"the model cannot be saved for the converter: {one_line(error)}") from error
            return tf_converter.convert_saved_model(Path(scratch), list(self._traced), order, samples)

    def _save(self, folder: str) -> None:
        """With the variables alone, since every layer of a model that is saved along is traced; where that
        leaves something out, such as a table, with all of it.
        """
        try:
            tf.saved_model.save(self._module, folder, signatures=self._traced)
        except AssertionError:
            self._module.kept = self._keep
            tf.saved_model.save(self._module, folder, signatures=self._traced)


def _traced(entry: Entry, order: Convert) -> Any:
    forms = shapes.fixed(entry.name, entry.inputs, order.shapes)
    specs = [
        tf.TensorSpec([None if size < 0 else size for size in form.shape], form.dtype, form.name)
        for form in forms
    ]
    try:
        return tf.function(entry.answer, input_signature=specs, autograph=False).get_concrete_function()
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise Refused(
            f"signature {entry.name!r} cannot be traced for {shapes.said(forms)}: {one_line(error)}; "
            "other sizes are given with --shape NAME=1x..."
        ) from error


def _has_loop(traced: Any) -> bool:
    """One that collects its steps in a list, as recurrent layers do: others stay in float. What the
    converter knows as a whole, such as an LSTM of the older Keras, does not count.
    """
    graph = traced.graph.as_graph_def()
    unknown = (each.node_def for each in graph.library.function if "api_implements" not in each.attr)
    found = {node.op for nodes in (graph.node, *unknown) for node in nodes}
    return not _LOOPS.isdisjoint(found) and any(each.startswith("TensorList") for each in found)


def _signature(name: str, traced: Any) -> Signature:
    _, inputs = traced.structured_input_signature
    named = inputs or {spec.name: spec for spec in traced.structured_input_signature[0]}
    return Signature(
        name=name,
        inputs=tuple(form(key, spec.shape, spec.dtype) for key, spec in named.items()),
        outputs=tuple(form(key, spec.shape, spec.dtype) for key, spec in traced.structured_outputs.items()),
    )


def form(name: str, shape: Any, dtype: Any) -> TensorForm:
    """
    Raises:
        Refused: not even the number of its axes is known.
    """
    if shape.rank is None:
        raise Refused(
            f"the shape of {name!r} is wholly open: give a function that fixes it, as module:function"
        )
    sizes = tuple(-1 if size is None else int(size) for size in shape)
    return TensorForm(name=name, shape=sizes, dtype=tf.as_dtype(dtype).name)


def _check(variables: Iterable[Any]) -> None:
    """Of what is trained: every value is a number, and has been set."""
    for variable in variables:
        name = variable.name.removesuffix(":0")
        try:
            values = variable.numpy()
        except (tf.errors.OpError, RuntimeError, NotImplementedError) as error:
            raise Refused(
                f"the variable {name!r} was never set: load the weights before it is converted"
            ) from error
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            bad = int(values.size - np.isfinite(values).sum())
            raise Refused(
                f"the weights {name!r} hold {bad} values of {values.size} that are no numbers (NaN or "
                "infinity): the training diverged, take an earlier state of it"
            )
