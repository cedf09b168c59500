"""Prepares EfficientNet-Lite0 for eight-bit integers, which give all channels of a tensor one scale.

Channels that stay far below the ceiling of ReLU6 are raised to it, and the depthwise convolution behind them
lowered by as much: its weights have a scale of their own for each channel, so nothing is lost there. Then
the biases make good what rounding adds to or takes from a channel on average.

Source: Nagel, van Baalen, Blankevoort and Welling, "Data-Free Quantization Through Weight Equalization and
Bias Correction", ICCV 2019, sections 4.1 and 4.2; ranges and errors are measured on photographs here.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from deploy.recipes.lite0_network import Array, Block, Convolution, Network, convolved, filtered_by, joined

CEILING: Final = 6.0
RAISED_MAX: Final = 8.0
"""A channel that is nearly always zero is not raised without limit."""
HEADROOM: Final = 1.0
"""What photographs that are not among the measured may exceed."""
_LEVELS: Final = 127
_FACTOR_STEP: Final = 2.0**-6
_BIAS_STEP: Final = 2.0**-10


def raised(tf: Any, layers: Network, batches: Sequence[Array]) -> Network:
    """The network with every tensor between an expanding and a depthwise convolution filling its range.

    What it computes changes only where a channel exceeds `HEADROOM` times all that was measured.

    Args:
        tf: TensorFlow.
        layers: with batch normalization folded in.
        batches: normalized pixels, each batch x height x width x 3.
    """
    stem, blocks = layers.stem, list(layers.blocks)
    for number, maxima in enumerate(_maxima(tf, layers, batches)):
        block = blocks[number]
        factors = _coarse(
            np.clip(CEILING / np.maximum(maxima * HEADROOM, 1e-6), 1.0, RAISED_MAX), _FACTOR_STEP
        )
        depthwise = Convolution(block.depthwise.kernel / factors[:, np.newaxis], block.depthwise.bias)
        if block.expand is None:
            stem = _scaled(stem, factors)
            blocks[number] = block._replace(depthwise=depthwise)
        else:
            blocks[number] = block._replace(expand=_scaled(block.expand, factors), depthwise=depthwise)
    return layers._replace(stem=stem, blocks=tuple(blocks))


def _coarse(values: Array, step: float) -> Array:
    """To whole steps: another machine may sum in another order, and must arrive at the same bytes."""
    coarse: Array = (np.round(values / step) * step).astype(np.float32)
    return coarse


def _scaled(layer: Convolution, factors: Array) -> Convolution:
    return Convolution(layer.kernel * factors, layer.bias * factors)


def _maxima(tf: Any, layers: Network, batches: Sequence[Array]) -> list[Array]:
    """Of every block, the largest value of each channel that its depthwise convolution sees."""
    measured = [list(_wide(tf, layers, tf.constant(batch))) for batch in batches]
    return [np.max(of_block, axis=0) for of_block in zip(*measured, strict=True)]


def _wide(tf: Any, layers: Network, pixels: Any) -> Iterator[Array]:
    signal = tf.nn.relu6(convolved(tf, pixels, layers.stem, 2))
    for block in layers.blocks:
        wide = signal if block.expand is None else tf.nn.relu6(convolved(tf, signal, block.expand, 1))
        yield tf.reduce_max(wide, [0, 1, 2]).numpy()
        filtered = tf.nn.relu6(filtered_by(tf, wide, block.depthwise, block.stride))
        signal = joined(signal, convolved(tf, filtered, block.project, 1), block)


def corrected(tf: Any, layers: Network, pixels: Array) -> Network:
    """The network with biases that undo the mean error of rounded weights and activations.

    Both networks run side by side, layer by layer, so that each layer is corrected for what the layers
    before it still get wrong.

    Args:
        tf: TensorFlow.
        layers: as `raised` gives them.
        pixels: normalized, batch x height x width x 3: all at once, about 100.
    """
    return _Correction(tf, pixels).network(layers)


class _Correction:
    def __init__(self, tf: Any, pixels: Array) -> None:
        self._tf = tf
        self._exact = tf.constant(pixels)
        self._rounded = self._exact

    def network(self, layers: Network) -> Network:
        stem = self._through(layers.stem, 2, relu6=True)
        blocks = tuple(self._block(block) for block in layers.blocks)
        head = self._through(layers.head, 1, relu6=True)
        self._exact = self._tf.reduce_mean(self._exact, [1, 2])
        self._rounded = self._on_grid(self._tf.reduce_mean(self._rounded, [1, 2]))
        return Network(stem, blocks, head, self._classifier(layers.classifier))

    def _block(self, block: Block) -> Block:
        exact, rounded = self._exact, self._rounded
        expand = None if block.expand is None else self._through(block.expand, 1, relu6=True)
        depthwise = self._through(block.depthwise, block.stride, relu6=True, channels=2)
        project = self._through(block.project, 1, relu6=False)
        if self._exact.shape == exact.shape and block.stride == 1:
            self._exact = self._exact + exact
            self._rounded = self._on_grid(self._rounded + rounded)
        return Block(expand, depthwise, project, block.stride)

    def _through(self, layer: Convolution, stride: int, *, relu6: bool, channels: int = 3) -> Convolution:
        """One layer further in both networks.

        Args:
            layer: which.
            stride: of it.
            relu6: whether that follows.
            channels: axis of the kernel that counts the output's channels; 2 is a depthwise convolution.
        """
        apply = filtered_by if channels == 2 else convolved
        exact = apply(self._tf, self._exact, layer, stride)
        rounded = apply(self._tf, self._rounded, _rounded_weights(layer, channels), stride)
        error = self._tf.reduce_mean(exact - rounded, [0, 1, 2])
        rounded += error
        self._exact = self._tf.nn.relu6(exact) if relu6 else exact
        self._rounded = self._on_grid(self._tf.nn.relu6(rounded) if relu6 else rounded)
        return Convolution(layer.kernel, layer.bias + _coarse(error.numpy(), _BIAS_STEP))

    def _classifier(self, layer: Convolution) -> Convolution:
        weights = _rounded_weights(layer, 1)
        exact = self._tf.matmul(self._exact, layer.kernel)
        rounded = self._tf.matmul(self._rounded, weights.kernel)
        error = self._tf.reduce_mean(exact - rounded, 0).numpy()
        return Convolution(layer.kernel, layer.bias + _coarse(error, _BIAS_STEP))

    def _on_grid(self, signal: Any) -> Any:
        """As asymmetric eight-bit activations over the range that the batch reaches."""
        least = min(float(self._tf.reduce_min(signal)), 0.0)
        most = max(float(self._tf.reduce_max(signal)), 0.0)
        return self._tf.quantization.fake_quant_with_min_max_args(signal, least, most)


def _rounded_weights(layer: Convolution, channels: int) -> Convolution:
    """As symmetric eight-bit weights with a scale for each output channel."""
    others = tuple(axis for axis in range(layer.kernel.ndim) if axis != channels)
    scale = np.maximum(np.abs(layer.kernel).max(axis=others, keepdims=True) / _LEVELS, 1e-12)
    return Convolution((np.round(layer.kernel / scale) * scale).astype(np.float32), layer.bias)
