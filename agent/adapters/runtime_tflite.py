"""ai-edge-litert and tflite-runtime behind one port.

Both have the same Python interface. They differ in what they delegate: LiteRT hands integer models to
XNNPACK, tflite-runtime 2.14 only float ones, because its flags for integer operators are off and Python can't
reach them. There the delegate is made by hand, with the C functions that the wheel's library exports: twelve
times faster on x86 than the runtime's own kernels.

Neither runtime can be trusted with a hostile file: only a child process loads a model that has not proved
itself.
"""

import contextlib
import ctypes
import importlib
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from agent.core import flatmodel
from agent.core.contract import not_a_classifier
from agent.core.delegate import RuntimeChoice
from agent.core.flatmodel import Arithmetic, ModelFacts
from agent.ports.runtime import Model, Runtime, Tensor, TensorInfo
from agent.wire.documents import Dtype, Quantization
from agent.wire.errors import Malformed, ModelUnloadable, RuntimeMissing

_LOAD_FAULTS: Final = (ValueError, RuntimeError, MemoryError, OSError)
"""What Interpreter() and allocate_tensors() raise; UnicodeDecodeError, which tflite-runtime raises while it
reports on garbage, is a ValueError."""

_INTEGER: Final = frozenset({Arithmetic.INTEGER, Arithmetic.MIXED})


@dataclass(frozen=True, slots=True)
class _Package:
    distribution: str
    module: str
    install: str
    integer_xnnpack_by_hand: bool


_PACKAGES: Final = {
    RuntimeChoice.LITERT: _Package(
        "ai-edge-litert", "ai_edge_litert", "pip install ai-edge-litert", integer_xnnpack_by_hand=False
    ),
    RuntimeChoice.TFLITE: _Package(
        "tflite-runtime",
        "tflite_runtime",
        "pip install 'tflite-runtime==2.14.0' 'numpy<2' (Python 3.11)",
        integer_xnnpack_by_hand=True,
    ),
}
_QS8: Final = 1
_QU8: Final = 2

_NUMPY_TRAP: Final = (
    "tflite-runtime 2.14 was built for numpy 1 and finds numpy {}: pip install 'numpy<2', or ai-edge-litert"
)


def open_runtime(choice: RuntimeChoice = RuntimeChoice.AUTO) -> Runtime:
    """The runtime that was chosen; for AUTO the first that works: LiteRT, then tflite-runtime.

    Raises:
        RuntimeMissing: none is usable; the message says what to install.
    """
    choices = list(_PACKAGES) if choice is RuntimeChoice.AUTO else [choice]
    faults: list[str] = []
    for each in choices:
        try:
            return _open(_PACKAGES[each])
        except RuntimeMissing as missing:
            faults.append(str(missing))
    raise RuntimeMissing("; ".join(faults))


def _open(package: _Package) -> "TfliteRuntime":
    try:
        module = importlib.import_module(f"{package.module}.interpreter")
    except ImportError as error:
        raise RuntimeMissing(
            f"{package.distribution} cannot be imported ({error}): {package.install}"
        ) from error
    version = _version(package.distribution)
    if (
        package.integer_xnnpack_by_hand
        and version.startswith("2.14.")
        and int(np.__version__.split(".")[0]) >= 2
    ):
        raise RuntimeMissing(_NUMPY_TRAP.format(np.__version__))
    return TfliteRuntime(module, f"{package.distribution} {version}", by_hand=package.integer_xnnpack_by_hand)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "of unknown version"


class TfliteRuntime:
    """`module` is the interpreter module of one of the two packages."""

    def __init__(self, module: Any, name: str, *, by_hand: bool) -> None:
        self.name = name
        self._module = module
        self._by_hand = by_hand

    def load(self, content: bytes, *, threads: int) -> Model:
        try:
            facts = flatmodel.examine(content)
        except Malformed as error:
            raise ModelUnloadable(str(error)) from error
        if facts.edgetpu:
            raise ModelUnloadable(
                "compiled for an Edge TPU, which has no CPU fallback: use the variant that is not compiled"
            )
        with _native_stderr_silenced():
            interpreter, xnnpack_missing = self._interpreter(content, facts, threads)
        return TfliteModel(interpreter, self.name, facts, _Setup(threads, xnnpack_missing))

    def _interpreter(self, content: bytes, facts: ModelFacts, threads: int) -> tuple[Any, bool]:
        """An interpreter with its tensors, and whether XNNPACK was wanted by hand and not to be had."""
        wanted = self._by_hand and facts.arithmetic in _INTEGER
        xnnpack = _make_xnnpack(self._module.__package__, threads) if wanted else None
        if xnnpack is not None:
            resolvers = self._module.OpResolverType
            with contextlib.suppress(ModelUnloadable):
                return self._allocated(
                    model_content=content,
                    num_threads=threads,
                    experimental_op_resolver_type=resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                    experimental_delegates=[xnnpack],
                ), False
        return self._allocated(model_content=content, num_threads=threads), wanted

    def _allocated(self, **options: Any) -> Any:
        interpreter = _call("load it", lambda: self._module.Interpreter(**options))
        _call("allocate its tensors", interpreter.allocate_tensors)
        return interpreter


