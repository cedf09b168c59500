"""Which operators `edgetpu_compiler` takes, and where it cuts a graph: by its documentation, without it.

Sources: "TensorFlow models on the Edge TPU" (coral.ai/docs/edgetpu/models-intro: requirements, supported
operations with the runtime version that brought each, known limitations); google-coral/edgetpu issues 461
(what "More than one subgraph is not supported" means), 829 (dynamic sizes) and 879 (operator versions that
the compiler, built in 2021, cannot parse). The compiler alone knows what it does; this is what to expect.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.tflite.flatmodel import Arithmetic, ModelFacts
from deploy.core.factory.tflite.dataflow import Dataflow, Operator, Tensor

RUNTIME_LATEST: Final = 14
"""Of the Edge TPU runtime: what compiler 16 builds for when nothing else is asked."""
CACHE_BYTES: Final = 8 * 1024 * 1024
"""On the chip, for parameters and a little for the program; what does not fit is sent at each inference."""
_SOFTMAX_MAX: Final = 16_000
_FEATURES_MAX: Final = 900
"""Of an LSTM's input: google-coral/edgetpu issue 598 saw less compiled, and 1,000 not."""
_DETECTION: Final = "TFLite_Detection_PostProcess"
"""The one custom operator that the compiler's own interpreter knows; it stays on the CPU."""
_INTEGER: Final = frozenset({"int8", "uint8"})
_TOO_NEW: Final = {"QUANTIZE": 3, "FULLY_CONNECTED": 12, "FILL": 4}
"""The first versions that compiler 16 is known not to parse: issue 879, google-ai-edge/litert-torch 384."""
_QUANTIZED: Final = frozenset({Arithmetic.INTEGER, Arithmetic.MIXED})

Limit = Callable[[Dataflow, Operator], str | None]


@dataclass(frozen=True, slots=True)
class OnCpu:
    """An operator that stays on the CPU, and why."""

    index: int
    operator: str
    layer: str
    reason: str
    instead: str
    """What to build the network with; empty where nothing is known."""


@dataclass(frozen=True, slots=True)
class Placement:
    operators: int
    mapped: int
    cut: OnCpu | None
    """The first operator that is not taken: it and everything after it stay on the CPU."""
    unsupported: tuple[OnCpu, ...]
    """All that would have to change, the cut first; those after it that would be taken are not among them."""
    parameter_bytes: int
    """Of the operators that are mapped."""

    @property
    def streamed_bytes(self) -> int:
        """At least so much is sent to the Edge TPU again at each inference."""
        return max(0, self.parameter_bytes - CACHE_BYTES)


def refusal(facts: ModelFacts, flow: Dataflow) -> str | None:
    """Why the compiler would write nothing at all for this file, and what to do; None where it may.

    Returns:
        What follows the file's name in a sentence.
    """
    if facts.edgetpu:
        return "is compiled for the Edge TPU already: give the file that it was compiled from"
    if facts.arithmetic not in _QUANTIZED:
        return (
            f"is a {facts.arithmetic} model, and the Edge TPU computes in 8-bit integers only: make it with "
            "shoal convert --quantize int8 (or uint8) and representative data"
        )
    strangers = [name for name in facts.custom_operators if name != _DETECTION]
    if strangers:
        return f"has the custom operator {strangers[0]}, which the compiler cannot load: leave it out"
    return _unparsed(flow) or _open_sizes(flow)


def _unparsed(flow: Dataflow) -> str | None:
    for operator in flow.operators:
        known = _TOO_NEW.get(operator.name)
        if known is not None and operator.version >= known:
            return (
                f"has {operator.name} of version {operator.version} ({flow.layer(operator)}), and the "
                f"compiler, built in 2021, cannot parse version {known} and later: convert it with an older "
                "TensorFlow, or give that layer one scale for all channels"
            )
    return None


def _open_sizes(flow: Dataflow) -> str | None:
    for operator in flow.operators:
        shape = operator.inputs[1] if operator.name == "RESHAPE" and len(operator.inputs) > 1 else -1
        if shape >= 0 and not flow.tensors[shape].constant:
            return (
                f"computes the shape of {flow.layer(operator)} while it runs, and the Edge TPU takes tensors "
                "of fixed sizes only: fix the batch and every other open size of its inputs before converting"
            )
    return None


def doubt(flow: Dataflow) -> str | None:
    """What the compiler is reported to fail on without a reason, or to leave out by sizes that nobody tells:
    tensorflow/tensorflow issue 73946, google-coral/edgetpu issues 597 and 598.
    """
    return _channels_in_dense(flow) or _sizes(flow)


def _sizes(flow: Dataflow) -> str | None:
    for operator in flow.operators:
        if operator.name.startswith("RESIZE_"):
            return (
                f"{operator.name} at {flow.layer(operator)} may stay on the CPU for its size, and all after "
                "it: the compiler alone knows, and a smaller input helps"
            )
        features = flow.tensors[operator.inputs[0]].shape[-1:] if operator.name in _RECURRENT else ()
        if sum(features) > _FEATURES_MAX:
            return (
                f"the LSTM {flow.layer(operator)} takes {features[0]} numbers a step, and the compiler is "
                f"reported to fail on more than about {_FEATURES_MAX}: put a smaller dense layer before it"
            )
    return None


