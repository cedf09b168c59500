"""Writing the card inside a model: TFLite metadata, as `flatmeta` reads it.

Source: tflite_support/metadata/metadata_schema.fbs (identifier M001); fields by their index.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from agent.core.tflite import flatedit, flatmeta, flatmodel, flatzip
from agent.core.tflite.flatbuild import Kind, Node, Number, Table, Tables, build, numbers, text
from agent.core.tflite.flatmeta import Card
from agent.core.tflite.flatmodel import TensorFacts
from agent.wire.documents import Normalization

LABELS_FILE: Final = "labels.txt"
_IDENTIFIER: Final = b"M001"
_PARSER: Final = "1.0.0"
"""The first version of the schema has all that is written here."""
_IMAGE_PROPERTIES: Final = 2
_FEATURE_PROPERTIES: Final = 1
_NORMALIZATION_OPTIONS: Final = 1
_AXIS_LABELS: Final = 2
_COLOUR_SPACES: Final = {3: 1, 1: 2}
"""RGB and gray, by the number of channels."""
_PIXEL_LIMITS: Final = (0.0, 255.0)
_LIMITS: Final = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0)}

_Fields = dict[int, Number | Node]


def write(content: bytes, card: Card, labels: bytes | None = None) -> bytes:
    """The model with this card in the place of the one that it has.

    Args:
        content: the .tflite file.
        card: what to say; where labels are given, they are the file that it names.
        labels: a file with the names of the first output's classes, put behind the model in the place of one
            of the same name; None leaves the files there alone.

    Raises:
        Malformed: the model is damaged.
    """
    facts = flatmodel.examine(content)
    model, files = flatzip.split(content)
    named = card.labels_file
    if labels is not None:
        named = LABELS_FILE
        files[named] = labels
    entry = build(_model(card, named, facts.inputs, facts.outputs), _IDENTIFIER)
    return flatzip.append(flatedit.with_entries(model, {flatmeta.NAME: entry}), files)


def _model(
    card: Card, labels_file: str | None, inputs: Sequence[TensorFacts], outputs: Sequence[TensorFacts]
) -> Table:
    graph = Table(
        {
            2: Tables([_input(tensor, card, first=order == 0) for order, tensor in enumerate(inputs)]),
            3: Tables(
                [_output(tensor, labels_file if order == 0 else None) for order, tensor in enumerate(outputs)]
            ),
        }
    )
    said = {0: card.name, 1: card.description, 2: card.version, 4: card.author, 5: card.licence}
    return Table({**_texts(said), 3: Tables([graph]), 7: text(_PARSER)})


def _input(tensor: TensorFacts, card: Card, *, first: bool) -> Table:
    fields: _Fields = {**_texts({0: tensor.name}), 3: _content(tensor)}
    if first and card.normalization is not None:
        fields[4] = Tables([_process(card.normalization)])
        fields[5] = _stats(card.normalization, tensor.dtype)
    return Table(fields)


def _output(tensor: TensorFacts, labels_file: str | None) -> Table:
    fields: _Fields = {**_texts({0: tensor.name}), 3: _content(tensor, image=False)}
    if labels_file is not None:
        said = {0: labels_file, 1: "Names of the classes, a line each."}
        fields[6] = Tables([Table({**_texts(said), 2: Number(Kind.I8, _AXIS_LABELS)})])
    return Table(fields)


def _content(tensor: TensorFacts, *, image: bool = True) -> Table:
    """Of a tensor: a picture with its colours, or plain features."""
    channels = tensor.shape[3] if len(tensor.shape) == 4 else 0
    if not image or channels not in _COLOUR_SPACES:
        return Table({0: Number(Kind.U8, _FEATURE_PROPERTIES), 1: Table({})})
    colours = Table({0: Number(Kind.I8, _COLOUR_SPACES[channels])})
    return Table({0: Number(Kind.U8, _IMAGE_PROPERTIES), 1: colours})


def _process(normalization: Normalization) -> Table:
    options = Table(
        {0: numbers(Kind.F32, normalization.mean), 1: numbers(Kind.F32, normalization.std)},
    )
    return Table({0: Number(Kind.U8, _NORMALIZATION_OPTIONS), 1: options})


def _stats(normalization: Normalization, dtype: str) -> Table:
    """The largest and the least value that the input takes, a channel each."""
    most, least = zip(*_ranges(normalization, dtype), strict=True)
    return Table({0: numbers(Kind.F32, most), 1: numbers(Kind.F32, least)})


def _ranges(normalization: Normalization, dtype: str) -> Iterator[tuple[float, float]]:
    for mean, std in zip(normalization.mean, normalization.std, strict=True):
        ends = _LIMITS.get(dtype) or tuple((pixel - mean) / std for pixel in _PIXEL_LIMITS)
        yield max(ends), min(ends)


def _texts(said: dict[int, str]) -> _Fields:
    return {index: text(value) for index, value in said.items() if value}
