"""Recurrent layers of Keras in a form that the converter takes.

It fuses an LSTM of the older Keras into one operator, in every mode. Of the newer Keras' one it makes a loop,
which no mode with calibration takes: the converter dies of SIGSEGV on it, and so it does on a GRU of either
Keras. So an LSTM with the usual activations is computed by a layer of the older Keras over the same weights,
and where there is calibration any other recurrent layer is unrolled, step by step. The model as it came stays
the float parent.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final

from deploy.core.factory.words import Convert, Signature
from deploy.core.refusal import Refused
from deploy.factory.parent import Arrays, Made, Parent, Samples

_RECURRENT: Final = frozenset({"LSTM", "GRU", "SimpleRNN"})
_WRAPPERS: Final = frozenset({"Bidirectional"})
_USUAL: Final = {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "unroll": False}
"""What the converter knows as an LSTM."""
_KEPT: Final = ("units", "return_sequences", "go_backwards")
_STEPS_MAX: Final = 512
_FUSED: Final = (
    "{} {} is computed by the older Keras' layer over the same weights: the converter makes one operator "
    "of each LSTM in it"
)
_UNROLLED: Final = (
    "{} {} is unrolled over its {} steps, since the converter cannot quantize its loop: "
    "the file grows with their number"
)


class RecurrentParent:
    """See `deploy.factory.parent.Parent`: the model as it came answers, the rebuilt one is converted."""

    def __init__(self, original: Parent, rebuilt: Parent, remarks: tuple[str, ...]) -> None:
        """
        Args:
            original: answers.
            rebuilt: has the same signatures.
            remarks: what was done to it.
        """
        self._original = original
        self._rebuilt = rebuilt
        self._remarks = remarks

    @property
    def signatures(self) -> tuple[Signature, ...]:
        return self._original.signatures

    def answer(self, signature: str, inputs: Arrays) -> Arrays:
        return self._original.answer(signature, inputs)

    def convert(self, order: Convert, samples: Mapping[str, Samples]) -> Made:
        made = self._rebuilt.convert(order, samples)
        return Made(content=made.content, converter=made.converter, remarks=(*self._remarks, *made.remarks))


def with_recurrent(model: Any, order: Convert, opened: Callable[[Any], Parent]) -> Parent:
    """The model as a parent, its recurrent layers rebuilt where the converter needs that.

    Args:
        model: of either Keras.
        order: whose mode decides what must be rebuilt.
        opened: makes a parent of a Keras model.

    Raises:
        Refused: a layer cannot be unrolled.
    """
    remarks: list[str] = []
    rebuilt = {
        layer.name: made for layer in _layers(model) if (made := _rebuilt(layer, order, remarks)) is not None
    }
    original = opened(model)
    if not rebuilt:
        return original
    package = import_module(_package(model))
    try:
        clone = package.models.clone_model(model, clone_function=lambda layer: rebuilt.get(layer.name, layer))
    except (ValueError, TypeError, AttributeError) as error:
        raise Refused(
            f"the recurrent layers {', '.join(rebuilt)} cannot be rebuilt for the converter"
            f" ({' '.join(str(error).split())[:200]}): build them with unroll=True, or in tf-keras"
        ) from error
    return RecurrentParent(original, opened(clone), tuple(remarks))


def _layers(model: Any) -> Iterator[Any]:
    if not hasattr(model, "layers") or not hasattr(model, "inputs"):
        return
    for layer in model.layers:
        if type(layer).__name__ in _RECURRENT | _WRAPPERS:
            yield layer


def _package(thing: Any) -> str:
    return str(type(thing).__module__.partition(".")[0])


def _rebuilt(layer: Any, order: Convert, remarks: list[str]) -> Any:
    """The layer in the form that this mode needs; None where it may stay as it is."""
    kind, config = type(layer).__name__, layer.get_config()
    inner = layer.forward_layer if kind in _WRAPPERS else layer
    if type(inner).__name__ == "LSTM" and _usual(inner.get_config()):
        if _package(layer) == "tf_keras":
            return None
        remarks.append(_FUSED.format(kind, layer.name))
        return _fused(layer, inner)
    if not order.quantize.calibrated or type(inner).__name__ not in _RECURRENT or inner.unroll:
        return None
    steps = _steps(layer)
    remarks.append(_UNROLLED.format(kind, layer.name, steps))
    return _unrolled(layer, config)


def _usual(config: Mapping[str, Any]) -> bool:
    plain = all(config.get(name) == value for name, value in _USUAL.items())
    return plain and not any(config.get(name) for name in ("stateful", "return_state", "recurrent_dropout"))


def _fused(layer: Any, inner: Any) -> Any:
    base: Any = import_module("keras").layers.Layer
    theirs = import_module("tf_keras").layers
    config = inner.get_config()
    older = theirs.LSTM(**{name: config[name] for name in _KEPT})
    if layer is not inner:
        older = theirs.Bidirectional(older, merge_mode=layer.merge_mode)
    older.build((None, None, inner.cell.kernel.shape[0]))
    older.set_weights(layer.get_weights())

    class Fused(base):  # type: ignore[misc]  # its base is known at run time only
        def __init__(self) -> None:
            super().__init__(name=layer.name)
            self.older = older

        def call(self, sequence: Any, initial_state: Any = None, mask: Any = None) -> Any:
            return self.older(sequence, initial_state=initial_state, mask=mask)

    return Fused()


def _steps(layer: Any) -> int:
    shape = layer.input.shape
    steps = shape[1]
    named = f"the loop of the recurrent layer {layer.name} cannot be quantized"
    if steps is None:
        raise Refused(
            f"{named}, nor unrolled while its number of steps is open: fix it in the model, or choose "
            "none, dynamic or float16"
        )
    if steps > _STEPS_MAX:
        raise Refused(
            f"{named}, and unrolling ends at {_STEPS_MAX} steps ({steps}): use an LSTM with the usual "
            "activations, or choose none, dynamic or float16"
        )
    return int(steps)


def _unrolled(layer: Any, config: Mapping[str, Any]) -> Any:
    changed = dict(config)
    for name in ("layer", "backward_layer"):
        if changed.get(name):
            inner = changed[name]
            changed[name] = {**inner, "config": {**inner["config"], "unroll": True}}
    if type(layer).__name__ in _RECURRENT:
        changed["unroll"] = True
    made = type(layer).from_config(changed)
    made.build(tuple(layer.input.shape))
    made.set_weights(layer.get_weights())
    return made