def _channels_in_dense(flow: Dataflow) -> str | None:
    for operator in flow.operators:
        if operator.name == "FULLY_CONNECTED" and flow.tensors[operator.inputs[1]].scales > 1:
            return (
                f"the dense layer {flow.layer(operator)} has a scale for each channel, as TensorFlow gives "
                "it since 2.17 and no compiler of 2021 knows: shoal convert --edgetpu gives it one for all"
            )
    return None


def place(flow: Dataflow, runtime: int = RUNTIME_LATEST) -> Placement:
    """Where each operator would run.

    Args:
        flow: of a full-integer file.
        runtime: the oldest version of the Edge TPU runtime that it must run on (10 to 14).
    """
    found = tuple(_judge(flow, index, runtime) for index in range(len(flow.operators)))
    edge = _edges(flow)
    faults = tuple(fault for fault in found if fault is not None and fault.index not in edge)
    cut = faults[0] if faults else None
    end = len(flow.operators) if cut is None else cut.index
    mapped = [index for index in range(end) if found[index] is None]
    return Placement(
        operators=len(flow.operators),
        mapped=len(mapped),
        cut=cut,
        unsupported=faults,
        parameter_bytes=_parameters(flow, [flow.operators[index] for index in mapped]),
    )


def _edges(flow: Dataflow) -> frozenset[int]:
    """QUANTIZE behind a float input, DEQUANTIZE before a float output: on the CPU, and they cut nothing."""
    return frozenset(
        index
        for index, operator in enumerate(flow.operators)
        if (operator.name == "QUANTIZE" and _float(flow.taken(operator)))
        or (operator.name == "DEQUANTIZE" and not set(operator.outputs).isdisjoint(flow.outputs))
    )


def _float(tensors: Sequence[Tensor]) -> bool:
    return any(tensor.dtype.startswith("float") for tensor in tensors)


def _parameters(flow: Dataflow, operators: Sequence[Operator]) -> int:
    constants = {index for operator in operators for index in operator.inputs if index >= 0}
    return sum(flow.tensors[index].constant_bytes for index in constants)


def _judge(flow: Dataflow, index: int, runtime: int) -> OnCpu | None:
    operator = flow.operators[index]
    reason = _reason(flow, operator, runtime)
    if reason is None:
        return None
    layer = flow.layer(operator)
    return OnCpu(index, operator.name, layer, reason, _instead(operator.name, layer))


def _instead(name: str, layer: str) -> str:
    """Of the parts of a layer normalization, the layer: nobody wrote its operators one by one."""
    if "layer_norm" in layer.lower():
        return "batch normalization behind a convolution, which is folded into its weights"
    return _INSTEAD.get(name, "")


def _reason(flow: Dataflow, operator: Operator, runtime: int) -> str | None:
    since = _SINCE.get(operator.name)
    if operator.custom or since is None:
        return "not an operator of the Edge TPU"
    if since > runtime:
        return f"the Edge TPU runtime has it since version {since}, and version {runtime} is wanted"
    limit = _LIMITS.get(operator.name)
    fault = limit(flow, operator) if limit else None
    return fault or _wrong_type(flow, operator) or _wrong_rank(flow, operator)


def _wrong_type(flow: Dataflow, operator: Operator) -> str | None:
    for tensor in (*_computed(flow, operator), *flow.given(operator)):
        if tensor.dtype not in _INTEGER:
            return f"it works on {tensor.dtype}; the Edge TPU on int8 and uint8"
    return None


def _wrong_rank(flow: Dataflow, operator: Operator) -> str | None:
    for tensor in (*_computed(flow, operator), *flow.given(operator)):
        if any(size > 1 for size in tensor.shape[:-3]):
            said = " x ".join(map(str, tensor.shape))
            return f"its tensor is {said}; only the three innermost dimensions may be larger than 1"
    return None


def _computed(flow: Dataflow, operator: Operator) -> list[Tensor]:
    """Its inputs that are neither constants nor the memory of a recurrent layer (int16 inside it)."""
    tensors = [tensor for tensor in flow.taken(operator) if not tensor.constant]
    return tensors[:1] if operator.name in _RECURRENT else tensors


_RECURRENT: Final = frozenset({"UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTM"})


def _no_fused(flow: Dataflow, operator: Operator) -> str | None:
    del flow
    return "it has a fused activation, put one behind it" if operator.fused else None


def _concatenation(flow: Dataflow, operator: Operator) -> str | None:
    constants = sum(tensor.constant for tensor in flow.taken(operator))
    if constants and len(operator.inputs) != 2:
        return "one of its inputs is a constant: then it may have two inputs only, and the constant be zero"
    return _no_fused(flow, operator)


def _convolution(flow: Dataflow, operator: Operator) -> str | None:
    width, height = operator.dilation
    if width != height:
        return f"its dilation is {width} in x and {height} in y; they must be the same"
    return _constant_parameters(flow, operator)


