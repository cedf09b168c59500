"""What a converted model says about itself: the standard card, and where it came from."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import msgspec
from msgspec import Struct

from agent.core.tflite import flatedit
from agent.core.tflite.flatmeta import Card
from agent.wire.documents import HexDigest
from agent.wire.errors import Malformed
from deploy.core.factory.conversion.words import Calibration, Convert, Converted
from deploy.core.factory.words import Look

PROVENANCE: Final = "shoal.provenance"


class Provenance(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model was made from; no dates and no paths, so that the same inputs make the same bytes."""

    source_digest: HexDigest
    converter: str
    """Name and version."""
    flags: tuple[str, ...] = ()
    """What the converter was told, such as `quantize=int8`."""
    calibration: Calibration | None = None


def card(given: Card, look: Look, converted: Converted) -> Card:
    """The operator's card with the normalization of a picture's input."""
    inputs = converted.signatures[0].inputs
    pictures = len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].dtype == "float32"
    return replace(given, normalization=look.normalization) if pictures else given


def flags(order: Convert) -> tuple[str, ...]:
    """What the converter was told, without places: the same flags make the same bytes anywhere."""
    return tuple(_flags(order))


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


def _flags(order: Convert) -> Iterator[str]:
    yield f"quantize={order.quantize}"
    for name in order.signatures:
        yield f"signature={name}"
    for name, shape in sorted(order.shapes.items()):
        yield f"shape={name}={'x'.join(map(str, shape))}"
    if order.representative:
        yield f"fit={order.look.fit}"
    if order.float_fallback:
        yield "float-fallback"
    if order.edgetpu:
        yield "edgetpu"
    for name in sorted(order.select_tf):
        yield f"select-tf={name}"
    for name in sorted(order.custom):
        yield f"custom={name}"
    if order.accept_difference is not None:
        yield f"accept-difference={order.accept_difference:g}"
