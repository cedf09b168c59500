"""What an inference costs, counted from the file."""

from collections.abc import Callable
from math import prod
from typing import Final

from deploy.core.factory.tflite.dataflow import Dataflow, Operator


def multiplications(flow: Dataflow) -> int:
    """Multiply-accumulate operations of one inference, of convolutions, of dense and recurrent layers, and of
    products of computed matrices.

    Each element of a convolution's output takes one for each weight of its filter; weights lie as the TFLite
    schema has them (output x height x width x input; depthwise 1 x height x width x output; in three
    dimensions depth x height x width x input x output). A loop (WHILE) counts nothing: how often it runs is
    not in the file.
    """
    return sum(_COUNTS[each.name](flow, each) for each in flow.operators if each.name in _COUNTS)


def _convolution(flow: Dataflow, operator: Operator) -> int:
    weights = flow.tensors[operator.inputs[1]].shape
    return flow.tensors[operator.outputs[0]].elements * prod(weights[1:])


def _solid(flow: Dataflow, operator: Operator) -> int:
    weights = flow.tensors[operator.inputs[1]].shape
    return flow.tensors[operator.outputs[0]].elements * prod(weights[:-1])


def _matrices(flow: Dataflow, operator: Operator) -> int:
    """Each element of the product takes one for each of the inner dimension, whichever side is transposed."""
    left, product = flow.tensors[operator.inputs[0]], flow.tensors[operator.outputs[0]]
    rows = prod(left.shape[:-2]) * prod(product.shape[-2:-1])
    return product.elements * left.elements // max(rows, 1)


def _depthwise(flow: Dataflow, operator: Operator) -> int:
    weights = flow.tensors[operator.inputs[1]].shape
    return flow.tensors[operator.outputs[0]].elements * prod(weights[1:3])


def _transposed(flow: Dataflow, operator: Operator) -> int:
    """Its inputs are the output's shape, the weights and the tensor."""
    weights = flow.tensors[operator.inputs[1]].shape
    return flow.tensors[operator.inputs[2]].elements * prod(weights[:3])


def _dense(flow: Dataflow, operator: Operator) -> int:
    return flow.tensors[operator.outputs[0]].elements * prod(flow.tensors[operator.inputs[1]].shape[-1:])


def _recurrent(flow: Dataflow, operator: Operator) -> int:
    """Every weight once a step; the steps are the second dimension, the first where time comes first."""
    steps = prod(flow.tensors[operator.inputs[0]].shape[:-1])
    constants = [tensor for tensor in flow.taken(operator) if tensor.constant and len(tensor.shape) == 2]
    return steps * sum(tensor.elements for tensor in constants)


_COUNTS: Final[dict[str, Callable[[Dataflow, Operator], int]]] = {
    "CONV_2D": _convolution,
    "CONV_3D": _solid,
    "BATCH_MATMUL": _matrices,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _dense,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _recurrent,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _recurrent,
}


def unfolded(flow: Dataflow) -> tuple[str, ...]:
    """Layers behind a convolution that multiply each channel by a constant: batch normalization that the
    converter could not fold into the weights.
    """
    made = {index: operator for operator in flow.operators for index in operator.outputs}
    return tuple(
        flow.layer(each) for each in flow.operators if each.name == "MUL" and _scales(flow, each, made)
    )


def _scales(flow: Dataflow, operator: Operator, made: dict[int, Operator]) -> bool:
    inputs = [index for index in operator.inputs if index >= 0]
    constants = [index for index in inputs if flow.tensors[index].constant]
    computed = [made[index] for index in inputs if index in made]
    if len(constants) != 1 or len(computed) != 1:
        return False
    shape = flow.tensors[constants[0]].shape
    channel = bool(shape) and shape[-1] > 1 and prod(shape[:-1]) == 1
    return channel and computed[0].name in {"CONV_2D", "DEPTHWISE_CONV_2D"}
