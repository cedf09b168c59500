"""The factory in a process of its own: the order on its standard input, what it says on a pipe of its own,
because converters write to standard output and error what they like.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import IO, Final

import msgspec

from deploy.core.factory import died
from deploy.core.factory.died import FactoryDied
from deploy.core.factory.orders import Answer, Order, Said
from deploy.core.factory.words import Progress, Refusal
from deploy.core.refusal import Refused
from deploy.ports.factory import OnProgress

_SAID: Final = msgspec.json.Decoder(Said)
_QUIET: Final = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    # oneDNN picks its kernels by the processor: the same inputs must give the same bytes on another machine.
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "",
}
_LAST_BYTES: Final = 20_000
_END_S: Final = 10.0


class FactoryProcess:
    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """
        Args:
            environment: settings of the child beside our own, such as the one that chooses the older Keras.
        """
        self._environment = dict(environment or {})

    def carry_out(self, order: Order, on_progress: OnProgress) -> Answer:
        """
        Raises:
            Refused: the order cannot be carried out as given, or the libraries for it are not installed.
            FactoryDied: the process ended without an answer.
        """
        with _ending_in_order(), tempfile.TemporaryDirectory(prefix="shoal-factory-") as scratch:
            return self._carried_out(order, on_progress, scratch)

    def _carried_out(self, order: Order, on_progress: OnProgress, scratch: str) -> Answer:
        theirs, ours = os.pipe()
        with tempfile.TemporaryFile() as told, os.fdopen(theirs, "rb") as saying:
            try:
                child = self._start(ours, told, scratch)
            finally:
                os.close(ours)
            try:
                _hand_over(child, msgspec.json.encode(order))
                answer = _heard(saying, on_progress)
                status = child.wait()
            finally:
                _end(child)
            match answer:
                case None:
                    raise FactoryDied(died.in_words(status, _last_lines(told)))
                case Refusal(detail=detail):
                    raise Refused(detail)
                case found:
                    return found

    def _start(self, ours: int, told: IO[bytes], scratch: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "deploy.factory", str(ours)],
            stdin=subprocess.PIPE,
            stdout=told,
            stderr=told,
            pass_fds=(ours,),
            # A process that dies of a signal clears nothing away: its temporary files go with our folder.
            env=_QUIET | dict(os.environ) | self._environment | {"TMPDIR": scratch},
        )


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """SIGTERM ends it as an interrupt does: the child goes, and with it what it has written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _end_at_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_at_once(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _hand_over(child: subprocess.Popen[bytes], order: bytes) -> None:
    assert child.stdin is not None
    try:
        with child.stdin as stdin:
            stdin.write(order)
    except BrokenPipeError:
        return  # it died at once; its status says why


def _heard(saying: IO[bytes], on_progress: OnProgress) -> Answer | Refusal | None:
    for line in _lines(saying):
        said: Said = _SAID.decode(line)
        if not isinstance(said, Progress):
            return said
        on_progress(said)
    return None


def _lines(saying: IO[bytes]) -> Iterator[bytes]:
    """Whole ones: a process that dies within a word has not said it."""
    return (line for line in saying if line.endswith(b"\n"))


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _last_lines(told: IO[bytes]) -> list[str]:
    told.seek(0, os.SEEK_END)
    told.seek(max(0, told.tell() - _LAST_BYTES))
    return told.read().decode(errors="replace").splitlines()
