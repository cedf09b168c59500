"""Samples from an .npz file or from the operator's own function."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deploy.adapters import npz_file
from deploy.core.factory.conversion import calibration, samples
from deploy.core.factory.conversion.words import SAMPLES_ADVISED, Signature
from deploy.factory.parent import Arrays
from deploy.factory.sources import functions

Note = Callable[[str], None]
_END: Final = object()


def of_file(path: Path, signature: Signature, note: Note) -> Iterator[Arrays]:
    """The arrays by name of input, at most the advised number of samples, spread over the file."""
    given = _arrays(samples.named(_loaded(path, signature), signature, str(path)))
    parts = samples.parts(given, signature, str(path))
    count = min(map(len, parts.values()), default=0)
    taken = calibration.evenly(count, calibration.SAMPLES_MAX)
    if len(taken) < count:
        note(f"{len(taken)} of the {count} samples in {path} are taken, spread over the file")
    for index in taken:
        yield samples.at(parts, index, signature, str(path))


def _loaded(path: Path, signature: Signature) -> dict[str, object]:
    """Only what the signature may ask for: a data set holds labels too."""
    with npz_file.opened(path) as held:
        wanted = {form.name for form in signature.inputs}.intersection(held)
        return {name: held[name] if not wanted or name in wanted else None for name in held}


def of_function(place: str, signature: Signature) -> Iterator[Arrays]:
    """What the function gives, or yields, one by one: a mapping by name, a tuple, or an array."""
    given = functions.call(place, functions.find(place))
    single = isinstance(given, (dict, np.ndarray)) or not isinstance(given, Iterable)
    each = iter([given] if single else given)
    found = (sample for one in _ones(place, each) for sample in _of_one(one, signature, place))
    return itertools.islice(found, SAMPLES_ADVISED[1])


def _ones(place: str, given: Iterator[object]) -> Iterator[object]:
    while (one := functions.call(place, next, given, _END)) is not _END:
        yield one


def _of_one(given: object, signature: Signature, place: str) -> Iterator[Arrays]:
    parts = samples.parts(_arrays(samples.named(given, signature, place)), signature, place)
    for index in range(min(map(len, parts.values()), default=0)):
        yield samples.at(parts, index, signature, place)


def _arrays(named: Mapping[str, object]) -> dict[str, NDArray[np.generic]]:
    return {name: np.asarray(array) for name, array in named.items()}
