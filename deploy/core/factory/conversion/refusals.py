"""What TensorFlow's converter says when it fails, in one sentence that names the operator and the remedy.

Its messages are pages of MLIR; the patterns are of tensorflow/compiler/mlir/lite (flatbuffer_export.cc, "Some
ops are not supported ...") and of its quantizers ("Quantization ... not yet supported for op").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deploy.core.factory.conversion.words import Quantize

_KINDS: Final = {"TF Select ops": "--select-tf", "Custom ops": "--custom"}
_LISTED: Final = re.compile(r"^(TF Select ops|Custom ops): (.+)$", re.MULTILINE)
_NEEDS: Final = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")
_PLACE: Final = re.compile(r'fused\["(\w+):", "([^"@]*)(?:@[^"]*)?"\]')
_NOT_QUANTIZED: Final = re.compile(r"Quantization (?:to 16x8-bit )?not yet supported for op: '?(\w+)")
_UNRANGED: Final = re.compile(
    r"Max and min for dynamic tensors should be recorded.*tensor \w*?_?default_(\w+)"
)
"""Of whole numbers the quantizer of 16 bits wants ranges too, and its calibration takes none."""
_DETAIL: Final = re.compile(r"^\s*tf\.(\w+)(\(.*)$", re.MULTILINE)
"""Of an operator that was refused: its name, and the types that it takes and gives."""
_FOREIGN_TYPE: Final = re.compile(r"[x<](bf16|f16|f64)>")
_TYPES: Final = {"bf16": "bfloat16", "f16": "float16", "f64": "float64"}
_TENSOR_LIST: Final = re.compile(r"TensorList(?:Reserve|FromTensor|Stack|SetItem|GetItem)")
_SENTENCE_MAX: Final = 240
_RUNTIMES: Final = "which no device of Shoal runs"


def sentence(quantize: Quantize, said: str) -> str:
    """
    Args:
        quantize: the mode that it was asked for.
        said: the whole message.
    """
    return (
        _outside(said)
        or _not_quantized(quantize, said)
        or _unranged(quantize, said)
        or f"TensorFlow's converter refuses it in mode {quantize}: {_first(said)}"
    )


def _outside(said: str) -> str | None:
    found = [(kind, name) for kind, names in _LISTED.findall(said) for name in names.split(", ")]
    if not found:
        found = [("TF Select ops", name) for name in _NEEDS.findall(said)[:1]]
    if not found:
        return None
    if _TENSOR_LIST.search(" ".join(name for _, name in found)):
        return (
            f"the operator {found[0][1]} keeps a list whose size is open, as recurrent layers do over an "
            "open batch: fix every size with --shape NAME=1x..., or build the layer with unroll=True"
        )
    names = list(dict.fromkeys(name.removeprefix("tf.") for _, name in found))
    many = "operators" if len(names) > 1 else "operator"
    pronoun = "them" if len(names) > 1 else "it"
    subject = f"the {many} {', '.join(names)}{_at(said, names[0])}"
    foreign = _foreign_type(said, names)
    if foreign is not None:
        return (
            f"{subject} {'compute' if len(names) > 1 else 'computes'} in {foreign}, and TensorFlow Lite does "
            f"in float32: build {pronoun} in float32 (--quantize float16 keeps weights in 16 bits)"
        )
    options = dict.fromkeys((kind, name.removeprefix("tf.")) for kind, name in found)
    return (
        f"{subject} {'are' if len(names) > 1 else 'is'} outside TensorFlow Lite's built-in set: replace "
        f"{pronoun} in the model; {_left_in(list(options))} leaves {pronoun} in, {_RUNTIMES}"
    )


def _left_in(found: Sequence[tuple[str, str]]) -> str:
    by_kind = {kind: [name for each, name in found if each == kind] for kind, _ in found}
    return " ".join(f"{_KINDS[kind]} {' '.join(names)}" for kind, names in by_kind.items())


def _foreign_type(said: str, names: Sequence[str]) -> str | None:
    """In which all of them compute, where that alone is what the converter lacks."""
    found = [_FOREIGN_TYPE.search(types) for name, types in _DETAIL.findall(said) if name in names]
    wide = {_TYPES[each[1]] for each in found if each is not None}
    return " and ".join(sorted(wide)) if found and all(found) else None


def _at(said: str, operator: str) -> str:
    places = dict(reversed(_PLACE.findall(said)))
    place = places.get(operator, "")
    return f" (at {place})" if place and place != operator else ""


def _not_quantized(quantize: Quantize, said: str) -> str | None:
    names = list(dict.fromkeys(_NOT_QUANTIZED.findall(said)))
    return _no_integer_form(quantize, ", ".join(names)) if names else None


def _unranged(quantize: Quantize, said: str) -> str | None:
    found = _UNRANGED.search(said)
    if found is None:
        return None
    return (
        f"mode {quantize} takes no input of whole numbers ({found[1]!r}), such as those of words: choose "
        "int8, or int8-float-io"
    )


@dataclass(frozen=True, slots=True)
class Placed:
    operator: str
    layer: str
    """What the source calls its place."""


def in_float(quantize: Quantize, found: Sequence[Placed]) -> str:
    """That a full-integer model has operators that compute in float.

    Args:
        quantize: the mode that allows none.
        found: at least one.
    """
    names = list(dict.fromkeys(f"{each.operator} (at {each.layer})" for each in found))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return _no_integer_form(quantize, ", ".join(names[:3]) + more)


def _no_integer_form(quantize: Quantize, names: str) -> str:
    return (
        f"mode {quantize} is full integer, and there is no integer form of {names}: --float-fallback leaves "
        "that in float, int8-float-io does so by itself, and an Edge TPU takes neither"
    )


def _first(said: str) -> str:
    lines = (line.strip() for line in said.splitlines())
    found = next((line for line in lines if line), "it does not say why")
    found = re.sub(r"loc\(.*?\)+: |<unknown>:0: ", "", found)
    return found if len(found) <= _SENTENCE_MAX else f"{found[:_SENTENCE_MAX]}..."
