"""Keras models of mixed precision: they train in 16 bits and keep their weights in 32.

TensorFlow Lite computes in 32 bits, or in integers: a layer that computes in 16 bits comes out of the
converter as an operator of TensorFlow itself. So such layers are told to compute in 32.
"""

from typing import Any, Final

_HALVES: Final = frozenset({"float16", "bfloat16"})
_FULL: Final = "float32"
_REMARK: Final = (
    "{} layers of mixed precision compute in float32, as TensorFlow Lite does; --quantize float16 keeps "
    "weights in 16 bits"
)


def widen(model: Any) -> tuple[str, ...]:
    """Every layer computes in 32 bits afterwards; a remark on those that did not.

    Args:
        model: of either Keras; changed in place.
    """
    halves = [layer for layer in _layers(model) if getattr(layer, "compute_dtype", _FULL) in _HALVES]
    for layer in halves:
        if hasattr(layer, "_set_dtype_policy"):
            layer._set_dtype_policy(_FULL)  # noqa: SLF001 - the older Keras has nothing public that sets it
        else:
            layer.dtype_policy = _FULL
    if not halves:
        return ()
    return (_REMARK.format(len(halves)),)


def _layers(model: Any) -> list[Any]:
    flat: list[Any] = model._flatten_layers()  # noqa: SLF001 - what is public does not look into wrappers
    return flat
