"""System calls that the C library has no function for."""

import ctypes
import errno
import os
from typing import Final

LIBC: Final = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


class Missing(Exception):
    """This kernel has no such layer, or refuses it; says why."""


def landlock(number: int, *arguments: bytes | int | None) -> int:
    """
    Raises:
        Missing: the kernel refuses.
    """
    result: int = LIBC.syscall(ctypes.c_long(number), *map(_argument, arguments))
    if result < 0:
        raise Missing(f"Landlock: {_why(ctypes.get_errno())}")
    return result


def _argument(value: bytes | int | None) -> ctypes.c_long | bytes | None:
    """Integers as wide as registers are."""
    return ctypes.c_long(value) if isinstance(value, int) else value


def _why(number: int) -> str:
    match number:
        case errno.ENOSYS:
            return "this kernel was built without it"
        case errno.EOPNOTSUPP:
            return "this kernel was started without it (lsm=landlock,...)"
        case _:
            return os.strerror(number)
