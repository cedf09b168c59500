"""Any .tflite model, by signature: what `invoke` on the desk runs."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from agent.adapters.runtime_tflite.native import call
from agent.ports.runtime import Tensor
from agent.ports.signatures import Port, Signature
from agent.wire.documents import Quantization

_TEXT: Final = "bytes"
"""How a tensor of strings is called: numpy's own name for it depends on the longest one."""


class TfliteCallables:
    """See `agent.ports.signatures.Callables`; the interpreter has not allocated its tensors yet."""

    def __init__(self, interpreter: Any, *, runtime: str) -> None:
        self.runtime = runtime
        self._interpreter = interpreter
        self._runners = {name: self._runner(name) for name in sorted(interpreter.get_signature_list())}
        self._plain = _Plain(interpreter)
        declared = tuple(_signature(name, runner) for name, runner in self._runners.items())
        self.signatures = declared or (_signature("", self._plain),)

    def call(self, signature: Signature, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        runner = self._runners.get(signature.name, self._plain)
        outputs: dict[str, Tensor] = call("run it", lambda: runner(**inputs))
        return outputs

    def _runner(self, name: str) -> Any:
        return call(f"open its signature {name!r}", lambda: self._interpreter.get_signature_runner(name))


class _Plain:
    """The inputs and outputs of the main graph under the names of their tensors, as a signature's runner."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._inputs = _named(interpreter.get_input_details())
        self._outputs = _named(interpreter.get_output_details())

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        return self._inputs

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        return self._outputs

    def __call__(self, **inputs: Tensor) -> dict[str, Tensor]:
        for name, array in inputs.items():
            self._interpreter.resize_tensor_input(self._inputs[name]["index"], array.shape)
        self._interpreter.allocate_tensors()
        for name, array in inputs.items():
            self._interpreter.set_tensor(self._inputs[name]["index"], array)
        self._interpreter.invoke()
        return {
            name: self._interpreter.get_tensor(details["index"]) for name, details in self._outputs.items()
        }


def _named(tensors: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By name; of several tensors of one name, the later ones are numbered."""
    named: dict[str, dict[str, Any]] = {}
    for details in tensors:
        name = str(details["name"]) or "tensor"
        same = sum(1 for known in named if known == name or known.startswith(f"{name}#"))
        named[f"{name}#{same + 1}" if same else name] = details
    return named


def _signature(name: str, runner: Any) -> Signature:
    return Signature(name, _ports(runner.get_input_details()), _ports(runner.get_output_details()))


def _ports(details: Mapping[str, dict[str, Any]]) -> tuple[Port, ...]:
    return tuple(_port(name, each) for name, each in details.items())


def _port(name: str, details: dict[str, Any]) -> Port:
    dtype = np.dtype(details["dtype"])
    shape = tuple(int(size) for size in details["shape_signature"])
    parameters = details["quantization_parameters"]
    scales, zero_points = parameters["scales"], parameters["zero_points"]
    usable = len(scales) == 1 and np.isfinite(scales[0]) and scales[0] > 0
    return Port(
        name=name,
        # A file tells a single number and a shape that nobody knows in the same way.
        shape=shape or None,
        dtype=_TEXT if dtype.kind == "S" else dtype.name,
        quantization=Quantization(scale=float(scales[0]), zero_point=int(zero_points[0])) if usable else None,
    )
