"""Which signatures are converted, and the sizes that a source leaves open."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from msgspec.structs import replace

from agent.core.tflite import invocation
from deploy.core.factory.conversion.words import TensorForm
from deploy.core.refusal import Refused

OPEN: Final = -1
BATCH: Final = 1
"""Devices look at one picture at a time."""


class Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


def chosen(entries: Sequence[N], wanted: Sequence[str]) -> tuple[N, ...]:
    """
    Args:
        entries: all that the source has.
        wanted: names; none means all.

    Raises:
        Refused: there is no such signature, or none at all.
    """
    by_name = {entry.name: entry for entry in entries}
    for name in wanted:
        if name not in by_name:
            raise Refused(f"the model has no signature {name!r}{invocation.nearest(name, by_name)}")
    if not entries:
        raise Refused("the model has no signature: save it with one, or give a function as module:function")
    return tuple(by_name[name] for name in wanted) or tuple(entries)


def fixed(
    signature: str, inputs: Iterable[TensorForm], given: Mapping[str, tuple[int, ...]]
) -> tuple[TensorForm, ...]:
    """The inputs with their sizes: those that were given, and a batch of one where it is open.

    Args:
        signature: for the refusal.
        inputs: as the source declares them.
        given: whole shapes by name of input; -1 leaves a size open knowingly.

    Raises:
        Refused: a shape that was given does not fit, or a size stays open and none was given.
    """
    return tuple(_fixed(signature, form, given.get(form.name)) for form in inputs)


def _fixed(signature: str, form: TensorForm, given: tuple[int, ...] | None) -> TensorForm:
    if given is not None:
        fits = len(given) == len(form.shape) and all(
            size in {OPEN, want} for size, want in zip(form.shape, given, strict=True)
        )
        if not fits:
            raise Refused(
                f"input {form.name!r} is {invocation.said(form.shape)} in the model: "
                f"--shape {form.name}={as_option(given)} does not fit"
            )
        return replace(form, shape=given)
    batched = (BATCH, *form.shape[1:]) if form.shape[:1] == (OPEN,) else form.shape
    if OPEN in batched:
        example = as_option(tuple(8 if size == OPEN else size for size in batched))
        raise Refused(
            f"input {form.name!r} of signature {signature!r} leaves sizes open "
            f"({invocation.said(form.shape)}): fix them, for instance with --shape {form.name}={example}"
        )
    return replace(form, shape=batched)


def check_names(given: Mapping[str, tuple[int, ...]], inputs: Iterable[TensorForm]) -> None:
    """
    Raises:
        Refused: a shape was given for an input that no signature has.
    """
    names = [form.name for form in inputs]
    for name in given:
        if name not in names:
            raise Refused(f"--shape {name}=...: there is no input {name!r}{invocation.nearest(name, names)}")


def as_option(shape: Sequence[int]) -> str:
    return "x".join("any" if size == OPEN else str(size) for size in shape)


def said(forms: Iterable[TensorForm]) -> str:
    return (
        ", ".join(f"{form.name!r} {invocation.said(form.shape)} {form.dtype}" for form in forms) or "no input"
    )
