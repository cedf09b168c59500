"""A model whose every tensor can be looked at after it has run, on LiteRT's own kernels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deploy.core.refusal import Refused

Reals = NDArray[np.float64]
_WEIGHTED: Final = frozenset(
    {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D", "BATCH_MATMUL"}
)
_CONVERSIONS: Final = frozenset({"QUANTIZE", "DEQUANTIZE"})


@dataclass(frozen=True, slots=True)
class Layer:
    """An operator, by the first tensor that it gives."""

    name: str
    operator: str
    place: int
    """Among those that do more than to write numbers in another type."""
    index: int
    sources: tuple[int, ...]
    """Tensors that it takes, constants among them."""
    shape: tuple[int, ...]
    one_scale: bool
    """It has weights of more than one channel, quantized by a single scale."""


class EveryTensor:
    def __init__(self, file: str, content: bytes) -> None:
        """
        Raises:
            Refused: LiteRT is not installed, or refuses the file.
        """
        try:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType  # noqa: PLC0415 - not everywhere
        except ImportError as error:
            raise Refused(
                f"layers are compared on ai-edge-litert, which is not installed here ({error}): "
                "pip install ai-edge-litert"
            ) from error
        try:
            self._interpreter: Any = Interpreter(
                model_content=content,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                experimental_preserve_all_tensors=True,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, MemoryError) as error:
            raise Refused(f"{file}: LiteRT refuses it: {' '.join(str(error).split())}") from error
        self._details: Mapping[int, Mapping[str, Any]] = {
            int(each["index"]): each for each in self._interpreter.get_tensor_details()
        }
        self.layers = tuple(self._layers())

    def run(self, tensor: NDArray[np.generic]) -> None:
        self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], tensor)
        self._interpreter.invoke()

    def real(self, index: int) -> Reals:
        """The tensor in real numbers, whatever it is kept as."""
        found = self._interpreter.get_tensor(index)
        scales, zeros, axis = self._parameters(index)
        if scales.size == 0 or found.dtype.kind == "f":
            return np.asarray(found, np.float64)
        if scales.size > 1:
            shape = [1] * found.ndim
            shape[axis] = -1
            scales, zeros = scales.reshape(shape), zeros.reshape(shape)
        return np.asarray((found.astype(np.float64) - zeros) * scales)

    def range(self, index: int) -> tuple[float, float] | None:
        """The least and the largest number that the tensor can express; None where it is float."""
        scales, zeros, _ = self._parameters(index)
        dtype = np.dtype(self._details[index]["dtype"])
        if scales.size != 1 or dtype.kind not in "iu":
            return None
        limits = np.iinfo(dtype)
        scale, zero = float(scales[0]), float(zeros[0])
        return (limits.min - zero) * scale, (limits.max - zero) * scale

    def _parameters(self, index: int) -> tuple[Reals, Reals, int]:
        found = self._details[index]["quantization_parameters"]
        return (
            np.asarray(found["scales"], np.float64),
            np.asarray(found["zero_points"], np.float64),
            int(found["quantized_dimension"]),
        )

    def _layers(self) -> Sequence[Layer]:
        # Neither runtime tells its operators but here.
        operators = self._interpreter._get_ops_details()  # noqa: SLF001 - see above
        made = {int(each["outputs"][0]): each for each in operators if len(each["outputs"])}
        computing = (
            each for each in operators if len(each["outputs"]) and each["op_name"] not in _CONVERSIONS
        )
        return [self._layer(place, each, made) for place, each in enumerate(computing)]

    def _layer(self, place: int, operator: Mapping[str, Any], made: Mapping[int, Mapping[str, Any]]) -> Layer:
        index = int(operator["outputs"][0])
        inputs = [int(each) for each in operator["inputs"] if int(each) >= 0]
        details = self._details[index]
        return Layer(
            name=str(details["name"]),
            operator=str(operator["op_name"]),
            place=place,
            index=index,
            sources=tuple(_behind_conversions(each, made) for each in inputs),
            shape=tuple(int(size) for size in details["shape"]),
            one_scale=operator["op_name"] in _WEIGHTED and len(inputs) > 1 and self._one_scale(inputs[1]),
        )

    def _one_scale(self, index: int) -> bool:
        details = self._details[index]
        channels = max(details["shape"][0], details["shape"][-1]) if len(details["shape"]) else 1
        return bool(np.dtype(details["dtype"]).kind in "iu" and channels > 1) and (
            self._parameters(index)[0].size == 1
        )


def _behind_conversions(index: int, made: Mapping[int, Mapping[str, Any]]) -> int:
    """A tensor is what it was before it was only written in another type."""
    while index in made and made[index]["op_name"] in _CONVERSIONS:
        index = int(made[index]["inputs"][0])
    return index
