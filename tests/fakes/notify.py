"""A service manager: in memory, and as the far end of a real notification socket."""

import queue
import socket
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Self

from agent.ports.notify import Word


class MemoryNotify:
    def __init__(self, watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self.words: list[Word] = []

    def tell(self, *words: Word) -> None:
        self.words += words

    def drain(self) -> list[Word]:
        words, self.words = self.words, []
        return words


class NotifySocket:
    """Takes what a process sends to NOTIFY_SOCKET, with the moment of arrival."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.heard: list[tuple[float, str]] = []
        self._fresh: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._closing = Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0.2)
        self._socket.bind(str(self.path))
        self._thread = Thread(target=self._listen, name="notify")

    def environment(self, watchdog_s: float | None = None) -> dict[str, str]:
        told = {"NOTIFY_SOCKET": str(self.path)}
        return told if watchdog_s is None else told | {"WATCHDOG_USEC": f"{watchdog_s * 1e6:.0f}"}

    def wait(self, line: Callable[[str], bool], timeout_s: float) -> str:
        """The next line not yet taken for which this holds; others before it are passed over."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                found = self._fresh.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"not told within {timeout_s:g} s: {self.heard[-9:]}") from None
            if line(found):
                return found

    def lines(self, start: str) -> list[tuple[float, str]]:
        return [(at_s, line) for at_s, line in self.heard if line.startswith(start)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                message = self._socket.recv(65_536)
            except TimeoutError:
                continue
            for line in message.decode().splitlines():
                self.heard.append((time.monotonic(), line))
                self._fresh.put(line)
