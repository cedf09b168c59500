"""What is said about a source before anybody converts it: the document of `shoal advise`."""

from msgspec import Struct

from agent.wire.documents import Fit, Normalization
from deploy.core.factory.advice.choosing import Target
from deploy.core.factory.conversion.words import Quantize, Signature
from deploy.core.factory.tflite.tensor_seen import TensorSeen


class ModeSeen(Struct, frozen=True, kw_only=True):
    """One mode, as the converter itself made it."""

    mode: Quantize
    refusal: str = ""
    """Empty: it can be made."""
    length_bytes: int = 0
    float_share: float | None = None
    """Its length over that of the float model."""
    least_ms: float | None = None
    """On one thread of this machine; None: no runtime here runs it."""
    runtime: str = ""
    inputs: tuple[TensorSeen, ...] = ()
    """What the device sees."""
    outputs: tuple[TensorSeen, ...] = ()
    remarks: tuple[str, ...] = ()


class Outside(Struct, frozen=True, kw_only=True):
    """An operator that TensorFlow Lite does not have."""

    operator: str
    layer: str
    instead: str
    """Empty: nothing is known."""


class OnCpu(Struct, frozen=True, kw_only=True):
    """An operator that an Edge TPU leaves to the CPU."""

    operator: str
    layer: str
    reason: str
    instead: str


class EdgeTpuSeen(Struct, frozen=True, kw_only=True):
    """What the rules of the compiler say of the full-integer file."""

    operators: int
    mapped: int
    cut: OnCpu | None
    """The first that stays on the CPU, and everything after it does too."""
    others: tuple[OnCpu, ...]
    """After the cut, those that would have to change as well."""
    parameter_bytes: int
    streamed_bytes: int
    """Parameters that do not fit onto the chip."""
    refusal: str
    """Why the compiler would write nothing; empty: it would."""
    doubt: str
    """What it may fail on without saying so."""


class Budget(Struct, frozen=True, kw_only=True):
    wanted_ms: float
    found_ms: float | None
    """Of the mode that is advised, on this machine, on its CPU."""


class Advised(Struct, frozen=True, kw_only=True):
    source: str
    target: Target
    convertible: bool
    """As it is, in at least one mode."""
    quantized: bool
    """It is a .tflite file that is quantized already: there is nothing to convert."""
    signatures: tuple[Signature, ...]
    samples: int
    """Of representative data; 0: sizes and times are right all the same, answers would not be."""
    multiplications: int
    """Multiply-accumulate operations of one inference."""
    modes: tuple[ModeSeen, ...]
    outside: tuple[Outside, ...]
    edgetpu: EdgeTpuSeen | None
    """None: the target is a CPU, or there is no full-integer file."""
    mode: Quantize | None
    """The one that is advised."""
    reasons: tuple[str, ...]
    needs: tuple[str, ...]
    fit: Fit
    normalization: Normalization | None
    """Of a float input; None: (byte - 127.5) / 127.5."""
    budget: Budget | None
    changes: tuple[str, ...]
    """What to do otherwise in the source."""
