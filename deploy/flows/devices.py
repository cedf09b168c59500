"""Reads what every device has left on the broker."""

import math
import threading
import time
from dataclasses import dataclass

from agent.ports.link import Link, Message
from agent.wire.errors import Malformed
from agent.wire.topics import REPORT, SHARDS, STATUS, Qos, Root
from deploy.core.fleet import Device, Fold


@dataclass(frozen=True, slots=True)
class Patience:
    """When a shard counts as read, in seconds."""

    quiet_s: float = 0.1
    """The silence that must follow the sentinel."""
    settle_s: float = 0.4
    """The silence that must do without a sentinel: where nothing was ever published."""
    wait_s: float = 2.0
    """The longest time that one shard may take; it is incomplete then."""


@dataclass(frozen=True, slots=True)
class Fleet:
    devices: tuple[Device, ...]
    incomplete: tuple[str, ...]
    """Shards of which messages were still coming when patience ended."""


def read_fleet(link: Link, root: Root, patience: Patience = Patience()) -> Fleet:
    """Status and report of every device, read shard by shard over a link that is up.

    MQTT does not say when the retained messages of a wildcard have all come. The retained index, asked
    for in the same packet after them, tells that the broker has got so far; some brokers send retained
    messages out of order, so a short silence must follow.
    """
    published = _Arrivals(sentinel=root.index())
    link.subscribe([root.index()], Qos.AT_LEAST_ONCE, published.take)
    has_sentinel = published.complete(patience, has_sentinel=True)
    link.unsubscribe([root.index()])
    fold = Fold()
    incomplete: list[str] = []
    for shard in SHARDS:
        filters = (root.shard_filter(STATUS, shard), root.shard_filter(REPORT, shard), root.index())
        arrivals = _Arrivals(sentinel=root.index())
        link.subscribe(filters, Qos.AT_LEAST_ONCE, arrivals.take)
        if not arrivals.complete(patience, has_sentinel=has_sentinel):
            incomplete.append(shard)
        link.unsubscribe(filters)
        for message in arrivals.messages():
            _add(fold, root, message)
    return Fleet(fold.devices(), tuple(incomplete))


def _add(fold: Fold, root: Root, message: Message) -> None:
    """Topics that are not Shoal's are none of ours to judge; a cleared one says nothing."""
    try:
        address = root.parse(message.topic)
    except Malformed:
        return
    if message.payload:
        fold.add(address, message.payload)


class _Arrivals:
    """Filled on the link's thread, waited for on the operator's."""

    def __init__(self, *, sentinel: str) -> None:
        self._sentinel = sentinel
        self._messages: list[Message] = []
        self._seen = False
        self._changed = threading.Condition()

    def take(self, message: Message) -> None:
        with self._changed:
            self._messages.append(message)
            self._seen |= message.topic == self._sentinel
            self._changed.notify()

    def complete(self, patience: Patience, *, has_sentinel: bool) -> bool:
        """Wait for the silence that ends a shard; false if it did not come in time."""
        ends = time.monotonic() + patience.wait_s
        with self._changed:
            while (left := ends - time.monotonic()) > 0:
                silence = self._silence(patience, has_sentinel=has_sentinel)
                if not self._changed.wait(min(silence, left)):
                    return silence <= left
        return False

    def _silence(self, patience: Patience, *, has_sentinel: bool) -> float:
        if self._seen:
            return patience.quiet_s
        return math.inf if has_sentinel else patience.settle_s

    def messages(self) -> tuple[Message, ...]:
        with self._changed:
            return tuple(self._messages)
