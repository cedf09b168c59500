"""Whether arrays are what a signature takes, in one sentence each."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol


class PortForm(Protocol):
    """An input as a model declares it: -1 is a free size, None a free shape."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...] | None: ...
    @property
    def dtype(self) -> str: ...


class ArrayForm(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> object: ...


def fault(inputs: Sequence[PortForm], given: Mapping[str, ArrayForm]) -> str | None:
    """Why these arrays cannot be the inputs; None if they can."""
    names = [port.name for port in inputs]
    for name in given:
        if name not in names:
            return f"there is no input {name!r}{nearest(name, names)}"
    missing = [name for name in names if name not in given]
    if missing:
        return f"input {', '.join(map(repr, missing))} is missing: give NAME=FILE.npy for each"
    return next(filter(None, (_misfit(port, given[port.name]) for port in inputs)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say after "there is no such name"."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(map(repr, names))}" if names else ""


def _misfit(port: PortForm, array: ArrayForm) -> str | None:
    if str(array.dtype) != port.dtype:
        return f"input {port.name!r} is {array.dtype}, the model takes {port.dtype}: convert it"
    if port.shape is None or fits(array.shape, port.shape):
        return None
    return f"input {port.name!r} has shape {said(array.shape)}, the model takes {said(port.shape)}"


def fits(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether it is this shape; -1 is any size."""
    return len(shape) == len(wanted) and all(
        want in {-1, size} for size, want in zip(shape, wanted, strict=True)
    )


def said(shape: Sequence[int] | None) -> str:
    """As people write it, a free size as `any`."""
    if shape is None:
        return "any shape"
    return " x ".join("any" if size < 0 else str(size) for size in shape) or "a single number"
