"""Independent brokers that bear the same fleet, as one link.

Each keeps for itself what it was given, and every device is on one of them at a time. So everything is said
to all that are up, and heard from all. What is signed and immutable cannot differ between them; what devices
left on the broker that they went away from is passed on only as long as it is their newest word.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

from agent.ports.link import Link, LinkState, Message, Outgoing, Up
from agent.wire.errors import LinkDown
from agent.wire.topics import Qos, Root
from deploy.core.devices.newest import Newest

log = logging.getLogger(__name__)


class Brokers:
    """A `Link` over links to one broker each."""

    def __init__(self, links: Sequence[Link], root: Root) -> None:
        self._links = tuple(links)
        self._newest = Newest(root)
        self._up = dict.fromkeys(range(len(links)), False)
        self._told: set[int] = set()
        self._lock = threading.Condition()

    def open(self, on_state: Callable[[LinkState], None]) -> None:
        """`Up` each time that a broker is reached, `Down` when the last one is gone."""
        for number, link in enumerate(self._links):
            link.open(partial(self._turn, number, on_state))

    def settle(self, within_s: float) -> None:
        """Wait until each has been reached, or has not."""
        with self._lock:
            self._lock.wait_for(lambda: len(self._told) == len(self._links), within_s)
            away = sum(not up for up in self._up.values())
        if away:
            log.warning("brokers.away", extra={"away": away, "of": len(self._links)})

    @property
    def links(self) -> tuple[Link, ...]:
        """To the brokers that are up."""
        with self._lock:
            return tuple(link for number, link in enumerate(self._links) if self._up[number])

    def newest(self, link: Link, sink: Callable[[Message], None]) -> Callable[[Message], None]:
        """The sink for what comes over this link, without what a device has since said elsewhere."""
        number = self._links.index(link)

        def take(message: Message) -> None:
            with self._lock:
                passes = self._newest.passes(number, message.topic, message.payload)
            if passes:
                sink(message)

        return take

    def publish(self, outgoing: Outgoing) -> Future[None]:
        """To all that are up; it has arrived when one of them has acknowledged it."""
        return _first_success(
            [link.publish(outgoing) for link in self.links],
            LinkDown(f"{outgoing.topic} was not published: no broker is there"),
        )

    def subscribe(self, topics: Sequence[str], qos: Qos, sink: Callable[[Message], None]) -> None:
        for link in self._links:
            link.subscribe(topics, qos, self.newest(link, sink))

    def unsubscribe(self, topics: Sequence[str]) -> None:
        for link in self._links:
            link.unsubscribe(topics)

    def close(self) -> None:
        for link in self._links:
            link.close()

    def _turn(self, number: int, on_state: Callable[[LinkState], None], state: LinkState) -> None:
        with self._lock:
            self._up[number] = isinstance(state, Up)
            self._told.add(number)
            self._lock.notify_all()
            some = any(self._up.values())
        if isinstance(state, Up) or not some:
            on_state(state)


def _first_success(futures: Sequence[Future[None]], otherwise: LinkDown) -> Future[None]:
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()
    left, lock = len(futures), threading.Lock()

    def ended(future: Future[None]) -> None:
        nonlocal left
        with lock:
            left -= 1
            if done.done() or (future.exception() is not None and left):
                return
            if future.exception() is None:
                done.set_result(None)
            else:
                done.set_exception(future.exception())

    for future in futures:
        future.add_done_callback(ended)
    if not futures:
        done.set_exception(otherwise)
    return done
