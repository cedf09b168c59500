"""Affine quantisation, per tensor: real = (quantized - zero_point) * scale."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.wire.documents import Dtype, Quantization

Reals = NDArray[np.floating[Any]]
Quantized = NDArray[np.generic]
_BEYOND_EVERY_GRID = 2.0**40


def round_half_away(values: Reals) -> NDArray[np.float64]:
    """As C's round() does; np.round goes to even on halves and is off by one step there."""
    exact = values.astype(np.float64)
    whole: NDArray[np.float64] = np.trunc(exact + np.copysign(0.5, exact))
    return whole


def to_grid(steps: Reals, zero_point: int, dtype: Dtype) -> Quantized:
    """Round real numbers of steps onto an integer type; what lies outside it saturates.

    Args:
        steps: real values divided by the scale, any shape, not NaN.
        zero_point: the number that stands for zero.
        dtype: an integer type.
    """
    limits = np.iinfo(dtype.value)
    bounded = np.clip(round_half_away(steps), -_BEYOND_EVERY_GRID, _BEYOND_EVERY_GRID)
    shifted = bounded.astype(np.int64) + zero_point
    return np.clip(shifted, limits.min, limits.max).astype(dtype.value)


def quantize(real: Reals, parameters: Quantization, dtype: Dtype) -> Quantized:
    """Map real values onto the grid that a model was compiled for.

    The division is in float32 and halves go away from zero, as in the reference kernel.

    Source: TFLite reference_ops::AffineQuantize.
    """
    return to_grid(real.astype(np.float32) / np.float32(parameters.scale), parameters.zero_point, dtype)


def dequantize(quantized: Quantized, parameters: Quantization) -> NDArray[np.float64]:
    """The real values; in 64 bits, because an 8-bit number minus its zero point leaves 8 bits."""
    whole = (quantized.astype(np.int64) - parameters.zero_point).astype(np.float64)
    return np.multiply(whole, parameters.scale)
