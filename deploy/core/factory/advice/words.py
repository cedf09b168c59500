"""What is tried for an advice, and what comes of it."""

from msgspec import Struct

from deploy.core.factory.conversion.words import Quantize, Signature
from deploy.core.factory.words import Look, Representative, Source


class Describe(Struct, frozen=True, kw_only=True, tag="describe"):
    """A source is converted in several modes only to see what comes of it; nothing of it is released."""

    source: Source
    folder: str
    """An empty one, for what is made; the caller removes it."""
    modes: tuple[Quantize, ...]
    representative: tuple[Representative, ...] = ()
    """None: ranges are set by noise, which gives the right size and operators, and wrong answers."""
    look: Look = Look()
    shapes: dict[str, tuple[int, ...]] = {}
    edgetpu: bool = False
    """As in `Convert`."""


class Timed(Struct, frozen=True, kw_only=True):
    """One inference on one thread of the machine that the factory runs on."""

    runtime: str
    """Name and version; empty: none runs the model."""
    least_ms: float
    """Of the calls the fastest: the others were held up by whatever else ran."""
    calls: int
    fault: str = ""


class Tried(Struct, frozen=True, kw_only=True):
    mode: Quantize
    file: str = ""
    """Absolute path of what was made; empty: the mode is refused."""
    refusal: str = ""
    timed: Timed | None = None


class Described(Struct, frozen=True, kw_only=True, tag="described"):
    signatures: tuple[Signature, ...]
    samples: int
    """Of the representative data that was given; 0: noise."""
    quantized: bool = False
    """The source is a .tflite file that is quantized already, and was only looked at."""
    tried: tuple[Tried, ...]
    foreign: str = ""
    """Absolute path of the float model with the operators outside the built-in set left in; empty: there are
    none, or it could not be made even so."""
    remarks: tuple[str, ...] = ()
