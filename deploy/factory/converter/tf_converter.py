"""Drives TensorFlow's converter: a mode of TensorFlow Lite becomes the settings that stand for it.

Source: https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quantization.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import tensorflow as tf
from tensorflow.lite.python.convert import ConverterError

from deploy.core.factory.conversion import refusals
from deploy.core.factory.conversion.words import Convert, Quantize
from deploy.core.refusal import Refused
from deploy.factory.converter import tidying
from deploy.factory.parent import Made, Samples

NAME: Final = f"tensorflow {tf.__version__}"
_ENDS: Final = {Quantize.INT8: tf.int8, Quantize.UINT8: tf.uint8}
_FAULTS: Final = (ConverterError, RuntimeError, ValueError, TypeError, AttributeError, tf.errors.OpError)
"""What the converter raises, by the place where it stumbles."""

_SETS: Final = tf.lite.OpsSet
_OPERATORS: Final[Mapping[Quantize, Any]] = {
    Quantize.INT8: _SETS.TFLITE_BUILTINS_INT8,
    Quantize.UINT8: _SETS.TFLITE_BUILTINS_INT8,
    Quantize.INT16X8: _SETS.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
}


def convert_saved_model(
    folder: Path, keys: Sequence[str], order: Convert, samples: Mapping[str, Samples]
) -> Made:
    """
    Args:
        folder: a SavedModel whose sizes are fixed as far as they shall be.
        keys: its signatures that are to be converted.
        order: the mode, and what may be left in.
        samples: representative inputs by signature, empty where the mode needs none.

    Raises:
        Refused: the converter cannot; names the operator where there is one.
    """
    return drive(
        tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=list(keys)), order, samples
    )


def drive(converter: Any, order: Convert, samples: Mapping[str, Samples]) -> Made:
    """
    Args:
        converter: a fresh TFLiteConverter.
        order: the mode, and what may be left in.
        samples: representative inputs by signature, empty where the mode needs none.

    Raises:
        Refused: the converter cannot; names the operator where there is one.
    """
    _set(converter, order)
    if order.quantize.calibrated:
        converter.representative_dataset = _calibrating(samples)
    try:
        content = converter.convert()
    except _FAULTS as error:
        raise Refused(refusals.sentence(order.quantize, str(error))) from error
    return Made(content=tidying.tidy(bytes(content)), converter=NAME)


def _set(converter: Any, order: Convert) -> None:
    mode = order.quantize
    if mode is not Quantize.NONE:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode is Quantize.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if mode is Quantize.DYNAMIC or order.edgetpu:
        # A scale a channel in a dense layer is version 12 of FULLY_CONNECTED, which only LiteRT knows; one
        # scale for its whole matrix runs on every runtime. Convolutions keep a scale a channel.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001 - nothing public sets it
    converter.target_spec.supported_ops = _allowed(order)
    converter.allow_custom_ops = bool(order.custom)
    if mode in _ENDS:
        converter.inference_input_type = converter.inference_output_type = _ENDS[mode]


def _allowed(order: Convert) -> list[Any]:
    strict = _OPERATORS.get(order.quantize)
    if strict is None:
        allowed = [_SETS.TFLITE_BUILTINS]
    else:
        allowed = [strict, _SETS.TFLITE_BUILTINS] if order.float_fallback else [strict]
    return [*allowed, _SETS.SELECT_TF_OPS] if order.select_tf else allowed


def _calibrating(samples: Mapping[str, Samples]) -> Callable[[], Iterator[Any]]:
    """As the converter takes it: names the signature only where there are several."""

    def give() -> Iterator[Any]:
        for signature, each in samples.items():
            for inputs in each():
                yield dict(inputs) if len(samples) == 1 else (signature, dict(inputs))

    return give
