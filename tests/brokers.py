"""Real brokers for tests, on free loopback ports, and what tests of links need to wait."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition
from typing import Generic, Self, TypeVar

import pytest

from deploy.adapters.broker_local import (
    BrokerKind,
    LocalBroker,
    installed_kinds,
    mosquitto_path,
    start_broker,
)

WAIT_S = 10.0
WHY_MISSING = {
    BrokerKind.MOSQUITTO: "mosquitto is not installed",
    BrokerKind.EMBEDDED: "the demo extra (amqtt) is not installed",
}
T = TypeVar("T")


class Inbox(Generic[T]):
    """A sink that a test waits on; use it for messages and for states."""

    def __init__(self) -> None:
        self._items: list[T] = []
        self._changed = Condition()

    def __call__(self, item: T) -> None:
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    @property
    def items(self) -> list[T]:
        with self._changed:
            return list(self._items)

    def clear(self) -> None:
        with self._changed:
            self._items.clear()

    def wait_until(self, holds: Callable[[list[T]], bool], within_s: float = WAIT_S) -> list[T]:
        """The items, once there is one and the condition holds for them; fails the test if it does not."""
        with self._changed:
            held = self._changed.wait_for(lambda: bool(self._items) and holds(self._items), within_s)
            last = [repr(item)[:160] for item in self._items[-5:]]
            assert held, f"after {within_s:g} s there are {len(self._items)}, the last ones {last}"
            return list(self._items)

    def wait_for(self, count: int, within_s: float = WAIT_S) -> list[T]:
        return self.wait_until(lambda items: len(items) >= count, within_s)


@contextmanager
def running(folder: Path, kind: BrokerKind) -> Iterator[LocalBroker]:
    """A broker of the test's own of this kind; the test is skipped where there is none."""
    require(kind)
    with start_broker(folder, kind=kind) as broker:
        yield broker


class PlainMosquitto:
    """A Mosquitto with its own defaults, which loses what it held when it is killed."""

    def __init__(self, folder: Path) -> None:
        require(BrokerKind.MOSQUITTO)
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._settings = folder / "plain.conf"
        user = "user root\n" if os.geteuid() == 0 else ""
        self._settings.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n{user}")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        found = mosquitto_path()
        assert found is not None
        with (self._folder / "plain.log").open("ab") as log:
            self._process = subprocess.Popen([found, "-c", str(self._settings)], stdout=log, stderr=log)
        ends = time.monotonic() + WAIT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            assert time.monotonic() < ends, (self._folder / "plain.log").read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def require(kind: BrokerKind) -> None:
    if kind not in installed_kinds():
        pytest.skip(WHY_MISSING[kind])
