"""A float .tflite file as the parent: what other trainers' converters leave, and what people have kept.

TensorFlow Lite's converter calibrates and quantizes such a file itself, as the second half of each of its
conversions: the modes with calibration are exactly its own. Its weights-only modes belong to the first half,
which no file goes through: `tflite_weights` writes them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.optimize import calibrator

from agent.core.tflite import flatmodel
from agent.core.tflite.flatmodel import Arithmetic
from agent.wire.errors import Malformed
from deploy.core.factory.conversion import refusals
from deploy.core.factory.conversion.words import Convert, Quantize, Signature, TensorForm
from deploy.core.refusal import Refused
from deploy.factory.parent import Arrays, Made, Samples
from deploy.factory.sources import tflite_weights

_CONVERTER: Final = f"tensorflow {tf.__version__}"
_NOT_FLOAT: Final = (
    "{} computes in {} already, and what precision it lost does not come back: "
    "convert the float model that it was made from"
)


class TfliteParent:
    """See `deploy.factory.parent.Parent`."""

    def __init__(self, content: bytes, *, named: str, remarks: tuple[str, ...] = ()) -> None:
        """
        Args:
            content: a whole file.
            named: how to call it in a refusal.
            remarks: said of every model that is made of it.

        Raises:
            Refused: it is no .tflite file, or not a float one, or has operators that the runtime lacks.
        """
        content = _float(content, named)
        self._content = content
        self._remarks = remarks
        try:
            self._interpreter = _interpreter(content)
        except (ValueError, RuntimeError) as error:
            raise Refused(f"{named} does not load: {' '.join(str(error).split())[:200]}") from error
        declared = self._interpreter.get_signature_list()
        self._runners = {name: self._interpreter.get_signature_runner(name) for name in sorted(declared)}
        self.signatures: tuple[Signature, ...] = tuple(
            _signature(name, runner.get_input_details(), runner.get_output_details())
            for name, runner in self._runners.items()
        ) or (_plain(self._interpreter),)

    def answer(self, signature: str, inputs: Arrays) -> Arrays:
        runner = self._runners.get(signature)
        if runner is not None:
            answers: Arrays = runner(**inputs)
            return answers
        return _call_plain(self._interpreter, inputs)

    def convert(self, order: Convert, samples: Mapping[str, Samples]) -> Made:
        """
        Raises:
            Refused: what was asked for needs the model that the file was made from.
        """
        _check_order(order, self.signatures)
        match order.quantize:
            case Quantize.NONE:
                content = self._content
            case Quantize.FLOAT16:
                content = tflite_weights.float16(self._content)
            case Quantize.DYNAMIC:
                content = tflite_weights.dynamic(self._content)
            case _:
                content = self._calibrated(order, samples)
        return Made(content=content, converter=_CONVERTER, remarks=self._remarks)

    def _calibrated(self, order: Convert, samples: Mapping[str, Samples]) -> bytes:
        feed = self._feed(samples)
        try:
            if order.quantize is Quantize.INT16X8:
                return _int16x8(self._content, feed, order)
            return _int8(self._content, feed, order)
        except (RuntimeError, ValueError) as error:
            raise Refused(refusals.sentence(order.quantize, str(error))) from error

    def _feed(self, samples: Mapping[str, Samples]) -> Any:
        """The samples as the calibrator takes them: by the signature's name, or in the order of inputs."""

        def feed() -> Iterator[Any]:
            for signature in self.signatures:
                for sample in samples[signature.name]():
                    if signature.name in self._runners:
                        yield signature.name, dict(sample)
                    else:
                        yield [sample[form.name] for form in signature.inputs]

        return feed


def open_source(place: str, order: Convert) -> TfliteParent:
    """
    Raises:
        Refused: it cannot be read, or is no float .tflite file.
    """
    del order  # what it asks for is looked at when it is converted
    try:
        content = Path(place).read_bytes()
    except OSError as error:
        raise Refused(f"{place} cannot be read: {error.strerror}") from error
    return TfliteParent(content, named=place)


def _float(content: bytes, named: str) -> bytes:
    """In float32: weights of 16 bits are finer than any that are made of them."""
    try:
        facts = flatmodel.examine(content)
    except Malformed as error:
        raise Refused(f"{named}: {error}") from error
    if facts.edgetpu:
        raise Refused(f"{named} is compiled for an Edge TPU: convert the float model it was made from")
    match facts.arithmetic:
        case Arithmetic.FLOAT32:
            return content
        case Arithmetic.FLOAT16:
            return tflite_weights.float32(content)
        case other:
            raise Refused(_NOT_FLOAT.format(named, other))


def _check_order(order: Convert, signatures: tuple[Signature, ...]) -> None:
    names = {signature.name for signature in signatures}
    if order.signatures and set(order.signatures) != names:
        raise Refused(
            f"a .tflite file is converted with all its signatures ({', '.join(sorted(names))}):"
            " leave some out where it is made"
        )
    if order.shapes:
        raise Refused("the shapes of a .tflite file stand in it: set them where it is made")


def _interpreter(content: bytes) -> Any:
    # The runtime's own kernels: the parent's answers are what the file says, whatever a delegate makes of it.
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    return interpreter


def _signature(name: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Signature:
    return Signature(name=name, inputs=_forms(inputs), outputs=_forms(outputs))


def _plain(interpreter: Any) -> Signature:
    """Of a file without signatures: its tensors' own names."""
    return _signature(
        "",
        {each["name"]: each for each in interpreter.get_input_details()},
        {each["name"]: each for each in interpreter.get_output_details()},
    )


def _call_plain(interpreter: Any, inputs: Arrays) -> Arrays:
    for each in interpreter.get_input_details():
        interpreter.set_tensor(each["index"], inputs[each["name"]])
    interpreter.invoke()
    return {each["name"]: interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()}


def _forms(tensors: Mapping[str, Any]) -> tuple[TensorForm, ...]:
    return tuple(
        TensorForm(
            name=name,
            shape=tuple(int(size) for size in each["shape_signature"]),
            dtype="string" if np.dtype(each["dtype"]).kind in "SO" else np.dtype(each["dtype"]).name,
        )
        for name, each in tensors.items()
    )


def _int8(content: bytes, feed: Any, order: Convert) -> bytes:
    ends = {Quantize.INT8: tf.int8, Quantize.UINT8: tf.uint8}.get(order.quantize, tf.float32)
    calibrated = _calibrator(content).calibrate(feed)
    made: bytes = mlir_quantize(
        calibrated,
        input_data_type=ends,
        output_data_type=ends,
        disable_per_channel_for_dense_layers=order.edgetpu,
    )
    return made


def _int16x8(content: bytes, feed: Any, order: Convert) -> bytes:
    made: bytes = _calibrator(content).calibrate_and_quantize(
        feed, tf.float32, tf.float32, order.float_fallback, tf.int16, tf.int64
    )
    return made


def _calibrator(content: bytes) -> Any:
    return calibrator.Calibrator(calibrator.add_intermediate_tensors(tflite_weights.plain(content)))
