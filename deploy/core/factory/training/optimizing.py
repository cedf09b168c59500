"""What may be asked of `shoal optimize`, before anything is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deploy.core.factory.conversion.words import Quantize
from deploy.core.factory.training.words import Technique
from deploy.core.refusal import Refused

_ENDINGS: Final = (".keras", ".h5")
_AFTER_QAT: Final = (Quantize.INT8, Quantize.UINT8, Quantize.INT8_FLOAT_IO)
"""Modes that compute with the ranges that quantization-aware training has learnt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """See `deploy.core.factory.training.words.Optimize`."""

    epochs: int
    batch: int
    learning_rate: float
    sparsity: float
    clusters: int
    held_out: float
    seed: int


def check(
    techniques: Sequence[Technique], out: str, convert: str | None, quantize: Quantize | None
) -> Quantize:
    """
    Args:
        techniques: that were asked for.
        out: name of the Keras model to be.
        convert: name of the .tflite file to be; None: there shall be none.
        quantize: its mode; None: whichever suits.

    Returns:
        The mode of the .tflite file.

    Raises:
        Refused: these do not go together.
    """
    learnt = Technique.QAT in techniques
    if len(set(techniques)) != len(techniques) or not techniques:
        raise Refused(f"--technique takes each of {', '.join(Technique)} at most once, and at least one")
    if not out.endswith(_ENDINGS):
        raise Refused(f"{out}: a Keras model ends in .keras or .h5")
    if learnt and not out.endswith(".h5"):
        raise Refused(f"{out}: the older Keras keeps a quantization-aware model only as .h5, name it so")
    if quantize is not None and convert is None:
        raise Refused(f"--quantize {quantize} says how to convert: give --convert FILE.tflite with it")
    if learnt and quantize is not None and quantize not in _AFTER_QAT:
        raise Refused(
            f"--quantize {quantize} leaves the ranges unused that qat learns: choose {', '.join(_AFTER_QAT)}"
        )
    return quantize or (Quantize.INT8 if learnt else Quantize.NONE)
