"""The fleet's page as a child of the controller: what becomes of it never harms the controller.

It ends when its stdin does, so that it outlives no controller, however that ends.
"""

import contextlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from agent.core.backoff import delay_s

log = logging.getLogger(__name__)

CONFIG: Final = 78
"""Its exit code where a person must change something."""
STEADY_S: Final = 60.0
"""Who ran for so long begins anew with the shortest pause."""
PAUSE_S: Final = 1.0
PAUSE_MAX_S: Final = 60.0
END_S: Final = 5.0


def command(workspace: Path) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", "deploy", "page", "--until-eof", "--workspace", str(workspace))


@contextlib.contextmanager
def kept(words: Sequence[str]) -> Iterator["PageProcess"]:
    """Run it, and begin it again when it ends, for as long as this lasts."""
    page = PageProcess(words)
    thread = threading.Thread(target=page.keep, name="page", daemon=True)
    thread.start()
    try:
        yield page
    finally:
        page.end()
        thread.join(2 * END_S)


class PageProcess:
    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """None: it does not run at this moment."""
        child = self._child
        return None if child is None or child.poll() is not None else child.pid

    def keep(self) -> None:
        ended = 0
        while not self._stop.is_set():
            begun = time.monotonic()
            code = self._once()
            if self._stop.is_set():
                return
            if code == CONFIG:
                # It has said why in a sentence of its own, and would again.
                log.warning("page.refused", extra={"code": code})
                return
            ended = 0 if time.monotonic() - begun > STEADY_S else ended + 1
            pause_s = delay_s(ended, 1.0, base_s=PAUSE_S, cap_s=PAUSE_MAX_S)
            log.warning("page.ended", extra={"code": code, "again_s": pause_s})
            self._stop.wait(pause_s)

    def end(self) -> None:
        with self._lock:
            self._stop.set()
            child = self._child
        if child is None or child.poll() is not None:
            return
        child.terminate()
        try:
            child.wait(END_S)
        except subprocess.TimeoutExpired:
            child.kill()

    def _once(self) -> int | None:
        """Its exit code; None: it could not be begun."""
        with self._lock:
            if self._stop.is_set():
                return None
            try:
                # Signals from a terminal are for the controller, which then ends it.
                self._child = subprocess.Popen(self._words, stdin=subprocess.PIPE, start_new_session=True)
            except OSError as error:
                log.warning("page.unstarted", extra={"reason": str(error)})
                return None
        with self._child as child:
            return child.wait()
