"""Channels last and channels first: the same array in the order of either world."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.core.tflite import invocation
from deploy.core.refusal import Refused

_SPATIAL_AXES: Final = (1, 2, 3)
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_]")
Array = NDArray[np.generic]


def plain(name: str) -> str:
    """A name as TensorFlow allows it."""
    return _NO_NAME.sub("_", name)


def first(array: Array, wanted: Sequence[int], name: str) -> Array:
    """An array with channels last as one with channels first.

    Args:
        array: N, spatial axes, channels; or any array that has no such axes.
        wanted: the shape it must have; -1 is any size.
        name: for the refusal.

    Raises:
        Refused: it has that shape neither way.
    """
    return _one_of((_moved(array, -1, 1), array), wanted, name)


def last(array: Array, wanted: Sequence[int], name: str) -> Array:
    """An array with channels first as one with channels last; see `first`."""
    return _one_of((_moved(array, 1, -1), array), wanted, name)


def _moved(array: Array, source: int, target: int) -> Array | None:
    return np.moveaxis(array, source, target) if array.ndim - 2 in _SPATIAL_AXES else None


def _one_of(candidates: Sequence[Array | None], wanted: Sequence[int], name: str) -> Array:
    for found in candidates:
        if found is not None and invocation.fits(found.shape, wanted):
            return found
    given = next(found for found in candidates if found is not None)
    raise Refused(f"{name!r} has the shape {given.shape} in one world and {tuple(wanted)} in the other")
