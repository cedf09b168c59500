"""What a conversion is told, and what comes of it."""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from agent.wire.documents import HexDigest
from deploy.core.factory.words import Look, Representative, Source

SAMPLES_ADVISED: Final = (100, 500)
"""Of representative data: fewer leave ranges unseen, more only cost time (TensorFlow Lite's guide of
post-training quantization)."""


class Quantize(StrEnum):
    """The modes of TensorFlow Lite's converter, one name each."""

    NONE = "none"
    DYNAMIC = "dynamic"
    """8-bit weights; activations are quantized while it runs."""
    FLOAT16 = "float16"
    """16-bit weights; it computes in 32."""
    INT8_FLOAT_IO = "int8-float-io"
    """Integer inside where an operator has an integer form, float at both ends."""
    INT8 = "int8"
    """Full integer, int8 at both ends; refused where an operator has no integer form."""
    UINT8 = "uint8"
    """As `int8`, with uint8 at both ends."""
    INT16X8 = "int16x8"
    """16-bit activations, 8-bit weights."""

    @property
    def calibrated(self) -> bool:
        """Whether representative data sets the ranges of activations."""
        return self not in {Quantize.NONE, Quantize.DYNAMIC, Quantize.FLOAT16}


class TensorForm(Struct, frozen=True, kw_only=True):
    name: str
    """Within its signature."""
    shape: tuple[int, ...]
    """-1: left open."""
    dtype: str


class Signature(Struct, frozen=True, kw_only=True):
    name: str
    inputs: tuple[TensorForm, ...]
    outputs: tuple[TensorForm, ...]


class Calibration(Struct, frozen=True, kw_only=True):
    """Which samples set the ranges."""

    samples: int
    digest: HexDigest
    """Over every array in its order: name, shape, dtype, bytes."""


class Agreement(Struct, frozen=True, kw_only=True):
    """A converted model beside its float parent over the same samples; of all outputs the worst."""

    samples: int
    difference_max: float
    """Largest distance of an output's element, over the range of the parent's output."""
    difference_mean: float
    """Of each sample the largest distance, on average."""
    same_first_share: Annotated[float, Meta(ge=0.0, le=1.0)] | None
    """Of samples on which both name the same class; None where the model is no classifier."""


class Convert(Struct, frozen=True, kw_only=True, tag="convert"):
    source: Source
    quantize: Quantize
    out: str
    """Where the child writes it: a scratch file, moved by whoever asked."""
    representative: tuple[Representative, ...] = ()
    look: Look = Look()
    signatures: tuple[str, ...] = ()
    """Only these; none: all that the source has."""
    shapes: dict[str, tuple[int, ...]] = {}
    """Of inputs whose source leaves their shape open, by name."""
    float_fallback: bool = False
    """Operators without an integer form stay in float (`int8`, `uint8`, `int16x8`)."""
    edgetpu: bool = False
    """Dense layers get one scale for their whole matrix: the Edge TPU's compiler is older than one a channel,
    which TensorFlow gives them since 2.17 (tensorflow/tensorflow issue 73946)."""
    select_tf: tuple[str, ...] = ()
    """TensorFlow's own operators that may be left in, by name: no device of Shoal runs them."""
    custom: tuple[str, ...] = ()
    """Custom operators that may be left in, by name."""
    accept_difference: Annotated[float, Meta(ge=0.0)] | None = None
    """How far `Agreement.difference_mean` may go; None: as far as the mode explains."""


class Converted(Struct, frozen=True, kw_only=True, tag="converted"):
    converter: str
    """Name and version."""
    source_digest: HexDigest
    signatures: tuple[Signature, ...]
    calibration: Calibration | None
    agreement: Agreement | None
    """None: nothing here runs the custom operators that were left in."""
    compared_on: str
    """Name and version of the runtime that computed it for the comparison; empty: none could."""
    remarks: tuple[str, ...] = ()