def _constant_parameters(flow: Dataflow, operator: Operator) -> str | None:
    parameters = flow.taken(operator)[1:]
    computed = any(not tensor.constant for tensor in parameters)
    return "its weights are computed while it runs; they must be constants" if computed else None


def _fully_connected(flow: Dataflow, operator: Operator) -> str | None:
    for tensor in flow.given(operator):
        if any(size > 1 for size in tensor.shape[:-1]):
            return f"its output is {' x '.join(map(str, tensor.shape))}; it must have one dimension"
    return _constant_parameters(flow, operator)


def _softmax(flow: Dataflow, operator: Operator) -> str | None:
    for tensor in flow.taken(operator):
        if any(size > 1 for size in tensor.shape[:-1]):
            return f"its input is {' x '.join(map(str, tensor.shape))}; it must have one dimension"
        if tensor.elements > _SOFTMAX_MAX:
            return f"its input has {tensor.elements} elements, the most are {_SOFTMAX_MAX}"
    return None


def _prelu(flow: Dataflow, operator: Operator) -> str | None:
    for slopes in flow.taken(operator)[1:]:
        if any(size > 1 for size in slopes.shape[:-1]):
            said = " x ".join(map(str, slopes.shape))
            return f"its slopes are {said}; one a channel is taken (shared_axes=[1, 2] in Keras)"
    return None


def _padding(flow: Dataflow, operator: Operator) -> str | None:
    """Its second input has a pair of numbers for each dimension, the batch first."""
    rank = len(flow.tensors[operator.inputs[0]].shape)
    batch = flow.integers(operator, 1)[:2] if rank > 3 else ()
    return "it pads the batch" if any(batch) else None


def _reduction(flow: Dataflow, operator: Operator) -> str | None:
    rank = len(flow.tensors[operator.inputs[0]].shape)
    axes = {axis % rank for axis in flow.integers(operator, 1)} if rank else set()
    return "it reduces the batch" if 0 in axes and rank > 3 else None


def _mean(flow: Dataflow, operator: Operator) -> str | None:
    shape = flow.tensors[operator.inputs[0]].shape
    axes = {axis % len(shape) for axis in flow.integers(operator, 1)} if shape else set()
    if len(shape) == 4 and 3 in axes and shape[3] % 4:
        return f"it reduces {shape[3]} channels; they must be a multiple of 4"
    return _reduction(flow, operator)


def _strided_slice(flow: Dataflow, operator: Operator) -> str | None:
    strides = flow.integers(operator, 3)
    if any(stride != 1 for stride in strides):
        return f"its strides are {', '.join(map(str, strides))}; they must be 1"
    if operator.reshapes:
        return "it has an ellipsis or makes a new axis"
    return None


_SINCE: Final = {
    name: since
    for since, names in {
        10: "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED L2_NORMALIZATION "
        "LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PAD RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR "
        "RESIZE_NEAREST_NEIGHBOR SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SQUEEZE STRIDED_SLICE SUB TANH",
        13: "EXPAND_DIMS PACK PRELU QUANTIZE SUM TRANSPOSE_CONV",
        14: "LSTM UNIDIRECTIONAL_SEQUENCE_LSTM REDUCE_MAX REDUCE_MIN RSQRT SQUARED_DIFFERENCE TRANSPOSE",
    }.items()
    for name in names.split()
}
"""The version of the Edge TPU runtime that brought each; 10 stands for all that are in use."""

_LIMITS: Final[dict[str, Limit]] = {
    "AVERAGE_POOL_2D": _no_fused,
    "MAX_POOL_2D": _no_fused,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _fully_connected,
    "SOFTMAX": _softmax,
    "MEAN": _mean,
    "PAD": _padding,
    "PRELU": _prelu,
    "SUM": _reduction,
    "REDUCE_MAX": _reduction,
    "REDUCE_MIN": _reduction,
    "STRIDED_SLICE": _strided_slice,
}

_INSTEAD: Final = {
    "HARD_SWISH": "RELU6, as in MobileNet V2 or the minimalistic MobileNet V3",
    "LEAKY_RELU": "RELU, or PRELU with one slope a channel",
    "ELU": "RELU",
    "GELU": "RELU",
    "DIV": "MUL by the reciprocal",
    "SQUARE": "MUL of the tensor with itself",
    "POW": "MUL",
    "NEG": "MUL by -1",
    "ARG_MAX": "scores at the end: the device ranks them",
    "BATCH_MATMUL": "FULLY_CONNECTED with constant weights",
    "WHILE": "a Keras LSTM that the converter fuses, or an unrolled one",
    "SPLIT_V": "SPLIT into equal parts",
    "DEPTH_TO_SPACE": "TRANSPOSE_CONV, or RESIZE_NEAREST_NEIGHBOR and a convolution",
    "MIRROR_PAD": "PAD",
    "TILE": "RESIZE_NEAREST_NEIGHBOR (tf.image.resize) where it comes of an UpSampling2D",
    "CAST": "8-bit integers throughout",
}
