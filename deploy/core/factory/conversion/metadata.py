"""What a converted model says about itself: the standard card, and where it came from."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from agent.core.inference import describing
from agent.core.tflite import flatedit
from agent.core.tflite.flatmeta import Card
from agent.wire.documents import HexDigest, Normalization
from agent.wire.errors import Malformed
from deploy.core.factory.words import Calibration

PROVENANCE: Final = "shoal.provenance"


class CardToWrite(Struct, frozen=True, kw_only=True):
    """For people and for programs that read TFLite metadata; empty where there is nothing to say."""

    name: str = ""
    description: str = ""
    version: str = ""
    author: str = ""
    licence: str = ""
    normalization: Normalization | None = None
    """Of the first input."""


class Provenance(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model was made from; no dates and no paths, so that the same inputs make the same bytes."""

    source_digest: HexDigest
    converter: str
    """Name and version."""
    flags: tuple[str, ...] = ()
    """What the converter was told, such as `quantize=int8`."""
    calibration: Calibration | None = None


def write(content: bytes, card: CardToWrite, labels: Sequence[str] | None) -> bytes:
    """The model with this card in the place of the one that it has, and with the names of its classes.

    Raises:
        Malformed: the model is damaged, or the labels are not as many as the classes.
    """
    said = Card(
        name=card.name,
        description=card.description,
        version=card.version,
        author=card.author,
        licence=card.licence,
        normalization=card.normalization,
    )
    return describing.describe(content, said, labels)


def with_provenance(content: bytes, origin: Provenance) -> bytes:
    """
    Raises:
        Malformed: the model is damaged.
    """
    return flatedit.with_entries(content, {PROVENANCE: msgspec.json.encode(origin)})


def provenance(content: bytes) -> Provenance | None:
    """Where the model says that it came from; None where it does not say.

    Raises:
        Malformed: the model is damaged, or what it says cannot be read.
    """
    entry = flatedit.entries(content).get(PROVENANCE)
    if entry is None:
        return None
    try:
        return msgspec.json.decode(entry, type=Provenance)
    except msgspec.MsgspecError as error:
        raise Malformed(f"its {PROVENANCE} cannot be read: {error}") from error
