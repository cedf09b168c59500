"""A runtime that answers what it was told to."""

from collections.abc import Mapping, Sequence

import numpy as np

from agent.ports.runtime import Model, Tensor, TensorInfo
from agent.wire.documents import Dtype, Quantization
from agent.wire.errors import ModelUnloadable
from agent.wire.ipc import EdgeTpu

INPUT = TensorInfo("image", (1, 4, 6, 3), Dtype.UINT8, Quantization(scale=1 / 128, zero_point=128))
OUTPUT = TensorInfo("scores", (1, 3), Dtype.UINT8, Quantization(scale=1 / 256, zero_point=0))


class ScriptedModel:
    """Gives the answers in turn, again and again; one that is an exception is raised.

    What it was fed is in `fed`. Without answers it gives the same shares always, the first class best.
    """

    def __init__(
        self,
        answers: Sequence[Sequence[float] | ModelUnloadable] = (),
        *,
        image: TensorInfo = INPUT,
        scores: TensorInfo = OUTPUT,
        delegate: str = "cpu",
    ) -> None:
        self.input = image
        self.output = scores
        self.delegate = delegate
        self.delegate_reason = "it was told so"
        self.runtime = "scripted 1.0"
        self.fed: list[Tensor] = []
        self._answers = answers or [[255, *[0] * (scores.shape[-1] - 1)]]

    def invoke(self, tensor: Tensor) -> Tensor:
        if tensor.shape != self.input.shape or tensor.dtype != np.dtype(self.input.dtype.value):
            raise ValueError(f"Cannot set tensor: {tensor.shape} {tensor.dtype}")
        answer = self._answers[len(self.fed) % len(self._answers)]
        self.fed.append(tensor)
        if isinstance(answer, ModelUnloadable):
            raise answer
        return np.array(answer, dtype=self.output.dtype.value).reshape(self.output.shape)


class ScriptedRuntime:
    """Loads the models that it was given by their bytes, and no others."""

    name = "scripted 1.0"

    def __init__(self, models: Mapping[bytes, ScriptedModel | ModelUnloadable]) -> None:
        self._models = models
        self.loaded: list[tuple[bytes, int]] = []
        """Bytes and threads of each load."""
        self.opened: list[EdgeTpu | None] = []
        """The Edge TPU of each load."""

    def load(self, content: bytes, *, threads: int, edgetpu: EdgeTpu | None = None) -> Model:
        self.loaded.append((content, threads))
        self.opened.append(edgetpu)
        model = self._models.get(content, ModelUnloadable(f"not in the script: {content[:16]!r}"))
        if isinstance(model, ModelUnloadable):
            raise model
        return model
