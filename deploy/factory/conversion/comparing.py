"""A converted model beside its float parent, before anybody gets the file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agent.core.inference.quant import dequantize, quantize
from agent.wire.documents import Dtype, Quantization
from deploy.core.factory.conversion import agreeing
from deploy.core.factory.conversion.agreeing import Answered, Unanswered
from deploy.core.factory.conversion.words import Agreement, Quantize, Signature
from deploy.core.refusal import Refused
from deploy.factory.parent import Arrays, Parent, Samples

SAMPLES_MAX: Final = 100
_FAULTS: Final = (ValueError, RuntimeError, MemoryError)
_Details = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Compared:
    agreement: Agreement | None
    """None: no runtime at hand computes it."""
    on: str
    """Name and version of the runtime."""
    fault: str = ""
    """Why none computes it."""


@dataclass(frozen=True, slots=True)
class _Runner:
    inputs: _Details
    outputs: _Details
    call: Callable[[Arrays], Arrays]


def compare(
    parent: Parent, content: bytes, samples: Mapping[str, Samples], quantize: Quantize, *, foreign: bool
) -> Compared:
    """
    Args:
        parent: answers in float.
        content: the converted model.
        samples: for each of the parent's signatures.
        quantize: how it was converted.
        foreign: it has operators of TensorFlow itself, which only TensorFlow's own interpreter runs.

    Raises:
        Refused: the parent answers no number, or the converted model lost a signature, an input or output.
    """
    faults = []
    for opened in (_tensorflow,) if foreign else (_litert, _tensorflow):
        try:
            interpreter, name = opened(content)
            found = [
                _signature(parent, each, interpreter, samples[each.name], quantize)
                for each in parent.signatures
            ]
        except _FAULTS as error:
            faults.append(" ".join(str(error).split()).partition(". ")[0][:200])
            continue
        return Compared(agreeing.worst(found), name)
    return Compared(None, "", faults[0])


def _litert(content: bytes) -> tuple[Any, str]:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - only whoever compares loads a runtime

    name = f"ai-edge-litert {metadata.version('ai-edge-litert')}"
    return _allocated(Interpreter(model_content=content)), name


def _tensorflow(content: bytes) -> tuple[Any, str]:
    import tensorflow as tf  # noqa: PLC0415 - same

    return _allocated(tf.lite.Interpreter(model_content=content)), f"tensorflow {tf.__version__}"


def _allocated(interpreter: Any) -> Any:
    interpreter.allocate_tensors()
    return interpreter


def _signature(
    parent: Parent, signature: Signature, interpreter: Any, samples: Samples, quantize: Quantize
) -> Agreement:
    runner = _runner(interpreter, signature.name)
    lost = [form.name for form in signature.inputs if form.name not in runner.inputs]
    lost += [form.name for form in signature.outputs if form.name not in runner.outputs]
    if lost:
        raise Refused(f"the converted model has lost {', '.join(map(repr, lost))} of {signature.name!r}")
    try:
        return agreeing.measure(_answers(parent, signature, runner, samples), quantize)
    except Unanswered as error:
        raise Refused(
            f"the float model itself answers NaN or infinity in output {str(error)!r}: its weights or these "
            "samples are at fault, no quantization is"
        ) from error


def _runner(interpreter: Any, name: str) -> _Runner:
    known = interpreter.get_signature_list()
    if not known:
        return _plain(interpreter)
    if name not in known:
        raise Refused(f"the converted model has lost the signature {name!r}")
    runner = interpreter.get_signature_runner(name)

    def call(inputs: Arrays) -> Arrays:
        # Each sample is judged by itself, whatever a recurrent model remembers of the one before.
        interpreter.reset_all_variables()
        outputs: Arrays = runner(**inputs)
        return outputs

    return _Runner(runner.get_input_details(), runner.get_output_details(), call)


def _plain(interpreter: Any) -> _Runner:
    """Of a file without signatures: inputs and outputs by the names of their tensors."""
    taken = {each["name"]: each for each in interpreter.get_input_details()}
    given = {each["name"]: each for each in interpreter.get_output_details()}

    def call(inputs: Arrays) -> Arrays:
        interpreter.reset_all_variables()
        for name, array in inputs.items():
            interpreter.set_tensor(taken[name]["index"], array)
        interpreter.invoke()
        return {name: interpreter.get_tensor(details["index"]) for name, details in given.items()}

    return _Runner(taken, given, call)


def _answers(parent: Parent, signature: Signature, runner: _Runner, samples: Samples) -> Iterator[Answered]:
    for index, inputs in enumerate(samples()):
        if index == SAMPLES_MAX:
            return
        answered = runner.call({name: _fed(array, runner.inputs[name]) for name, array in inputs.items()})
        yield Answered(
            parent=parent.answer(signature.name, inputs),
            child={
                form.name: _read(answered[form.name], runner.outputs[form.name]) for form in signature.outputs
            },
        )


def _fed(array: NDArray[np.generic], details: Mapping[str, Any]) -> NDArray[np.generic]:
    found, dtype = _quantization(details), np.dtype(details["dtype"])
    if found is not None and array.dtype.kind == "f" and dtype.kind in "iu":
        return quantize(array.astype(np.float64), found, Dtype(dtype.name))
    return array if dtype.kind in "SO" else array.astype(dtype)


def _read(array: NDArray[np.generic], details: Mapping[str, Any]) -> NDArray[np.generic]:
    found = _quantization(details)
    return array if found is None or array.dtype.kind == "f" else dequantize(array, found)


def _quantization(details: Mapping[str, Any]) -> Quantization | None:
    parameters = details["quantization_parameters"]
    if len(parameters["scales"]) != 1 or not parameters["scales"][0] > 0:
        return None
    return Quantization(scale=float(parameters["scales"][0]), zero_point=int(parameters["zero_points"][0]))
