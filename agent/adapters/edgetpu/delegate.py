"""One Edge TPU, opened as a TFLite external delegate.

Source: tensorflow/lite/delegates/external/external_delegate_interface.h, and for the options libedgetpu,
tflite/edgetpu_delegate_for_custom_op_tflite_plugin.cc.
"""

import ctypes
import weakref
from collections.abc import Callable, Sequence

from agent.adapters.edgetpu import library as libedgetpu
from agent.core.edgetpu.words import Tpu, matching, ways
from agent.wire.errors import DelegateUnavailable
from agent.wire.ipc import EdgeTpu

_Report = ctypes.CFUNCTYPE(None, ctypes.c_char_p)

Explain = Callable[[EdgeTpu, Sequence[Tpu]], str]
"""In words, why a device does not open: the library itself gives no reason."""


class EdgeTpuDelegate:
    """See `agent.ports.accelerator.Delegate`. At the exit of the process the device is left to it."""

    def __init__(self, plugin: "_Plugin", pointer: int, device: str) -> None:
        self.pointer = pointer
        self.device = device
        self.version = plugin.version
        weakref.finalize(self, plugin.destroy, pointer).atexit = False


class OpenEdgeTpu:
    """See `agent.ports.accelerator.OpenDelegate`."""

    def __init__(self, explain: Explain) -> None:
        self._explain = explain

    def __call__(self, edgetpu: EdgeTpu) -> EdgeTpuDelegate:
        plugin = _Plugin(edgetpu.library)
        tpus = plugin.tpus()
        said: list[str] = []
        for options in ways(edgetpu.device, edgetpu.performance, tpus):
            pointer = plugin.create(options, said)
            if pointer is not None:
                return EdgeTpuDelegate(plugin, pointer, _named(options.get("device", ""), tpus))
        raise DelegateUnavailable("; ".join(said) or self._explain(edgetpu, tpus))


class _Plugin:
    def __init__(self, name: str) -> None:
        """
        Raises:
            DelegateUnavailable: the library is missing, or is none.
        """
        self._library = libedgetpu.load(name)
        libedgetpu.require_delegate(self._library, name)
        create, destroy = self._library[libedgetpu.CREATE], self._library[libedgetpu.DESTROY]
        strings = ctypes.POINTER(ctypes.c_char_p)
        create.restype, create.argtypes = ctypes.c_void_p, [strings, strings, ctypes.c_size_t, _Report]
        destroy.restype, destroy.argtypes = None, [ctypes.c_void_p]
        self._create, self.destroy = create, destroy
        self.version = libedgetpu.version(self._library)

    def tpus(self) -> tuple[Tpu, ...]:
        return libedgetpu.devices(self._library)

    def create(self, options: dict[str, str], said: list[str]) -> int | None:
        """The delegate's address; None with or without a word in `said`."""
        count = len(options)
        keys = (ctypes.c_char_p * count)(*(key.encode() for key in options))
        values = (ctypes.c_char_p * count)(*(value.encode() for value in options.values()))
        report = _Report(lambda text: said.append((text or b"").decode(errors="replace").strip()))
        pointer: int | None = self._create(keys, values, count, report)
        return pointer


def _named(device: str, tpus: Sequence[Tpu]) -> str:
    meant = [tpu.name for tpu in matching(device, tpus)]
    if len(meant) == 1:
        return meant[0]
    return f"one of {', '.join(meant)}" if meant else "an Edge TPU"
