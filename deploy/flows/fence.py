"""Reads from the broker what tells whether somebody else has published there."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agent.ports.link import Link, Message, Outgoing
from agent.wire.errors import Unavailable
from agent.wire.topics import META, TIMESTAMP_NAME, Qos, Root
from deploy.core import fence
from deploy.core.fence import Place
from deploy.ports.repository import Metadata, Repository


@dataclass(frozen=True, slots=True)
class Patience:
    settle_s: float = 0.1
    """For something to come after what was asked for later."""
    first_s: float = 1.0
    """For anything to come from a broker that may be empty."""
    silence_s: float = 5.0
    """For what was just laid down to come."""


_PATIENCE = Patience()


def look(link: Link, root: Root, repository: Repository, patience: Patience = _PATIENCE) -> Place:
    """Where the broker stands.

    MQTT cannot say that a topic is empty. The first root of trust never changes and stands wherever anything
    was published, so it is asked for after the others; where it does not come it is laid down first.

    Raises:
        Unavailable: the broker answers nothing, so nobody can tell.
        LinkDown: there is no connection.
    """
    publication = repository.publication()
    first = publication.metadata[0]
    newer = f"{repository.root_version() + 1}.root"
    for laid_down, silence_s in ((False, patience.first_s), (True, patience.silence_s)):
        if laid_down:
            _lay_down(link, root, first, patience)
        with _asked(link, root, (TIMESTAMP_NAME, newer, first.name)) as reading:
            if reading.wait(silence_s, patience.settle_s):
                found = repository.found(reading.of(TIMESTAMP_NAME), reading.of(newer))
                return fence.compare(repository.timestamp_version(), found)
    raise Unavailable(
        "the broker does not give back what was published: nobody can tell whether another controller "
        "steers this fleet, so nothing is changed"
    )


def _lay_down(link: Link, root: Root, first: Metadata, patience: Patience) -> None:
    try:
        link.publish(Outgoing(root.meta(first.name), first.content, META.qos, retain=True)).result(
            patience.silence_s
        )
    except TimeoutError as error:
        raise Unavailable(f"the broker acknowledged nothing for {patience.silence_s:g} s") from error


@contextmanager
def _asked(link: Link, root: Root, names: tuple[str, ...]) -> Iterator["_Reading"]:
    topics = [root.meta(name) for name in names]
    reading = _Reading(root, last=topics[-1], many=len(topics))
    link.subscribe(topics, Qos.AT_LEAST_ONCE, reading.take)
    try:
        yield reading
    finally:
        link.unsubscribe(topics)


class _Reading:
    """`take` runs on the link's thread."""

    def __init__(self, root: Root, *, last: str, many: int) -> None:
        self._root, self._last, self._many = root, last, many
        self._came: dict[str, bytes] = {}
        self._changed = threading.Condition()

    def take(self, message: Message) -> None:
        with self._changed:
            self._came[message.topic] = message.payload
            self._changed.notify()

    def of(self, name: str) -> bytes | None:
        with self._changed:
            return self._came.get(self._root.meta(name))

    def wait(self, silence_s: float, settle_s: float) -> bool:
        """Whether all has come that stands there."""
        ends = time.monotonic() + silence_s
        with self._changed:
            while self._last not in self._came and (left := ends - time.monotonic()) > 0:
                self._changed.wait(left)
            if self._last not in self._came:
                return False
            settled = time.monotonic() + settle_s
            while len(self._came) < self._many and (left := settled - time.monotonic()) > 0:
                self._changed.wait(left)
        return True
