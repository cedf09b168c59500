"""EfficientNet-Lite0 as TensorFlow operations, from the weights of its PyTorch port.

Seven stages of inverted residual blocks between a stem and a head; ReLU6 and no squeeze-and-excite, which
is what the Lite family leaves out so that eight-bit arithmetic suits it. Batch normalization is folded
into the convolutions before the graph is built.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Weights = Mapping[str, Array]

NORMALIZATION_EPSILON = 1e-3
STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))  # (blocks, stride of the first)


class Convolution(NamedTuple):
    """Kernel as height x width x in x out (depthwise: height x width x channels x 1), bias per output."""

    kernel: Array
    bias: Array


class Block(NamedTuple):
    """One inverted residual; the first block of the network has nothing to expand."""

    expand: Convolution | None
    depthwise: Convolution
    project: Convolution
    stride: int


class Network(NamedTuple):
    stem: Convolution
    blocks: tuple[Block, ...]
    head: Convolution
    classifier: Convolution


def network(weights: Weights) -> Network:
    """The layers that the weights describe, batch normalization folded in.

    Raises:
        KeyError: a weight is missing: not an EfficientNet-Lite0 state dict.
    """
    return Network(
        stem=_pointwise(weights, "_conv_stem", "_bn0"),
        blocks=tuple(_block(weights, index, stride) for index, stride in enumerate(_strides())),
        head=_pointwise(weights, "_conv_head", "_bn1"),
        classifier=Convolution(weights["_fc.weight"].T, weights["_fc.bias"]),
    )


def _strides() -> Iterator[int]:
    for blocks, first_stride in STAGES:
        yield first_stride
        yield from [1] * (blocks - 1)


def _block(weights: Weights, index: int, stride: int) -> Block:
    name = f"_blocks.{index}."
    expands = f"{name}_expand_conv.weight" in weights
    return Block(
        expand=_pointwise(weights, f"{name}_expand_conv", f"{name}_bn0") if expands else None,
        depthwise=_depthwise(weights, f"{name}_depthwise_conv", f"{name}_bn1"),
        project=_pointwise(weights, f"{name}_project_conv", f"{name}_bn2"),
        stride=stride,
    )


def _pointwise(weights: Weights, layer: str, norm: str) -> Convolution:
    scale, bias = fold(weights, norm)
    return Convolution(weights[f"{layer}.weight"].transpose(2, 3, 1, 0) * scale, bias)


def _depthwise(weights: Weights, layer: str, norm: str) -> Convolution:
    scale, bias = fold(weights, norm)
    return Convolution(weights[f"{layer}.weight"].transpose(2, 3, 0, 1) * scale[:, np.newaxis], bias)


def fold(weights: Weights, norm: str) -> tuple[Array, Array]:
    """The factor and the offset per channel that a batch normalization amounts to."""
    deviation = np.sqrt(weights[f"{norm}.running_var"] + np.float32(NORMALIZATION_EPSILON))
    scale = weights[f"{norm}.weight"] / deviation
    return scale, weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale


def probabilities(tf: Any, layers: Network, pixels: Any) -> Any:
    """The graph from normalized RGB (batch x height x width x 3) to one probability per class."""
    signal = tf.nn.relu6(convolved(tf, pixels, layers.stem, 2))
    for block in layers.blocks:
        signal = _residual(tf, signal, block)
    signal = tf.nn.relu6(convolved(tf, signal, layers.head, 1))
    pooled = tf.reduce_mean(signal, [1, 2])
    return tf.nn.softmax(tf.matmul(pooled, layers.classifier.kernel) + layers.classifier.bias)


def _residual(tf: Any, signal: Any, block: Block) -> Any:
    wide = signal if block.expand is None else tf.nn.relu6(convolved(tf, signal, block.expand, 1))
    filtered = tf.nn.relu6(filtered_by(tf, wide, block.depthwise, block.stride))
    return joined(signal, convolved(tf, filtered, block.project, 1), block)


def convolved(tf: Any, signal: Any, layer: Convolution, stride: int) -> Any:
    return tf.nn.conv2d(signal, layer.kernel, stride, "SAME") + layer.bias


def filtered_by(tf: Any, signal: Any, layer: Convolution, stride: int) -> Any:
    """By a depthwise convolution."""
    return tf.nn.depthwise_conv2d(signal, layer.kernel, [1, stride, stride, 1], "SAME") + layer.bias


def joined(signal: Any, projected: Any, block: Block) -> Any:
    """What a block makes of its input, with that input where both have one shape."""
    same_shape = block.stride == 1 and projected.shape[-1] == signal.shape[-1]
    return projected + signal if same_shape else projected
