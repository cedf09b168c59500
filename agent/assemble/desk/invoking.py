"""What `shoal-agent invoke` does in its child process: any signature of any model."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING

from msgspec import Struct

from agent.core.serving.delegate import RuntimeChoice
from agent.core.tflite import invocation
from agent.wire.documents import Quantization
from agent.wire.errors import Malformed
from agent.wire.ipc import EdgeTpu

if TYPE_CHECKING:
    from agent.ports.runtime import Tensor
    from agent.ports.signatures import Callables, Port, Signature

VALUES_SHOWN = 8


class Given(Struct, frozen=True, kw_only=True):
    """An input's file; an empty name stands for the only input there is."""

    name: str
    file: str


class Invoke(Struct, frozen=True, kw_only=True, tag="invoke"):
    model: str
    signature: str | None = None
    """None: the only one there is."""
    inputs: tuple[Given, ...] = ()
    """None at all: only list the signatures."""
    steps: bool = False
    """Every file has one axis more, in front: a call for each, and the model remembers between them."""
    out: str | None = None
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    threads: int = 1
    edgetpu: EdgeTpu | None = None


class PortSeen(Struct, frozen=True, kw_only=True):
    name: str
    shape: tuple[int, ...] | None
    """-1: any size; None: any shape."""
    dtype: str
    quantization: Quantization | None = None


class SignatureSeen(Struct, frozen=True, kw_only=True):
    name: str
    inputs: tuple[PortSeen, ...]
    outputs: tuple[PortSeen, ...]


class Listed(Struct, frozen=True, kw_only=True, tag="listed"):
    """What can be called; `fault` says why the one that was asked for cannot."""

    signatures: tuple[SignatureSeen, ...]
    fault: str = ""