@dataclass(frozen=True, slots=True)
class _Setup:
    threads: int
    xnnpack_missing: bool


class TfliteModel:
    """Set, invoke, copy out: some ten microseconds over the bare invoke()."""

    def __init__(self, interpreter: Any, runtime: str, facts: ModelFacts, setup: _Setup) -> None:
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        forms = [_tensor_form(details) for details in (*inputs, *outputs)]
        fault = not_a_classifier(forms[: len(inputs)], forms[len(inputs) :])
        if fault is not None:
            raise ModelUnloadable(fault)
        self.input, self.output = map(_tensor_info, forms)
        self.runtime = runtime
        self.delegate = "xnnpack" if _delegated(interpreter) else "cpu"
        self.delegate_reason = _reason(self.delegate, facts, setup)
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
            raise ModelUnloadable(f"{self.runtime} failed in the middle: {_sentence(error)}") from error
        output: Tensor = self._interpreter.get_tensor(self._output_index)
        return output


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


def _delegated(interpreter: Any) -> bool:
    """Whether a delegate computes anything; neither runtime says so but here."""
    return any(operator["op_name"] == "DELEGATE" for operator in interpreter._get_ops_details())  # noqa: SLF001 - see above


def _reason(delegate: str, facts: ModelFacts, setup: _Setup) -> str:
    threads = f"{setup.threads} thread{'' if setup.threads == 1 else 's'}"
    what = f"{facts.arithmetic} model, not compiled for an Edge TPU"
    if delegate == "xnnpack":
        return f"{what}: XNNPACK on {threads}"
    if setup.xnnpack_missing:
        return f"{what}, and this tflite-runtime could not attach XNNPACK: its own kernels on {threads}"
    return f"{what}, and XNNPACK takes none of its operators: the runtime's own kernels on {threads}"


def _call(intent: str, native: Callable[[], Any]) -> Any:
    """
    Raises:
        ModelUnloadable: the runtime refused, with its reason.
    """
    try:
        return native()
    except SystemError as error:
        raise ModelUnloadable(_NUMPY_TRAP.format(np.__version__)) from error
    except _LOAD_FAULTS as error:
        raise ModelUnloadable(f"the runtime refuses to {intent}: {_sentence(error)}") from error


def _sentence(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines) or type(error).__name__
    # tflite-runtime says everything twice.
    half = len(text) // 2
    return text[:half] if text[:half] == text[half:] else text


class _XnnpackOptions(ctypes.Structure):
    """TfLiteXNNPackDelegateOptions: the two fields that matter, and more room than any version needs."""

    _fields_ = (
        ("num_threads", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
        ("others", ctypes.c_uint8 * 120),
    )


class _Xnnpack:
    """What Interpreter() takes as a delegate.

    The interpreter drops it after it has let go of its own native side, so that the native delegate outlives
    that; at the exit of the process both are left to it.
    """

    def __init__(self, library: Any, pointer: int) -> None:
        self._pointer = pointer
        weakref.finalize(self, library.TfLiteXNNPackDelegateDelete, pointer).atexit = False

    def _get_native_delegate_pointer(self) -> int:
        return self._pointer


def _make_xnnpack(package: str, threads: int) -> object | None:
    """A delegate for int8 and uint8 operators; None where the package's library exports none.

    Source: tensorflow/lite/delegates/xnnpack/xnnpack_delegate.h.
    """
    library = _library(package)
    if library is None:
        return None
    options = library.TfLiteXNNPackDelegateOptionsDefault()
    options.num_threads = threads
    options.flags |= _QS8 | _QU8
    pointer = library.TfLiteXNNPackDelegateCreate(ctypes.byref(options))
    return _Xnnpack(library, pointer) if pointer else None


def _library(package: str) -> Any | None:
    folder = Path(str(importlib.import_module(package).__file__)).parent
    path = next(folder.glob("_pywrap*.so"), None)
    if path is None:
        return None
    try:
        library = ctypes.CDLL(str(path))
        defaults = library.TfLiteXNNPackDelegateOptionsDefault
        create = library.TfLiteXNNPackDelegateCreate
        delete = library.TfLiteXNNPackDelegateDelete
    except (OSError, AttributeError):
        return None
    defaults.restype, defaults.argtypes = _XnnpackOptions, []
    create.restype, create.argtypes = ctypes.c_void_p, [ctypes.POINTER(_XnnpackOptions)]
    delete.restype, delete.argtypes = None, [ctypes.c_void_p]
    return library


_stderr_lock = threading.Lock()


@contextlib.contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    """TFLite greets on file descriptor 2, past every log level; its errors come as exceptions as well."""
    with _stderr_lock, contextlib.ExitStack() as stack:
        try:
            kept = os.dup(2)
        except OSError:
            yield  # there is no standard error
            return
        stack.callback(os.close, kept)
        if sys.stderr is not None:
            sys.stderr.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        stack.callback(os.dup2, kept, 2)
        yield
