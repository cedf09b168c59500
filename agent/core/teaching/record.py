"""What a taught model keeps of how it was taught: an entry of its file."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from agent.core.teaching.imprint import Prototype
from agent.wire.documents import HexDigest
from agent.wire.errors import Malformed

ENTRY: Final = "shoal.taught"


class Label(Struct, frozen=True, kw_only=True):
    name: str
    pictures: Annotated[int, Meta(ge=1)]
    alike: Annotated[float, Meta(gt=0.0, le=1.001)]
    """The length of its mean embedding."""


class Record(Struct, frozen=True, kw_only=True):
    base: HexDigest
    """Of the model that was taught first."""
    layer: str
    """The tensor that is its embedding."""
    scale: Annotated[float, Meta(gt=0.0)]
    familiar: float
    """The cosine below which a picture is like no label."""
    labels: tuple[Label, ...]
    unknown: str | None = None
    """The class, after all labels, of what is like none of them."""


def read(entries: Mapping[str, bytes]) -> Record | None:
    """None: the model was not taught.

    Raises:
        Malformed: the record cannot be read.
    """
    entry = entries.get(ENTRY)
    if entry is None:
        return None
    try:
        return msgspec.json.decode(entry, type=Record)
    except msgspec.MsgspecError as error:
        raise Malformed(f"it was taught, and its record of that cannot be read: {error}") from error


def prototypes(record: Record, weights: NDArray[np.float32]) -> tuple[Prototype, ...]:
    """What is kept of each label.

    Raises:
        Malformed: the record is not of these weights.
    """
    if len(weights) != len(record.labels) + (record.unknown is not None):
        raise Malformed("it was taught, and changed by another program since: teach it anew")
    return tuple(
        Prototype(label.name, label.pictures, row.astype(np.float64) / record.scale * label.alike)
        for label, row in zip(record.labels, weights, strict=False)
    )


def labels(whole: Sequence[Prototype]) -> tuple[Label, ...]:
    return tuple(
        Label(
            name=prototype.label,
            pictures=prototype.pictures,
            alike=float(np.linalg.norm(prototype.mean)),
        )
        for prototype in whole
    )
