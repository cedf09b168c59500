"""A loaded model of any kind: called by signature, with as many tensors as it has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.ports.runtime import Tensor
from agent.wire.documents import Quantization


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output. A size of -1 is free; a shape of None is free altogether."""

    name: str
    shape: tuple[int, ...] | None
    dtype: str
    quantization: Quantization | None


@dataclass(frozen=True, slots=True)
class Signature:
    """A name to call it by, empty for the plain inputs and outputs of a model that declares no signature."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


class Callables(Protocol):
    """Used by one thread at a time."""

    signatures: tuple[Signature, ...]
    runtime: str

    def call(self, signature: Signature, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every output by its name, as a copy. What the model remembers stays for the next call.

        Raises:
            ModelUnloadable: the runtime refused these shapes, or failed in the middle.
        """
        ...
