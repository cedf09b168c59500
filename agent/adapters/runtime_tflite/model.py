"""A loaded model."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.adapters.runtime_tflite.native import sentence
from agent.core.inference.contract import not_a_classifier
from agent.core.tflite.flatmodel import ModelFacts
from agent.ports.runtime import Tensor, TensorInfo
from agent.wire.documents import Dtype, Quantization
from agent.wire.errors import DelegateUnavailable, ModelUnloadable


class TfliteModel:
    """Set, invoke, copy out: some ten microseconds over the bare invoke()."""

    def __init__(
        self, interpreter: Any, facts: ModelFacts, *, runtime: str, delegate: str, reason: str
    ) -> None:
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        forms = [_tensor_form(details) for details in (*inputs, *outputs)]
        fault = not_a_classifier(forms[: len(inputs)], forms[len(inputs) :], facts.operator_names)
        if fault is not None:
            raise ModelUnloadable(fault)
        self.input, self.output = map(_tensor_info, forms)
        self.runtime = runtime
        self.delegate = delegate
        self.delegate_reason = reason
        self._interpreter = interpreter
        self._stateful = facts.stateful
        self._input_index = inputs[0]["index"]
        self._output_index = outputs[0]["index"]

    def invoke(self, tensor: Tensor) -> Tensor:
        if self._stateful:
            # A recurrent model would judge this frame by the ones before it.
            self._interpreter.reset_all_variables()
        self._interpreter.set_tensor(self._input_index, tensor)
        try:
            self._interpreter.invoke()
        except (RuntimeError, ValueError, MemoryError) as error:
            raise self._failed(error) from error
        output: Tensor = self._interpreter.get_tensor(self._output_index)
        return output

    def _failed(self, error: BaseException) -> ModelUnloadable:
        if self.delegate == "edgetpu":
            return DelegateUnavailable(f"the Edge TPU failed in the middle: {sentence(error)}")
        return ModelUnloadable(f"{self.runtime} failed in the middle: {sentence(error)}")


def delegated(interpreter: Any) -> bool:
    """Whether a delegate computes anything; neither runtime says so but here."""
    return any(operator["op_name"] == "DELEGATE" for operator in interpreter._get_ops_details())  # noqa: SLF001 - see above


@dataclass(frozen=True, slots=True)
class _TensorForm:
    """As TensorInfo, of any type."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None


def _tensor_form(details: dict[str, Any]) -> _TensorForm:
    parameters = details["quantization_parameters"]
    scales, zero_points = parameters["scales"], parameters["zero_points"]
    usable = len(scales) == 1 and np.isfinite(scales[0]) and scales[0] > 0
    return _TensorForm(
        name=str(details["name"]),
        shape=tuple(int(size) for size in details["shape"]),
        dtype=np.dtype(details["dtype"]).name,
        quantization=Quantization(scale=float(scales[0]), zero_point=int(zero_points[0])) if usable else None,
    )


def _tensor_info(form: _TensorForm) -> TensorInfo:
    return TensorInfo(form.name, form.shape, Dtype(form.dtype), form.quantization)
