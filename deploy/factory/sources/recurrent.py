"""Recurrent layers of Keras in a form that the converter takes.

It fuses an LSTM of the older Keras into one operator, in every mode but int16x8. Of the newer Keras' one it
makes a loop, which no mode with calibration takes: the converter dies of SIGSEGV on it, and so it does on
every other recurrent layer of either Keras. So an LSTM with the usual activations, neither mask nor state to
begin with, is computed by a layer of the older Keras over the same weights, and where there is calibration
any other recurrent layer is unrolled, step by step. Both are done to the layers where they stand, however
deep, once the model as it came has been traced: that one stays the float parent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from deploy.core.factory.conversion.words import Convert, Quantize, Signature
from deploy.core.refusal import Refused
from deploy.factory.parent import Arrays, Made, Parent, Samples

_RECURRENT: Final = "RNN"
"""The class that LSTM, GRU and all the others inherit from, in either Keras."""
_USUAL: Final = {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "unroll": False}
"""What the converter knows as an LSTM."""
_KEPT: Final = ("units", "return_sequences", "go_backwards")
_STEPS_MAX: Final = 512
_FUSED: Final = (
    "{} {} is computed by the older Keras' layer over the same weights, of which the converter makes one "
    "operator"
)
_UNROLLED: Final = (
    "{} {} is unrolled over its {} steps, since the converter cannot quantize its loop: "
    "the file grows with their number"
)
Opened = Callable[[Any, Sequence[Any]], Parent]
"""Makes a parent of a Keras model and the variables that it has beside its own."""


class RebuiltParent:
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


@dataclass(slots=True)
class _Watched:
    """A recurrent layer, and what it is called with while the model as it came is traced."""

    layer: Any
    call: Callable[..., Any]
    """Its own."""
    steps: int | None = None
    bare: bool = True
    """With a sequence alone: neither a mask nor a state to begin with."""

    def __call__(self, sequence: Any, state: Any, mask: Any, **more: Any) -> Any:
        # The older Keras hands states over behind the sequence, as one list.
        first = sequence[0] if isinstance(sequence, (list, tuple)) else sequence
        self.steps = first.shape[1]
        self.bare = self.bare and first is sequence and state is None and mask is None
        return self.call(sequence, initial_state=state, mask=mask, **more)


def with_recurrent(model: Any, order: Convert, opened: Opened) -> Parent:
    """The model as a parent, its recurrent layers rebuilt where the converter needs that.

    Args:
        model: of either Keras; its layers are changed.
        order: whose mode decides what must be rebuilt.
        opened: traces the model as it is at that moment.

    Raises:
        Refused: a layer cannot be unrolled.
    """
    watched = [_watch(layer) for layer in _recurrent(model)]
    original = opened(model, ())
    remarks, more = [], []
    for each in watched:
        each.layer.call = each.call
        if each.bare and order.quantize is not Quantize.INT16X8 and _is_usual(each.layer):
            if _package(each.layer) != "tf_keras":
                more += _fuse(each.layer)
                remarks.append(_FUSED.format(type(each.layer).__name__, each.layer.name))
        elif order.quantize.calibrated and not each.layer.unroll:
            _unroll(each)
            remarks.append(_UNROLLED.format(type(each.layer).__name__, each.layer.name, each.steps))
    return RebuiltParent(original, opened(model, more), tuple(remarks)) if remarks else original


def _recurrent(model: Any) -> list[Any]:
    """However deep: in models within the model, in wrappers, in subclassed layers."""
    layers = model._flatten_layers()  # noqa: SLF001 - what is public does not look into wrappers
    return [layer for layer in layers if _RECURRENT in {base.__name__ for base in type(layer).__mro__}]


def _watch(layer: Any) -> _Watched:
    watched = _Watched(layer, layer.call)

    def call(sequence: Any, initial_state: Any = None, mask: Any = None, **more: Any) -> Any:
        return watched(sequence, initial_state, mask, **more)

    layer.call = call
    return watched


def _package(thing: Any) -> str:
    return str(type(thing).__module__.partition(".")[0])


def _is_usual(layer: Any) -> bool:
    if type(layer).__name__ != "LSTM":
        return False
    config = layer.get_config()
    plain = all(config.get(name) == value for name, value in _USUAL.items())
    return plain and not any(config.get(name) for name in ("stateful", "return_state", "recurrent_dropout"))


def _fuse(layer: Any) -> list[Any]:
    """The variables that it is computed with from now on."""
    config = layer.get_config()
    older = import_module("tf_keras").layers.LSTM(**{name: config[name] for name in _KEPT})
    older.build((None, None, layer.cell.kernel.shape[0]))
    older.set_weights(layer.get_weights())

    def call(sequence: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        return older(sequence, initial_state=initial_state, mask=mask, training=training)

    layer.call = call
    return list(older.variables)


def _unroll(watched: _Watched) -> None:
    layer, steps = watched.layer, watched.steps
    named = f"the loop of the recurrent layer {layer.name} cannot be quantized"
    if steps is None:
        raise Refused(
            f"{named}, nor unrolled while its number of steps is open: fix it with --shape or in the model, "
            "or choose none, dynamic or float16"
        )
    if steps > _STEPS_MAX:
        raise Refused(
            f"{named}, and unrolling ends at {_STEPS_MAX} steps ({steps}): use an LSTM with the usual "
            "activations, without a mask, or choose none, dynamic or float16"
        )
    layer.unroll = True
    # Where the older Keras could call a GPU's kernel, it does not look at `unroll`.
    layer._could_use_gpu_kernel = False  # noqa: SLF001 - nothing public sets it
