"""Standard output as a command finds it: closed, full, or a pipe that nobody reads any more."""

import errno
import os
import sys
from typing import Final

ERROR: Final = 2
_UNWRITTEN: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def open_closed() -> None:
    """A stream that was closed leads nowhere from here on.

    The next file that is opened would get its number, and Python has no stream of its own for it: what is
    printed to a standard error that is closed would stand in the answer.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= ERROR:
        os.set_inheritable(number, True)  # noqa: FBT003 - positional by its definition
    os.close(number)
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", ERROR)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r"))  # noqa: PTH123, SIM115 - a number is no path


def could_not_write(error: OSError) -> bool:
    """Whether a medium took no more: what stands behind standard output, or a file that a command writes."""
    return error.filename is None and error.errno in _UNWRITTEN


def mute() -> None:
    """Python flushes standard output again at its exit, and would complain again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
