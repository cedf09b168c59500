"""The two modes that touch only weights, written into a float .tflite file.

Source of what a runtime takes: conv.cc, depthwise_conv.cc, fully_connected.cc and dequantize.cc in
tensorflow/lite/kernels, and op_version.cc in tensorflow/lite/tools/versioning, of TensorFlow 2.21. Of each
form the oldest operator version is written, so that older runtimes run it too.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as flat
from numpy.typing import NDArray

from deploy.core.refusal import Refused
from deploy.factory.converter import widening

_FEWEST_ELEMENTS: Final = 1024
"""Smaller weights stay in float, as TensorFlow Lite's converter leaves them: there is nothing to gain."""
_FLOAT16_MAX: Final = 65504.0
_KEPT: Final = b"keep_stablehlo_constant"
_INT8_MAX: Final = 127


@dataclass(frozen=True, slots=True)
class _Hybrid:
    """An operator that takes 8-bit weights with float activations."""

    version: int
    """The first that does."""
    channels: int | None = None
    """Along which axis of the weights there is a scale each; None: one for all.

    A dense layer may have one a channel from version 12 on, which tflite-runtime 2.14 does not know.
    """


_WEIGHTS: Final = 1
"""The place of the weights among the inputs of all of these."""
_HYBRIDS: Final = {
    flat.BuiltinOperator.CONV_2D: _Hybrid(version=5, channels=0),
    flat.BuiltinOperator.DEPTHWISE_CONV_2D: _Hybrid(version=6, channels=3),
    flat.BuiltinOperator.FULLY_CONNECTED: _Hybrid(version=9),
}


@dataclass(frozen=True, slots=True)
class _Use:
    code: int
    """The operator's number; -1: an output of its graph."""
    place: int
    operator: Any
    tensor: Any


def float16(content: bytes) -> bytes:
    """Float constants in 16 bits, each widened by a DEQUANTIZE in front of the graph.

    Raises:
        Refused: a constant is too large for 16 bits.
    """
    model = _opened(content)
    halved: dict[int, int] = {}
    for graph in model.subgraphs:
        widened = [
            _widen(model, graph, index, halved)
            for index, tensor in enumerate(graph.tensors)
            if _constant(model, tensor) is not None
        ]
        graph.operators = [*widened, *graph.operators]
    return _closed(model)


def dynamic(content: bytes) -> bytes:
    """8-bit weights where an operator computes with them over float activations; all else stays in float."""
    model = _opened(content)
    for buffer, uses in _uses(model).items():
        hybrid = _hybrid(uses)
        weights = _constant(model, uses[0].tensor)
        if hybrid is not None and weights is not None and weights.size >= _FEWEST_ELEMENTS:
            _narrow(model, buffer, weights, uses, hybrid)
    return _closed(model)


def float32(content: bytes) -> bytes:
    """With constants of 16 bits as the floats that they are."""
    model = _opened(content)
    widening.widen(model, None)
    return _closed(model)


def plain(content: bytes) -> bytes:
    """With constants that TensorFlow's quantizer sees.

    Files of litert-torch ask for theirs to be kept in another dialect, in which it takes weights for inputs.
    """
    model = _opened(content)
    kept = [entry for entry in model.metadata or () if entry.name != _KEPT]
    if len(kept) == len(model.metadata or ()):
        return content
    model.metadata = kept
    return _closed(model)


def _opened(content: bytes) -> Any:
    return flat.ModelT.InitFromObj(flat.Model.GetRootAs(content, 0))


def _closed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _constant(model: Any, tensor: Any) -> NDArray[np.float32] | None:
    """A float32 constant, in its shape; None for every other tensor."""
    stored = model.buffers[tensor.buffer].data
    if tensor.type != flat.TensorType.FLOAT32 or stored is None or len(stored) == 0:
        return None
    values = np.frombuffer(np.asarray(stored, np.uint8).tobytes(), np.float32)
    shape = () if tensor.shape is None else tuple(tensor.shape)
    return values.reshape(shape)


