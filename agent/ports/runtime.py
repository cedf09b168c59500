"""A TFLite runtime and the models it has loaded."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent.wire.documents import Dtype, Quantization
from agent.wire.ipc import EdgeTpu

Tensor = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    name: str
    shape: tuple[int, ...]
    dtype: Dtype
    quantization: Quantization | None


class Model(Protocol):
    """A loaded model: one input, and an output of one score a class. Used by one thread at a time."""

    input: TensorInfo
    output: TensorInfo
    delegate: str
    """What computes it: `xnnpack`, `cpu` (the runtime's own kernels) or `edgetpu`."""
    delegate_reason: str
    runtime: str
    """Name and version, such as `ai-edge-litert 2.3.0`."""

    def invoke(self, tensor: Tensor) -> Tensor:
        """The output for an input of exactly `input.shape` and dtype; a copy, never a view.

        Raises:
            ModelUnloadable: the runtime failed in the middle; the model must not be used again.
            DelegateUnavailable: the Edge TPU failed in the middle; same.
        """
        ...


class Runtime(Protocol):
    name: str

    def load(self, content: bytes, *, threads: int, edgetpu: EdgeTpu | None = None) -> Model:
        """
        Args:
            content: the whole file.
            threads: that compute on the CPU.
            edgetpu: which Edge TPU to open for a model that is compiled for one; ignored for all others.
                Opening takes up to ten seconds, in which other Python threads run.

        Raises:
            ModelUnloadable: with the runtime's reason; a model that is no classifier too.
            DelegateUnavailable: the Edge TPU cannot be opened.
        """
        ...
