"""The C interface of libedgetpu: its version and the devices that it sees.

Source: libedgetpu, tflite/public/edgetpu_c.h.
"""

import ctypes
from typing import Final

from agent.core.edgetpu import symptoms
from agent.core.edgetpu.words import Bus, Tpu, Trouble, numbered
from agent.wire.errors import DelegateUnavailable

CREATE: Final = "tflite_plugin_create_delegate"
DESTROY: Final = "tflite_plugin_destroy_delegate"
_BUSES: Final = {0: Bus.PCI, 1: Bus.USB}


class _Device(ctypes.Structure):
    """struct edgetpu_device."""

    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


class Unusable(DelegateUnavailable):
    def __init__(self, trouble: Trouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


def load(name: str) -> ctypes.CDLL:
    """Unlike the runtimes' own `load_delegate`, whose PyDLL keeps the interpreter lock in every call.

    Raises:
        Unusable: there is no such library, or not all that it needs.
    """
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise Unusable(symptoms.linking(name, str(error))) from error


def require_delegate(library: ctypes.CDLL, name: str) -> None:
    """
    Raises:
        Unusable: it is another library, or a libedgetpu for C++ alone.
    """
    for function in (CREATE, DESTROY):
        if not hasattr(library, function):
            raise Unusable(symptoms.not_a_delegate(name, function))


def lists(library: ctypes.CDLL) -> bool:
    """Whether it can list its devices."""
    return hasattr(library, "edgetpu_list_devices")


def version(library: ctypes.CDLL) -> str:
    """As `BuildLabel(...), RuntimeVersion(14)`, of which the last part counts."""
    if not hasattr(library, "edgetpu_version"):
        return ""
    ask = library.edgetpu_version
    ask.restype, ask.argtypes = ctypes.c_char_p, []
    text: bytes | None = ask()
    return (text or b"").decode(errors="replace").rpartition(", ")[2]


def devices(library: ctypes.CDLL) -> tuple[Tpu, ...]:
    """All that are plugged in, in the library's order; none where it can't tell."""
    if not lists(library):
        return ()
    ask, free = library.edgetpu_list_devices, library.edgetpu_free_devices
    ask.restype, ask.argtypes = ctypes.POINTER(_Device), [ctypes.POINTER(ctypes.c_size_t)]
    free.restype, free.argtypes = None, [ctypes.POINTER(_Device)]
    count = ctypes.c_size_t()
    found = ask(ctypes.byref(count))
    if not found:
        return ()
    try:
        listed = [(_BUSES.get(found[index].type), found[index].path) for index in range(count.value)]
    finally:
        free(found)
    return numbered((bus, (path or b"").decode(errors="replace")) for bus, path in listed if bus is not None)
