"""A float .tflite becomes a Keras network again, so that it can learn more.

It knows the operators of convolutional classifiers. Weights of 16 bits become those of 32 that the runtime
computes with; batch normalization was folded into the convolutions when the file was made.

Source: tensorflow/lite/schema/schema.fbs; layouts of the kernels as there: convolutions out x height x width
x in, depthwise 1 x height x width x channels, fully connected out x in.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema

from deploy.core.refusal import Refused

Array = NDArray[np.floating[Any]]

_NAMES: Final = {
    number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}
_PADDING: Final = {schema.Padding.SAME: "same", schema.Padding.VALID: "valid"}
_CEILING: Final = {
    schema.ActivationFunctionType.RELU: None,
    schema.ActivationFunctionType.RELU6: 6.0,
}
_FLOATS: Final[Mapping[int, np.dtype[Any]]] = {
    schema.TensorType.FLOAT32: np.dtype("<f4"),
    schema.TensorType.FLOAT16: np.dtype("<f2"),
}


def network(content: bytes, name: str, side_px: int) -> Any:
    """A Keras model of the main graph, for pictures of another size too.

    Args:
        content: the whole file.
        name: of the file, for complaints.
        side_px: of the pictures.

    Raises:
        Refused: it is no .tflite, is not in float, or has an operator that is not of such networks.
    """
    try:
        graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    except (IndexError, ValueError, TypeError, struct.error) as error:
        raise Refused(
            f"{name} is no .tflite model that can be read: fetch it again, or give another base"
        ) from error
    return _Rebuilt(graph, name).network(side_px)


class _Rebuilt:
    """Signals and constants of the main graph, by the number of their tensor."""

    def __init__(self, graph: Any, name: str) -> None:
        self._graph = graph
        self._main = graph.subgraphs[0]
        self._name = name
        self._constants: dict[int, Array] = {}
        self._signals: dict[int, Any] = {}

    def network(self, side_px: int) -> Any:
        if len(self._main.inputs) != 1 or len(self._main.outputs) != 1:
            raise Refused(f"{self._name} has several inputs or outputs: give a base that has one of each")
        picture = keras.Input((side_px, side_px, 3), name="image")
        self._signals[self._main.inputs[0]] = picture
        for number, operator in enumerate(self._main.operators):
            self._build(number, operator)
        return keras.Model(picture, self._signals[self._main.outputs[0]])

    def _build(self, number: int, operator: Any) -> None:
        kind = self._kind(operator)
        if kind == "DEQUANTIZE" and operator.inputs[0] not in self._signals:
            self._constants[operator.outputs[0]] = self._constant(operator.inputs[0])
            return
        build = _BUILDERS.get(kind)
        if build is None:
            raise Refused(
                f"{self._name} has the operator {kind}, a base in .tflite is a float network of "
                f"{', '.join(_BUILDERS)}: give the Keras model that it was made from"
            )
        signals = [self._signals[place] for place in operator.inputs if place in self._signals]
        constants = [self._constant(p) for p in operator.inputs if p not in self._signals and p >= 0]
        made = build(f"{kind.lower()}_{number}", operator.builtinOptions, signals, constants)
        self._signals[operator.outputs[0]] = _activated(made, operator.builtinOptions, f"activation_{number}")

    def _kind(self, operator: Any) -> str:
        code = self._graph.operatorCodes[operator.opcodeIndex]
        name: str = _NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")
        return name

    def _constant(self, place: int) -> Array:
        known = self._constants.get(place)
        if known is not None:
            return known
        tensor = self._main.tensors[place]
        if tensor.type == schema.TensorType.INT32:
            return np.zeros(0, np.float32)  # axes of MEAN, of which there is one form here
        dtype = _FLOATS.get(tensor.type)
        if dtype is None:
            raise Refused(
                f"{self._name} is quantized: training starts from a model in float (none or float16)"
            )
        content = self._graph.buffers[tensor.buffer].data
        found: Array = np.frombuffer(bytes(content), dtype).reshape(tensor.shape).astype(np.float32)
        if not np.isfinite(found).all():
            raise Refused(f"{self._name} has weights that are not finite numbers: it cannot be a base")
        return found


def _activated(signal: Any, options: Any, name: str) -> Any:
    function = getattr(options, "fusedActivationFunction", schema.ActivationFunctionType.NONE)
    if function == schema.ActivationFunctionType.NONE:
        return signal
    if function not in _CEILING:
        raise Refused(
            f"{name}: the activation {function} is not one of a base in .tflite, which are RELU and RELU6"
        )
    return keras.layers.ReLU(_CEILING[function], name=name)(signal)


def _convolution(name: str, options: Any, signals: list[Any], constants: list[Array]) -> Any:
    kernel, bias = constants
    layer = keras.layers.Conv2D(
        kernel.shape[0],
        kernel.shape[1:3],
        strides=(options.strideH, options.strideW),
        padding=_PADDING[options.padding],
        dilation_rate=(options.dilationHFactor, options.dilationWFactor),
        name=name,
    )
    return _weighted(layer, signals[0], kernel.transpose(1, 2, 3, 0), bias)


def _depthwise(name: str, options: Any, signals: list[Any], constants: list[Array]) -> Any:
    kernel, bias = constants
    layer = keras.layers.DepthwiseConv2D(
        kernel.shape[1:3],
        strides=(options.strideH, options.strideW),
        padding=_PADDING[options.padding],
        depth_multiplier=options.depthMultiplier,
        dilation_rate=(options.dilationHFactor, options.dilationWFactor),
        name=name,
    )
    channels = kernel.shape[3] // options.depthMultiplier
    return _weighted(layer, signals[0], kernel[0].reshape(*kernel.shape[1:3], channels, -1), bias)


def _dense(name: str, _: Any, signals: list[Any], constants: list[Array]) -> Any:
    kernel, bias = constants
    return _weighted(keras.layers.Dense(kernel.shape[0], name=name), signals[0], kernel.T, bias)


def _weighted(layer: Any, signal: Any, kernel: Array, bias: Array) -> Any:
    made = layer(signal)
    layer.set_weights([kernel, bias])
    return made


def _add(name: str, _: Any, signals: list[Any], __: list[Array]) -> Any:
    return keras.layers.Add(name=name)(signals)


def _mean(name: str, options: Any, signals: list[Any], _: list[Array]) -> Any:
    return keras.layers.GlobalAveragePooling2D(keepdims=bool(options.keepDims), name=name)(signals[0])


def _softmax(name: str, _: Any, signals: list[Any], __: list[Array]) -> Any:
    return keras.layers.Softmax(name=name)(signals[0])


_BUILDERS: Final[Mapping[str, Callable[[str, Any, list[Any], list[Array]], Any]]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "ADD": _add,
    "MEAN": _mean,
    "FULLY_CONNECTED": _dense,
    "SOFTMAX": _softmax,
}
