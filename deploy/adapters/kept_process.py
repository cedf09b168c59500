"""A child that is begun again whenever it ends: what becomes of it never harms whoever keeps it.

Its stdin ends with its keeper, so that it need outlive none, however that ends.
"""

import contextlib
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

from agent.core.backoff import delay_s

log = logging.getLogger(__name__)

CONFIG: Final = 78
"""Its exit status where a person must change something."""
STEADY_S: Final = 60.0
"""Who ran for so long begins anew with the shortest pause."""
PAUSE_S: Final = 1.0
PAUSE_MAX_S: Final = 60.0
END_S: Final = 5.0
BUFFER_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    """In the log."""
    words: Sequence[str]
    goodbye: Callable[[subprocess.Popen[bytes]], None]
    """Tells it to end in order."""
    read: Callable[[IO[bytes]], None] | None = None
    """Reads its stdout to the end, on a thread of its own; None: that is its keeper's."""


@contextlib.contextmanager
def kept(program: Program) -> Iterator["KeptProcess"]:
    """Run it, and begin it again when it ends, for as long as this lasts."""
    process = KeptProcess(program)
    thread = threading.Thread(target=process.keep, name=program.name, daemon=True)
    thread.start()
    try:
        yield process
    finally:
        process.end()
        thread.join(2 * END_S)


class KeptProcess:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """None: it does not run at this moment."""
        child = self._child
        return None if child is None or child.poll() is not None else child.pid

    def keep(self) -> None:
        ended, name = 0, self._program.name
        while not self._stop.is_set():
            begun = time.monotonic()
            code = self._once()
            if self._stop.is_set():
                return
            if code == CONFIG:
                # It has said why in a sentence of its own, and would again.
                log.warning("%s.refused", name, extra={"code": code})
                return
            ended = 0 if time.monotonic() - begun > STEADY_S else ended + 1
            pause_s = delay_s(ended, 1.0, base_s=PAUSE_S, cap_s=PAUSE_MAX_S)
            log.warning("%s.ended", name, extra={"code": code, "again_s": pause_s})
            self._stop.wait(pause_s)

    def end(self) -> None:
        with self._lock:
            self._stop.set()
            child = self._child
        if child is None or child.poll() is not None:
            return
        self._program.goodbye(child)
        try:
            child.wait(END_S)
        except subprocess.TimeoutExpired:
            child.kill()

    def _once(self) -> int | None:
        """Its exit status; None: it could not be begun."""
        read = self._program.read
        with self._lock:
            if self._stop.is_set():
                return None
            try:
                # Signals from a terminal are for the keeper, which then ends it.
                self._child = subprocess.Popen(
                    self._program.words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE if read else None,
                    bufsize=BUFFER_BYTES,
                    start_new_session=True,
                )
            except OSError as error:
                log.warning("%s.unstarted", self._program.name, extra={"reason": str(error)})
                return None
        with self._child as child:
            if read is not None and child.stdout is not None:
                read(child.stdout)
            return child.wait()
