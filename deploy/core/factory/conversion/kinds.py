"""What a source is, by its name and what lies in it."""

import re
from collections.abc import Collection
from typing import Final

from deploy.core.factory.words import SourceKind
from deploy.core.refusal import Refused

_FUNCTION: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_SUFFIXES: Final = {
    ".keras": SourceKind.KERAS,
    ".h5": SourceKind.KERAS,
    ".hdf5": SourceKind.KERAS,
    ".onnx": SourceKind.ONNX,
    ".tflite": SourceKind.TFLITE,
}
_SAVED_MODEL: Final = frozenset({"saved_model.pb", "saved_model.pbtxt"})
_KNOWN: Final = (
    "known are a SavedModel's folder, .keras, .h5, .onnx, a float .tflite, and module:function from the "
    "folder that its module lies in"
)
_ELSEWHERE: Final = {
    ".pt": "PyTorch weights need their network",
    ".pth": "PyTorch weights need their network",
    ".pb": "a frozen graph says nothing of its inputs",
    ".ckpt": "a checkpoint holds weights and no model",
}


def is_function(given: str) -> bool:
    """Whether it reads as `module:function`."""
    return _FUNCTION.fullmatch(given) is not None


def kind(given: str, inside: Collection[str] | None) -> SourceKind:
    """
    Args:
        given: the path as it was typed.
        inside: the names in the folder that it is; None for a file.

    Raises:
        Refused: it is nothing that the factory knows.
    """
    if inside is not None:
        if _SAVED_MODEL.isdisjoint(inside):
            raise Refused(f"{given} is a folder without saved_model.pb, so no SavedModel; {_KNOWN}")
        return SourceKind.SAVED_MODEL
    suffix = f".{given.rpartition('.')[2].lower()}"
    found = _SUFFIXES.get(suffix)
    if found is None:
        why = _ELSEWHERE.get(suffix)
        raise Refused(
            f"{given}: {why}: give a function that returns the model, as module:function"
            if why
            else f"{given} is no kind of model that the factory knows; {_KNOWN}"
        )
    return found


def representative(given: str, *, exists: bool) -> tuple[str, str]:
    """Signature, empty where none is named, and place.

    Args:
        given: `PLACE` or `SIGNATURE=PLACE`.
        exists: whether there is a file or folder of this whole name.
    """
    signature, equals, place = given.partition("=")
    return (signature, place) if equals and not exists else ("", given)
