"""XNNPACK made by hand, for the runtime that does not give it integer operators.

Source: tensorflow/lite/delegates/xnnpack/xnnpack_delegate.h.
"""

import ctypes
import importlib
import weakref
from pathlib import Path
from typing import Any, Final

_QS8: Final = 1
_QU8: Final = 2


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


def make(package: str, threads: int) -> object | None:
    """A delegate for int8 and uint8 operators; None where the package's library exports none."""
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
