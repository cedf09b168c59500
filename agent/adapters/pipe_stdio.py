"""A child process's end of the pipe: its standard input and output."""

import ctypes
import os
import signal
from typing import Final, Generic, TypeVar

import msgspec

from agent.wire import ipc
from agent.wire.errors import WireError

Out = TypeVar("Out")

_PR_SET_PDEATHSIG: Final = 1


class StdioPipe(Generic[Out]):
    """Takes standard input and output for itself: whatever else in this process prints (native libraries
    do, past Python) lands in standard error instead of in the middle of a message.
    """

    def __init__(self, decoder: msgspec.msgpack.Decoder[Out]) -> None:
        self._decoder = decoder
        self._in_fd = os.dup(0)
        self._out_fd = os.dup(1)
        null_fd = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null_fd, 0)
        os.close(null_fd)
        os.dup2(2, 1)

    def send(self, message: ipc.Message) -> None:
        rest = memoryview(ipc.pack(message))
        try:
            while rest:
                rest = rest[os.write(self._out_fd, rest) :]
        except BrokenPipeError:
            return

    def receive(self) -> Out | None:
        header = self._read(ipc.HEADER_BYTES)
        if header is None:
            return None
        try:
            body = self._read(ipc.body_bytes(header))
            return None if body is None else ipc.unpack(body, self._decoder)
        except WireError:
            return None

    def _read(self, length: int) -> bytes | None:
        content = bytearray()
        while len(content) < length:
            piece = os.read(self._in_fd, min(length - len(content), 1 << 20))
            if not piece:
                return None
            content += piece
        return bytes(content)


def become_child() -> None:
    """Die with the supervisor, and leave Ctrl-C to it: it reaches the whole foreground group.

    A supervisor that died before this shows as the end of the pipe.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def die_with_parent() -> None:
    """From now on, however it ends: a child that hangs in a driver would hold the device for ever. The parent
    is the thread that started this process.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
