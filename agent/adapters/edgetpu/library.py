"""The C interface of libedgetpu: its version and the devices that it sees.

Source: libedgetpu, tflite/public/edgetpu_c.h.
"""

import ctypes
from typing import Final

from agent.core import edgetpu_texts
from agent.core.edgetpu import Bus, Tpu
from agent.wire.errors import DelegateUnavailable

_BUSES: Final = {0: Bus.PCI, 1: Bus.USB}


class _Device(ctypes.Structure):
    """struct edgetpu_device."""

    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


def load(name: str) -> ctypes.CDLL:
    """Unlike the runtimes' own `load_delegate`, whose PyDLL keeps the interpreter lock in every call.

    Raises:
        DelegateUnavailable: there is no such library, or not all that it needs.
    """
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise DelegateUnavailable(str(edgetpu_texts.linking(name, str(error)))) from error


def version(library: ctypes.CDLL) -> str:
    """As `BuildLabel(...), RuntimeVersion(14)`, of which the last part counts."""
    try:
        ask = library.edgetpu_version
    except AttributeError:
        return ""
    ask.restype, ask.argtypes = ctypes.c_char_p, []
    text: bytes | None = ask()
    return (text or b"").decode(errors="replace").rpartition(", ")[2]


def devices(library: ctypes.CDLL) -> tuple[Tpu, ...]:
    """All that are plugged in, in the library's order; none where it can't tell."""
    try:
        ask, free = library.edgetpu_list_devices, library.edgetpu_free_devices
    except AttributeError:
        return ()
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
    return _numbered([(bus, path) for bus, path in listed if bus is not None])


def _numbered(listed: list[tuple[Bus, bytes]]) -> tuple[Tpu, ...]:
    counts = dict.fromkeys(Bus, 0)
    tpus: list[Tpu] = []
    for bus, path in listed:
        tpus.append(Tpu(bus, counts[bus], (path or b"").decode(errors="replace")))
        counts[bus] += 1
    return tuple(tpus)
