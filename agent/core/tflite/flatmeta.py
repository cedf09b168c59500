"""The card inside a model: TFLite metadata (a flatbuffer of its own, identifier M001).

Source: tflite_support/metadata/metadata_schema.fbs.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.core.tflite.flatbuffer import Table, root
from agent.wire.documents import Normalization
from agent.wire.errors import Malformed

NAME: Final = "TFLITE_METADATA"
_IDENTIFIER: Final = b"M001"
_NORMALIZATION_OPTIONS: Final = 1
_AXIS_LABELS: Final = 2


@dataclass(frozen=True, slots=True)
class Card:
    """What the model's author wrote into it; empty strings where nothing."""

    name: str = ""
    description: str = ""
    version: str = ""
    author: str = ""
    licence: str = ""
    normalization: Normalization | None = None
    """Of the first input."""
    labels_file: str | None = None
    """The appended file that names the classes of the first output."""


def read(content: bytes) -> Card | None:
    """The card, None where the bytes are no metadata of this schema: it is a courtesy, never required."""
    if content[4:8] != _IDENTIFIER:
        return None
    try:
        return _card(root(content))
    except Malformed:
        return None


def _card(model: Table) -> Card:
    graph = next(model.tables(3), None)
    return Card(
        name=model.text(0),
        description=model.text(1),
        version=model.text(2),
        author=model.text(4),
        licence=model.text(5),
        normalization=None if graph is None else _normalization(graph),
        labels_file=None if graph is None else _labels_file(graph),
    )


def _normalization(graph: Table) -> Normalization | None:
    tensor = next(graph.tables(2), None)
    for unit in () if tensor is None else tensor.tables(4):
        options = unit.table(1) if unit.u8(0) == _NORMALIZATION_OPTIONS else None
        if options is not None:
            return _usable(options.floats(0), options.floats(1))
    return None


def _usable(mean: tuple[float, ...], std: tuple[float, ...]) -> Normalization | None:
    numbers_are_finite = all(math.isfinite(value) for value in (*mean, *std))
    if not mean or len(mean) != len(std) or not numbers_are_finite or not all(std):
        return None
    return Normalization(mean=mean, std=std)


def _labels_file(graph: Table) -> str | None:
    tensor = next(graph.tables(3), None)
    files = () if tensor is None else _label_files(tensor)
    return next(iter(files), None)


def _label_files(tensor: Table) -> Iterator[str]:
    for file in tensor.tables(6):
        if file.i8(2) == _AXIS_LABELS:
            yield file.text(0)
