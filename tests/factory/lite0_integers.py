"""A small network of the shipped classifier's kind, prepared for integers; what came of it, as JSON.

A program, so that the tests' own process never loads TensorFlow.
"""

import json
import sys

import numpy as np
import tensorflow as tf

from deploy.recipes import lite0_integers, lite0_network
from deploy.recipes.lite0_network import Block, Convolution, Network


def main() -> None:
    drawn = np.random.default_rng(4)
    layers, pixels = _network(drawn), drawn.uniform(-1.0, 1.0, (24, 16, 16, 3)).astype(np.float32)
    raised = lite0_integers.raised(tf, layers, [pixels[:8], pixels[8:16], pixels[16:]])
    corrected = lite0_integers.corrected(tf, raised, pixels)
    exact = _answers(layers, pixels)
    json.dump(
        {
            "raised_differs": float(np.abs(_answers(raised, pixels) - exact).max()),
            "wide_before": _wide(layers, pixels),
            "wide_after": _wide(raised, pixels),
            "shift_raised": float(np.abs((_answers(_rounded(raised), pixels) - exact).mean(axis=0)).max()),
            "shift_corrected": float(
                np.abs((_answers(_rounded(corrected), pixels) - exact).mean(axis=0)).max()
            ),
            "kernels_kept": all(
                np.array_equal(one.kernel, other.kernel)
                for one, other in zip(_convolutions(raised), _convolutions(corrected), strict=True)
            ),
            "classifier_kept": bool(np.array_equal(raised.classifier.kernel, corrected.classifier.kernel)),
        },
        sys.stdout,
    )


def _network(drawn):
    """Channels of very different reach, as training leaves them."""

    def kernel(*shape):
        reach = 2.0 ** drawn.uniform(-3, 0, shape[-1])
        kernel = drawn.normal(0.0, 1.0, shape) * reach / np.sqrt(np.prod(shape[:-1]))
        return Convolution(kernel.astype(np.float32), (0.3 * reach).astype(np.float32))

    def depthwise(channels):
        weights = drawn.normal(0.0, 0.4, (3, 3, channels, 1)).astype(np.float32)
        return Convolution(weights, np.zeros(channels, np.float32))

    blocks = (
        Block(None, depthwise(8), kernel(1, 1, 8, 6), 1),
        Block(kernel(1, 1, 6, 24), depthwise(24), kernel(1, 1, 24, 6), 1),
        Block(kernel(1, 1, 6, 24), depthwise(24), kernel(1, 1, 24, 10), 2),
    )
    return Network(kernel(3, 3, 3, 8), blocks, kernel(1, 1, 10, 32), kernel(32, 5))


def _answers(layers, pixels):
    return lite0_network.probabilities(tf, layers, tf.constant(pixels)).numpy()


def _wide(layers, pixels):
    """Of each channel that a depthwise convolution sees, the largest value."""
    signal, found = tf.nn.relu6(lite0_network.convolved(tf, pixels, layers.stem, 2)), []
    for block in layers.blocks:
        expand = block.expand
        wide = signal if expand is None else tf.nn.relu6(lite0_network.convolved(tf, signal, expand, 1))
        found += tf.reduce_max(wide, [0, 1, 2]).numpy().tolist()
        filtered = tf.nn.relu6(lite0_network.filtered_by(tf, wide, block.depthwise, block.stride))
        projected = lite0_network.convolved(tf, filtered, block.project, 1)
        signal = projected + signal if projected.shape == signal.shape else projected
    return found


def _rounded(layers):
    """Every kernel in eight bits, with a scale for each channel of its output."""
    blocks = tuple(
        Block(
            None if b.expand is None else _coarse(b.expand),
            _coarse(b.depthwise, 2),
            _coarse(b.project),
            b.stride,
        )
        for b in layers.blocks
    )
    return Network(_coarse(layers.stem), blocks, _coarse(layers.head), _coarse(layers.classifier, 1))


def _coarse(layer, channels=3):
    others = tuple(axis for axis in range(layer.kernel.ndim) if axis != channels)
    step = np.abs(layer.kernel).max(axis=others, keepdims=True) / 127
    return Convolution((np.round(layer.kernel / step) * step).astype(np.float32), layer.bias)


def _convolutions(layers):
    inside = [layer for block in layers.blocks for layer in block[:3] if layer is not None]
    return [layers.stem, *inside, layers.head]


if __name__ == "__main__":
    main()
