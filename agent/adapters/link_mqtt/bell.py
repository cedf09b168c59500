"""Wakes a thread out of its wait for a socket."""

import contextlib
import os
import select
from threading import Lock


class Bell:
    """`ring` and `close` may be called from any thread, `wait` from the one that waits."""

    def __init__(self) -> None:
        self._hears, self._rings = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._lock = Lock()
        self._open = True

    def ring(self) -> None:
        with self._lock, contextlib.suppress(BlockingIOError):
            if self._open:
                os.write(self._rings, b"\0")

    def wait(self, seconds: float, fd: int | None = None, *, writes: bool = False) -> tuple[bool, bool]:
        """Wait for the bell or the socket; whether the socket can be read, and whether it can be written."""
        poll = select.poll()
        poll.register(self._hears, select.POLLIN)
        if fd is not None:
            poll.register(fd, select.POLLIN | (select.POLLOUT if writes else 0))
        ready = dict(poll.poll(seconds * 1000))
        if ready.pop(self._hears, 0):
            os.read(self._hears, 4096)
        events = ready.get(fd, 0) if fd is not None else 0
        return bool(events & ~select.POLLOUT), bool(events & select.POLLOUT)

    def close(self) -> None:
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._hears)
                os.close(self._rings)
