"""A tensor of a .tflite file, as commands tell of it."""

from msgspec import Struct

from agent.core.tflite.flatmodel import TensorFacts
from agent.wire.documents import Quantization


class TensorSeen(Struct, frozen=True, kw_only=True):
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None


def seen(facts: TensorFacts) -> TensorSeen:
    return TensorSeen(name=facts.name, shape=facts.shape, dtype=facts.dtype, quantization=facts.quantization)
