"""Inputs for a model that nobody gave samples for: they compare two ways to compute it, never calibrate."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deploy.core.factory.conversion.words import Signature, TensorForm

SAMPLES: Final = 8
_SEED: Final = 20_240_229
_OPEN: Final = 4
"""Of a size that is left open."""
_TEXTS: Final = ("the quick brown fox", "jumps", "over the lazy dog", "")


def of_each(
    signatures: Iterable[Signature],
) -> Mapping[str, Callable[[], Iterator[dict[str, NDArray[np.generic]]]]]:
    """By the name of the signature, what gives its samples."""
    return {signature.name: partial(samples, signature) for signature in signatures}


def samples(signature: Signature) -> Iterator[dict[str, NDArray[np.generic]]]:
    """The same every time."""
    generator = np.random.default_rng(_SEED)
    for index in range(SAMPLES):
        yield {form.name: _drawn(form, generator, index) for form in signature.inputs}


def _drawn(form: TensorForm, generator: np.random.Generator, index: int) -> NDArray[np.generic]:
    """Floats as normalized pictures have them; whole numbers that are the index of something in any table."""
    shape = tuple(_OPEN if size < 0 else size for size in form.shape)
    match form.dtype:
        case "string":
            return np.full(shape, _TEXTS[index % len(_TEXTS)].encode(), object)
        case "bool":
            return generator.integers(0, 2, shape).astype(bool)
        case "float32" | "float16" | "float64":
            return generator.uniform(-1.0, 1.0, shape).astype(form.dtype)
        case "uint8":
            return generator.integers(0, 256, shape, np.uint8)
        case other:
            return generator.integers(0, 2, shape).astype(other)