class Output(Struct, frozen=True, kw_only=True):
    """`first` are the first values, as numbers or text; the least, the greatest and the mean of all."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    first: tuple[float | str, ...] = ()
    least: float | None = None
    greatest: float | None = None
    mean: float | None = None


class Invoked(Struct, frozen=True, kw_only=True, tag="invoked"):
    signature: str
    outputs: tuple[Output, ...]
    calls: int
    invoke_ms: float
    """Of one call, on average."""
    runtime: str
    file: str | None = None


def invoke(job: Invoke, content: bytes) -> Iterator[Listed | Invoked]:
    """
    Raises:
        WireError: a file is not what it should be.
        PortError: the runtime refuses the model, or failed in the middle.
    """
    model = _opened(job, content)
    signature = _chosen(model, job)
    if not job.inputs or isinstance(signature, str):
        yield Listed(
            signatures=tuple(map(_seen, model.signatures)),
            fault=signature if isinstance(signature, str) else "",
        )
        return
    given = _arrays(job, signature)
    steps = _steps(given) if job.steps else [given]
    fault = invocation.fault(signature.inputs, steps[0])
    if fault is not None:
        raise Malformed(fault)
    began_ns = perf_counter_ns()
    results = [model.call(signature, step) for step in steps]
    took_ms = (perf_counter_ns() - began_ns) / 1e6 / len(results)
    outputs = _stacked(results) if job.steps else results[0]
    yield Invoked(
        signature=signature.name,
        outputs=tuple(_output(name, array) for name, array in outputs.items()),
        calls=len(results),
        invoke_ms=round(took_ms, 3),
        runtime=model.runtime,
        file=None if job.out is None else _written(outputs, job.out),
    )


def _opened(job: Invoke, content: bytes) -> "Callables":
    from agent.adapters.edgetpu.delegate import OpenEdgeTpu
    from agent.adapters.edgetpu.host import explain
    from agent.adapters.runtime_tflite import open_runtime

    runtime = open_runtime(job.runtime, OpenEdgeTpu(explain))
    return runtime.open(content, threads=job.threads, edgetpu=job.edgetpu)


def _chosen(model: "Callables", job: Invoke) -> "Signature | str":
    """The signature to call, or why it is not clear which."""
    by_name = {signature.name: signature for signature in model.signatures}
    if job.signature is not None:
        if job.signature in by_name:
            return by_name[job.signature]
        if set(by_name) == {""}:
            return f"there is no signature {job.signature!r}, the model declares none: leave --signature out"
        return f"there is no signature {job.signature!r}{invocation.nearest(job.signature, by_name)}"
    if len(by_name) == 1 or not job.inputs:
        return model.signatures[0]
    return f"name one with --signature: there are {', '.join(map(repr, by_name))}"


def _arrays(job: Invoke, signature: "Signature") -> "dict[str, Tensor]":
    arrays: dict[str, Tensor] = {}
    for given in job.inputs:
        name = given.name
        if not name and len(signature.inputs) != 1:
            names = ", ".join(repr(port.name) for port in signature.inputs) or "none"
            raise Malformed(f"{given.file}: which input is it, of {names}? Write NAME=FILE.npy")
        arrays[name or signature.inputs[0].name] = _array(given.file)
    return arrays


def _array(file: str) -> "Tensor":
    import numpy as np

    try:
        array = np.load(file, allow_pickle=False)
    except OSError as error:
        raise Malformed(f"{file}: {error.strerror or error}") from error
    except (ValueError, EOFError, MemoryError) as error:
        raise Malformed(f"{file} is no .npy file with numbers: {error}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise Malformed(f"{file} holds several arrays: give one .npy file for each input")
    return array


def _steps(given: "Mapping[str, Tensor]") -> "list[dict[str, Tensor]]":
    counts = {name: array.shape[0] if array.ndim else 0 for name, array in given.items()}
    if len(set(counts.values())) != 1 or not next(iter(counts.values())):
        told = ", ".join(f"{name!r} has {count}" for name, count in counts.items())
        raise Malformed(f"--steps: every file needs as many steps, at least one, on its first axis: {told}")
    return [
        {name: array[step] for name, array in given.items()} for step in range(next(iter(counts.values())))
    ]


def _stacked(results: "list[dict[str, Tensor]]") -> "dict[str, Tensor]":
    import numpy as np

    try:
        return {name: np.stack([result[name] for result in results]) for name in results[0]}
    except ValueError as error:
        raise Malformed("--steps: the outputs of the steps differ in shape; call each by itself") from error


def _seen(signature: "Signature") -> SignatureSeen:
    return SignatureSeen(
        name=signature.name,
        inputs=tuple(map(_port_seen, signature.inputs)),
        outputs=tuple(map(_port_seen, signature.outputs)),
    )


def _port_seen(port: "Port") -> PortSeen:
    return PortSeen(name=port.name, shape=port.shape, dtype=port.dtype, quantization=port.quantization)


def _output(name: str, array: "Tensor") -> Output:
    import numpy as np

    form = Output(name=name, shape=array.shape, dtype=array.dtype.name)
    flat = np.ravel(array)
    if array.dtype.kind not in "biuf":
        shown = tuple(str(value) for value in flat[:VALUES_SHOWN].tolist())
        return Output(name=name, shape=array.shape, dtype=form.dtype, first=shown)
    if not flat.size:
        return form
    # A detector leaves what stands behind its last find as it was in memory, which may be no number.
    with np.errstate(invalid="ignore", over="ignore"):
        real = flat.astype(np.float64)
        return Output(
            name=name,
            shape=array.shape,
            dtype=form.dtype,
            first=tuple(real[:VALUES_SHOWN].tolist()),
            least=float(real.min()),
            greatest=float(real.max()),
            mean=float(real.mean()),
        )


def _written(outputs: "Mapping[str, Tensor]", out: str) -> str:
    """One array into a .npy file, else a .npz archive, as numpy reads them back."""
    import zipfile

    import numpy as np

    if Path(out).suffix == ".npy" and len(outputs) != 1:
        raise Malformed(
            f"{out}: there are {len(outputs)} outputs, and a .npy file holds one: write a .npz file"
        )
    try:
        if Path(out).suffix == ".npy":
            with Path(out).open("wb") as file:
                np.save(file, _numbers(next(iter(outputs.values()))), allow_pickle=False)
        else:
            # Not numpy.savez: an output may be called as one of its own arguments.
            with zipfile.ZipFile(out, "w") as archive:
                for name, array in outputs.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.save(member, _numbers(array), allow_pickle=False)
    except OSError as error:
        raise Malformed(f"{out}: {error.strerror or error}") from error
    return out


def _numbers(array: "Tensor") -> "Tensor":
    """Strings come out of a runtime as objects, which numpy writes only as code."""
    import numpy as np

    return array.astype(np.bytes_) if array.dtype.kind == "O" else array
