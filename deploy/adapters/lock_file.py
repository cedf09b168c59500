"""Files that belong to one process at a time; the kernel lets go of them however it ends.

acting        held for the moment in which something is signed and published
controlling   held for as long as a controller runs; it says who that is, and since when
Alone         held by whichever of several like processes came first, and then by the next one
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from agent.wire.documents import Instant
from agent.wire.errors import PortError, StoreFailed

WAIT_S: Final = 120.0
"""For another process to have published."""
_POLL_S: Final = 0.05


class Busy(PortError):
    """Another process holds it."""


class Holder(Struct, frozen=True, kw_only=True):
    host: str
    user: str
    pid: int
    since: Instant

    @property
    def words(self) -> str:
        return f"{self.user}@{self.host} (process {self.pid}) since {self.since:%Y-%m-%d %H:%M} UTC"


@contextlib.contextmanager
def acting(path: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """
    Raises:
        Busy: another process has been at it for too long.
        StoreFailed: the file cannot be made.
    """
    ends = time.monotonic() + wait_s
    with _opened(path) as lock:
        while not _taken(lock):
            if time.monotonic() > ends:
                raise Busy(f"another process has been publishing for {wait_s:g} s: try again")
            time.sleep(_POLL_S)
        yield


@contextlib.contextmanager
def controlling(path: Path, holder: Holder, *, take_over: bool) -> Iterator[Holder | None]:
    """Hold the place of the controller; yields whom it was taken from without a goodbye, if anybody.

    On one machine the kernel knows whether the last controller lives. Of another machine's nobody here can
    tell: a workspace that was copied or moved says whose it was, and a person has to say that they are gone.

    Raises:
        Busy: another controller has it, or one on another machine may.
        StoreFailed: the file cannot be read or written.
    """
    with _opened(path) as lock:
        before = _read(lock)
        if not _taken_from_whoever_looks(lock):
            raise Busy(f"a controller serves this workspace already: {before.words if before else path}")
        if before is not None and before.host != holder.host and not take_over:
            raise Busy(
                f"the last controller was {before.words}, and said no goodbye: if it is gone for good, "
                "say so with --take-over WHY"
            )
        _write(lock, msgspec.json.encode(holder))
        try:
            yield before
        finally:
            _write(lock, b"")


def controller(path: Path) -> Holder | None:
    """Who serves the workspace of this file now, on this machine; None: nobody does, or nobody can tell."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(lock)
    else:
        return None
    finally:
        os.close(lock)


class Alone:
    """Whether this process is the one that does it; kept until it is closed, or the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = contextlib.ExitStack()
        self._is_ours = False

    def __call__(self) -> bool:
        """
        Raises:
            StoreFailed: the file cannot be made.
        """
        if not self._is_ours:
            with contextlib.ExitStack() as opened:
                self._is_ours = _taken(opened.enter_context(_opened(self._path)))
                if self._is_ours:
                    self._held = opened.pop_all()
        return self._is_ours

    def close(self) -> None:
        self._is_ours = False
        self._held.close()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreFailed(f"{path}: {error.strerror}") from error
    try:
        yield lock
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken_from_whoever_looks(lock: int) -> bool:
    """Who asks whether a controller runs (`controller`) holds the file for less than a moment."""
    if _taken(lock):
        return True
    time.sleep(_POLL_S)
    return _taken(lock)


def _read(lock: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(lock, 4096, 0), type=Holder)
    except msgspec.DecodeError:
        return None


def _write(lock: int, content: bytes) -> None:
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, content, 0)
        os.fsync(lock)
    except OSError as error:
        raise StoreFailed(f"the controller's lock cannot be written: {error.strerror}") from error
