"""Arrays become samples of a model's inputs, or one sentence says why they are none."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.core.tflite import invocation
from deploy.core.factory.conversion.words import Signature, TensorForm
from deploy.core.refusal import Refused

Array = NDArray[np.generic]
TEXT: Final = frozenset({"string", "bytes", "str", "object"})
"""What libraries call the type of a tensor of texts."""


def named(given: object, signature: Signature, place: str) -> Mapping[str, object]:
    """What a function or file gave, by name of input.

    Args:
        given: a mapping by name, a list or tuple in the order of the inputs, or one array for one input.
        signature: whose inputs they are.
        place: where it came from, for the refusal.

    Raises:
        Refused: an input is missing.
    """
    names = [form.name for form in signature.inputs]
    if isinstance(given, Mapping):
        missing = [name for name in names if name not in given]
        if missing and len(names) == len(given) == 1:
            return {names[0]: next(iter(given.values()))}
        if missing:
            raise Refused(
                f"{place} has {_listed(sorted(map(str, given)))} and lacks the input {_listed(missing)}: "
                f"name what it gives as the model does, {_listed(names)}"
            )
        return {name: given[name] for name in names}
    parts = list(given) if isinstance(given, (list, tuple)) else [given]
    if len(parts) != len(names):
        raise Refused(
            f"{place} gives {len(parts)} arrays, and the model takes {len(names)}: {_listed(names)}"
        )
    return dict(zip(names, parts, strict=True))


def cut(array: Array, form: TensorForm, place: str) -> Sequence[Array]:
    """The samples in an array, each of the input's rank.

    Its first axis counts samples; an array that lacks the batch's axis is one sample.

    Raises:
        Refused: it has another shape.
    """
    rank, wanted = len(form.shape), form.shape
    if array.ndim == rank + 1 and invocation.fits(array.shape[1:], wanted):
        return [array[index] for index in range(len(array))]
    batch = max(wanted[0], 1) if wanted else 1
    if array.ndim == rank and invocation.fits(array.shape[1:], wanted[1:]) and len(array) % batch == 0:
        return [array[start : start + batch] for start in range(0, len(array), batch)]
    if array.ndim == rank - 1 and batch == 1 and invocation.fits(array.shape, wanted[1:]):
        return [array[np.newaxis]]
    one = wanted[1:] if wanted[:1] in {(1,), (-1,)} else wanted
    batches = f" in batches of {batch}" if batch > 1 else ""
    raise Refused(
        f"{place}: {form.name} has the shape {invocation.said(array.shape)}, and the model takes samples of "
        f"{invocation.said(one)}{batches}: give that, with the samples along the first axis"
    )


def cast(array: Array, form: TensorForm, place: str) -> Array:
    """In the input's type, where nothing but digits of a float is lost by that.

    Raises:
        Refused: the numbers are of another kind, or do not fit.
    """
    if form.dtype in TEXT:
        return _texts(array, form, place)
    wanted = np.dtype(form.dtype)
    kinds = {array.dtype.kind, wanted.kind}
    if array.dtype != wanted and not (kinds <= {"i", "u"} or kinds == {"f"}):
        raise Refused(
            f"{place}: {form.name} is {array.dtype}, and the model takes {wanted}: "
            "give what the model is fed in training, scaled in the same way"
        )
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(array, dtype=wanted)
    if wanted.kind in "iu" and not np.array_equal(found, array):
        raise Refused(
            f"{place}: {form.name} has numbers from {array.min()} to {array.max()}, beyond those of {wanted}"
        )
    return found.reshape(array.shape)


def _texts(array: Array, form: TensorForm, place: str) -> Array:
    if array.dtype.kind not in "SUO":
        raise Refused(f"{place}: {form.name} is {array.dtype}, and the model takes texts")
    texts = [text if isinstance(text, bytes) else str(text).encode() for text in array.reshape(-1)]
    return np.array(texts, dtype=np.bytes_).reshape(array.shape)


def check_finite(array: Array, name: str, index: int, place: str) -> None:
    """
    Raises:
        Refused: there is a NaN or an infinity: no range can be taken of that.
    """
    if array.dtype.kind != "f" or bool(np.isfinite(array).all()):
        return
    at = np.argwhere(~np.isfinite(array))[0]
    where = ", ".join(str(int(each)) for each in at)
    what = "NaN" if bool(np.isnan(array[tuple(at)])) else "infinity"
    raise Refused(f"{place}: sample {index} of {name} has {what} at [{where}]: take it out, or mend it")


def parts(given: Mapping[str, Array], signature: Signature, place: str) -> Mapping[str, Sequence[Array]]:
    """The samples of each input, by its name; as many of each.

    Raises:
        Refused: a shape is not the model's, or the inputs have different numbers of samples.
    """
    found = {form.name: cut(given[form.name], form, place) for form in signature.inputs}
    if len({len(each) for each in found.values()}) > 1:
        told = _listed([f"{len(each)} of {name}" for name, each in found.items()])
        raise Refused(f"{place} has {told}: each sample needs all inputs")
    return found


def at(
    found: Mapping[str, Sequence[Array]], index: int, signature: Signature, place: str
) -> Mapping[str, Array]:
    """One sample of `parts`, in the types of the inputs.

    Raises:
        Refused: see `cast`.
    """
    return {form.name: cast(found[form.name][index], form, place) for form in signature.inputs}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"
