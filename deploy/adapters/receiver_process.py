"""The receiving process (`deploy.page.receiver`) as its reader sees it: read, begun again when it ends."""

import contextlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

from agent.core.backoff import delay_s
from agent.ports.link import Message
from deploy.core.page import parcels

log = logging.getLogger(__name__)

PAUSE_S: Final = 1.0
PAUSE_MAX_S: Final = 60.0
STEADY_S: Final = 60.0
"""Who ran for so long begins anew with the shortest pause."""
END_S: Final = 5.0
BUFFER_BYTES: Final = 1_048_576


@contextlib.contextmanager
def receiving(
    workspace: Path, take: Callable[[Message], None], lose: Callable[[int], None]
) -> Iterator["ReceiverProcess"]:
    """Have the workspace's fleet listened to for as long as this lasts.

    Args:
        workspace: its folder.
        take: called with each message, on a thread of its own.
        lose: called with how many did not fit, on that thread.
    """
    process = ReceiverProcess(workspace, take, lose)
    thread = threading.Thread(target=process.keep, name="receiving", daemon=True)
    thread.start()
    try:
        yield process
    finally:
        process.end()
        thread.join(2 * END_S)


class ReceiverProcess:
    def __init__(self, workspace: Path, take: Callable[[Message], None], lose: Callable[[int], None]) -> None:
        self._words = (sys.executable, "-P", "-m", "deploy.page.receiver", str(workspace))
        self._take, self._lose = take, lose
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """None: it does not run at this moment."""
        child = self._child
        return None if child is None or child.poll() is not None else child.pid

    def keep(self) -> None:
        ended = 0
        while not self._stop.is_set():
            begun = time.monotonic()
            reason = self._once()
            if self._stop.is_set():
                return
            ended = 0 if time.monotonic() - begun > STEADY_S else ended + 1
            pause_s = delay_s(ended, 1.0, base_s=PAUSE_S, cap_s=PAUSE_MAX_S)
            log.warning("receiver.ended", extra={"reason": reason, "again_s": pause_s})
            self._stop.wait(pause_s)

    def end(self) -> None:
        """What it holds already is read first."""
        with self._lock:
            self._stop.set()
            child = self._child
        if child is None or child.poll() is not None:
            return
        assert child.stdin is not None
        with contextlib.suppress(OSError):
            child.stdin.close()
        try:
            child.wait(END_S)
        except subprocess.TimeoutExpired:
            child.kill()

    def _once(self) -> str:
        """Why it ended."""
        with self._lock:
            if self._stop.is_set():
                return ""
            try:
                # Signals from a terminal are for the page, which then ends it.
                self._child = subprocess.Popen(
                    self._words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    bufsize=BUFFER_BYTES,
                    start_new_session=True,
                )
            except OSError as error:
                return str(error)
        with self._child as child:
            assert child.stdout is not None
            self._read(child.stdout)
            return f"exit status {child.wait()}"

    def _read(self, pipe: IO[bytes]) -> None:
        """To its end; what a process that was killed had not written whole is nothing."""
        while len(head := pipe.read(parcels.HEAD.size)) == parcels.HEAD.size:
            topic_bytes, payload_bytes = parcels.HEAD.unpack(head)
            body = pipe.read(topic_bytes + payload_bytes)
            if len(body) < topic_bytes + payload_bytes:
                return
            topic, payload = body[:topic_bytes].decode(), body[topic_bytes:]
            if topic:
                self._take(Message(topic, payload))
            else:
                self._lose(int(payload))
