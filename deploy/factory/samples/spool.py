"""Samples on disk: read by the converter as often as it likes, and never all in memory."""

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deploy.factory.parent import Arrays, Samples

_ALIGNED_BYTES: Final = 64
"""What vector instructions and TFLite's tensors ask for."""


@dataclass(frozen=True, slots=True)
class _Place:
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    start: int


def spool(samples: Iterable[Arrays]) -> Samples:
    """Goes through the samples once; what it returns reads them from a file that has no name."""
    places: list[Mapping[str, _Place]] = []
    with tempfile.TemporaryFile() as file:
        for sample in samples:
            placed: dict[str, _Place] = {}
            for name, array in sample.items():
                file.write(bytes(-file.tell() % _ALIGNED_BYTES))
                placed[name] = _Place(array.dtype, array.shape, file.tell())
                file.write(array.tobytes())
            places.append(placed)
        file.write(bytes(1))
        file.flush()
        # The map outlives the descriptor, and goes with the last array that looks into it.
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def again() -> Iterator[Arrays]:
        return ({name: _array(content, place) for name, place in placed.items()} for placed in places)

    return again


def _array(content: mmap.mmap, place: _Place) -> NDArray[np.generic]:
    return np.ndarray(place.shape, place.dtype, buffer=content, offset=place.start)
