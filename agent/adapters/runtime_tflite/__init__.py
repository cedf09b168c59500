"""ai-edge-litert and tflite-runtime behind one port.

Both have the same Python interface. They differ in what they delegate: LiteRT hands integer models to
XNNPACK, tflite-runtime 2.14 only float ones, because its flags for integer operators are off and Python can't
reach them. There the delegate is made by hand, with the C functions that the wheel's library exports: twelve
times faster on x86 than the runtime's own kernels.

Neither runtime can be trusted with a hostile file: only a child process loads a model that has not proved
itself.
"""

import importlib
from dataclasses import dataclass
from importlib import metadata
from typing import Final

import numpy as np

from agent.adapters.runtime_tflite.loading import TfliteRuntime
from agent.adapters.runtime_tflite.native import NUMPY_TRAP
from agent.core.serving.delegate import RuntimeChoice
from agent.ports.accelerator import OpenDelegate
from agent.wire.errors import RuntimeMissing


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


def open_runtime(
    choice: RuntimeChoice = RuntimeChoice.AUTO, open_delegate: OpenDelegate | None = None
) -> TfliteRuntime:
    """The runtime that was chosen; for AUTO the first that works: LiteRT, then tflite-runtime.

    Args:
        choice: which one.
        open_delegate: opens an Edge TPU; without it, models that are compiled for one are refused.

    Raises:
        RuntimeMissing: none is usable; the message says what to install.
    """
    choices = list(_PACKAGES) if choice is RuntimeChoice.AUTO else [choice]
    faults: list[str] = []
    for each in choices:
        try:
            return _open(_PACKAGES[each], open_delegate)
        except RuntimeMissing as missing:
            faults.append(str(missing))
    raise RuntimeMissing("; ".join(faults))


def _open(package: _Package, open_delegate: OpenDelegate | None) -> TfliteRuntime:
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
        raise RuntimeMissing(NUMPY_TRAP.format(np.__version__))
    return TfliteRuntime(
        module,
        f"{package.distribution} {version}",
        open_delegate,
        by_hand=package.integer_xnnpack_by_hand,
    )


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "of unknown version"
