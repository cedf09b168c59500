"""Real brokers for tests, on free loopback ports, and what tests of links need to wait."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition
from typing import Generic, TypeVar

import pytest

from deploy.adapters.broker_local import BrokerKind, LocalBroker, installed_kinds, start_broker

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


def require(kind: BrokerKind) -> None:
    if kind not in installed_kinds():
        pytest.skip(WHY_MISSING[kind])
