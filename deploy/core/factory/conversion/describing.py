"""What a conversion writes about itself into the file."""

from collections.abc import Iterator

from msgspec.structs import replace

from deploy.core.factory.conversion.metadata import CardToWrite
from deploy.core.factory.words import Convert, Converted, Look


def card(given: CardToWrite, look: Look, converted: Converted) -> CardToWrite:
    """The operator's card with the normalization of a picture's input."""
    inputs = converted.signatures[0].inputs
    pictures = len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].dtype == "float32"
    return replace(given, normalization=look.normalization) if pictures else given


def flags(order: Convert) -> tuple[str, ...]:
    """What the converter was told, without places: the same flags make the same bytes anywhere."""
    return tuple(_flags(order))


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
