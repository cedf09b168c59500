"""From a model's output to ranked labels."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.core.inference.contract import TensorForm
from agent.core.inference.quant import dequantize
from agent.wire.documents import Activation, OutputContract
from agent.wire.reports import Ranked

Tensor = NDArray[np.generic]
Scores = NDArray[np.float64]

DIGITS: Final = 6
"""Of a published score: far below one step of an 8-bit output."""


def scores(output: Tensor, contract: OutputContract, tensor: TensorForm) -> Scores:
    """One number a class: probabilities as the model gave them, or the softmax of its logits.

    Quantised probabilities need not sum to 1. NaN and infinities stay what they are (see `finite`).

    Args:
        output: the tensor that the model returned, 1 x ... x classes.
        contract: says whether these are logits.
        tensor: the loaded model's output; its quantization counts, not the contract's.
    """
    flat = output.reshape(-1)
    quantization = tensor.quantization
    real = flat.astype(np.float64) if quantization is None else dequantize(flat, quantization)
    return softmax(real) if contract.activation is Activation.LOGITS else real


def softmax(logits: Scores) -> Scores:
    if not np.isfinite(logits).all():
        return np.full_like(logits, np.nan)
    powers = np.exp(logits - np.max(logits))
    shares: Scores = powers / powers.sum()
    return shares


def finite(output: Tensor) -> bool:
    """Whether there is neither NaN nor an infinity in it."""
    return bool(np.isfinite(output.astype(np.float32, copy=False)).all())


def top(found: Scores, count: int) -> tuple[tuple[int, float], ...]:
    """The best classes: score descending, and among equal scores, frequent on 8 bits, the lower index first.

    Scores that are not finite count as zero.
    """
    clean = np.where(np.isfinite(found), found, 0.0)
    count = min(count, clean.size)
    if count < 1:
        return ()
    bound = np.partition(clean, clean.size - count)[clean.size - count]
    above = np.flatnonzero(clean > bound)
    chosen = np.concatenate([above, np.flatnonzero(clean == bound)[: count - above.size]])
    ordered = chosen[np.argsort(-clean[chosen], kind="stable")]
    return tuple((int(index), float(clean[index])) for index in ordered)


def rank(
    output: Tensor, contract: OutputContract, tensor: TensorForm, labels: Sequence[str], count: int
) -> tuple[Ranked, ...]:
    """The best classes with their labels; a class beyond the labels goes by its number.

    Raises:
        ValueError: `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"the {count} best classes were asked for, at least 1 is needed")
    return tuple(
        Ranked(
            index=index,
            label=(labels[index] if index < len(labels) else "") or f"class {index}",
            score=round(score, DIGITS),
        )
        for index, score in top(scores(output, contract, tensor), count)
    )
