"""What all orders to the factory are made of."""

from enum import StrEnum

from msgspec import Struct

from agent.wire.documents import Fit, Normalization


class SourceKind(StrEnum):
    SAVED_MODEL = "saved-model"
    KERAS = "keras"
    FUNCTION = "function"
    """`module:function` of the operator's own Python; what it returns says what it is."""
    ONNX = "onnx"
    TFLITE = "tflite"


class Source(Struct, frozen=True, kw_only=True):
    """A trained model."""

    kind: SourceKind
    place: str
    """An absolute path; for a function `module:function`."""


class Look(Struct, frozen=True, kw_only=True):
    """How a picture becomes the model's input: as on the device (`agent.core.inference.tensors`)."""

    fit: Fit = Fit.CENTRE_CROP
    normalization: Normalization | None = None
    """None: (byte - 127.5) / 127.5 for float inputs."""


class Representative(Struct, frozen=True, kw_only=True):
    """Data like that which the model will see."""

    place: str
    """An absolute path of a folder of pictures or an .npz file; or `module:function`, which gives samples."""
    signature: str = ""
    """Whose inputs it feeds; empty: of the only one, or of all."""


class Progress(Struct, frozen=True, kw_only=True, tag="progress"):
    what: str
    done: int = 0
    total: int = 0
    """0: unknown."""


class Refusal(Struct, frozen=True, kw_only=True, tag="refusal"):
    """The order cannot be carried out as given; nothing was written."""

    detail: str
    """One sentence: what, with which value, against which limit, what to do."""