def _widen(model: Any, graph: Any, index: int, halved: dict[int, int]) -> Any:
    """The DEQUANTIZE that now makes this constant."""
    wide = graph.tensors[index]
    if wide.buffer not in halved:
        halved[wide.buffer] = _halve(model, wide)
    narrow = flat.TensorT()
    narrow.name, narrow.shape = wide.name + b"_f16", wide.shape
    narrow.type, narrow.buffer = flat.TensorType.FLOAT16, halved[wide.buffer]
    graph.tensors.append(narrow)
    wide.buffer = 0
    operator = flat.OperatorT()
    operator.opcodeIndex = _code(model, flat.BuiltinOperator.DEQUANTIZE, 3)
    operator.inputs, operator.outputs = [len(graph.tensors) - 1], [index]
    operator.builtinOptionsType = flat.BuiltinOptions.DequantizeOptions
    operator.builtinOptions = flat.DequantizeOptionsT()
    return operator


def _halve(model: Any, tensor: Any) -> int:
    """The buffer with this constant in 16 bits."""
    values = _constant(model, tensor)
    assert values is not None
    largest = float(np.abs(values, where=np.isfinite(values), out=np.zeros_like(values)).max(initial=0.0))
    if largest > _FLOAT16_MAX:
        raise Refused(
            f"float16 holds no more than {_FLOAT16_MAX:g}, and {tensor.name.decode(errors='replace')} reaches"
            f" {largest:g}: use dynamic or int8"
        )
    model.buffers[tensor.buffer].data = np.frombuffer(values.astype(np.float16).tobytes(), np.uint8)
    return int(tensor.buffer)


def _uses(model: Any) -> dict[int, list[_Use]]:
    """Who takes each constant, by its buffer: several tensors of several graphs may share one."""
    found: dict[int, list[_Use]] = defaultdict(list)
    for graph in model.subgraphs:
        for use in _graph_uses(model, graph):
            if use.tensor.buffer and model.buffers[use.tensor.buffer].data is not None:
                found[use.tensor.buffer].append(use)
    return found


def _graph_uses(model: Any, graph: Any) -> Iterator[_Use]:
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        for place, index in enumerate(operator.inputs):
            if index >= 0:
                yield _Use(number, place, operator, graph.tensors[index])
    for index in graph.outputs:
        yield _Use(-1, 0, None, graph.tensors[index])


def _hybrid(uses: list[_Use]) -> _Hybrid | None:
    """How all who take these weights take them in 8 bits; None where one of them does not."""
    codes = {use.code for use in uses}
    if len(codes) != 1 or any(use.place != _WEIGHTS for use in uses):
        return None
    return _HYBRIDS.get(codes.pop())


def _narrow(model: Any, buffer: int, weights: NDArray[np.float32], uses: list[_Use], hybrid: _Hybrid) -> None:
    stored, scales = _quantized(weights, hybrid.channels)
    model.buffers[buffer].data = np.frombuffer(stored.tobytes(), np.uint8)
    for use in uses:
        use.tensor.type = flat.TensorType.INT8
        use.tensor.quantization = flat.QuantizationParametersT()
        use.tensor.quantization.scale = scales
        use.tensor.quantization.zeroPoint = np.zeros(scales.size, np.int64)
        use.tensor.quantization.quantizedDimension = hybrid.channels or 0
        use.operator.opcodeIndex = _code(model, use.code, hybrid.version)
        if use.code == flat.BuiltinOperator.FULLY_CONNECTED:
            use.operator.builtinOptions.asymmetricQuantizeInputs = True


def _quantized(
    weights: NDArray[np.float32], channels: int | None
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric in [-127, 127], and the scales: one for all, or one a channel."""
    others = None if channels is None else tuple(axis for axis in range(weights.ndim) if axis != channels)
    reach = np.abs(weights).max(axis=others, keepdims=True)
    scales = np.where(reach > 0, reach / _INT8_MAX, 1.0).astype(np.float32)
    return np.clip(np.rint(weights / scales), -_INT8_MAX, _INT8_MAX).astype(np.int8), scales.ravel()


def _code(model: Any, number: int, version: int) -> int:
    """The place of an operator of this version in the model's list, put there where it lacks."""
    for place, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == number and code.version == version:
            return place
    code = flat.OperatorCodeT()
    code.builtinCode, code.version = number, version
    code.deprecatedBuiltinCode = min(number, 127)
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
