"""How long an inference takes on the runtime that devices have by default, here."""

from time import perf_counter
from typing import Final

from agent.adapters.runtime_tflite import open_runtime
from agent.ports.signatures import Callables, Port
from agent.wire.errors import PortError
from deploy.core.factory.advice.words import Timed
from deploy.core.factory.conversion import noise
from deploy.core.factory.conversion.words import Signature, TensorForm

_CALLS_MAX: Final = 200
_CALLS_MIN: Final = 3
_ENOUGH_S: Final = 0.5


def fastest(content: bytes) -> Timed:
    """On one thread, after one call that warms it up; of several signatures the first.

    Whatever the runtime says of a model that it does not take is in the answer.
    """
    runtime = open_runtime()
    try:
        model = runtime.open(content, threads=1)
        times = _times(model)
    except PortError as error:
        return Timed(runtime="", least_ms=0.0, calls=0, fault=str(error))
    return Timed(runtime=model.runtime, least_ms=round(min(times) * 1e3, 3), calls=len(times))


def _times(model: Callables) -> list[float]:
    signature = model.signatures[0]
    drawn = next(
        iter(noise.samples(Signature(name="", inputs=tuple(map(_form, signature.inputs)), outputs=())))
    )
    model.call(signature, drawn)
    times: list[float] = []
    while len(times) < _CALLS_MIN or (sum(times) < _ENOUGH_S and len(times) < _CALLS_MAX):
        began = perf_counter()
        model.call(signature, drawn)
        times.append(perf_counter() - began)
    return times


def _form(port: Port) -> TensorForm:
    dtype = "string" if port.dtype == "bytes" else port.dtype
    return TensorForm(name=port.name, shape=port.shape or (), dtype=dtype)
