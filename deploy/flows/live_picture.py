"""A picture of the fleet that follows what devices say.

Every sixteenth of the fleet is read to its end, and its news is listened to from then on. A link that was
away has missed news, and its broker may have dropped some for a listener that was slow; so everything is read
again after a reconnect, and before anything that cannot be taken back is decided (`read`).
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from agent.ports.link import Link, Message
from agent.wire.topics import DeviceId, Root
from deploy.core.rollouts.believing import Believer, Mark
from deploy.core.rollouts.picture import Picture
from deploy.core.rollouts.state import Member
from deploy.flows.devices import Patience, sweep

log = logging.getLogger(__name__)

_PATIENCE = Patience()


class LivePicture:
    """`take` runs on the link's thread; everything else on one other thread.

    Args:
        link: open.
        root: the fleet's topics.
        believer: decides what is taken for a device's own word; nobody else touches it from now on.
        now: our clock.
        patience: how long a shard may take.
    """

    def __init__(
        self,
        link: Link,
        root: Root,
        believer: Believer,
        now: Callable[[], datetime],
        patience: Patience = _PATIENCE,
    ) -> None:
        self._link, self._root, self._believer, self._now = link, root, believer, now
        self._patience = patience
        self._changed = threading.Condition()
        self._news = False
        self._missing: tuple[str, ...] = ("the fleet was not read yet",)
        self._read_at = float("-inf")

    @property
    def complete(self) -> bool:
        return not self._missing

    @property
    def age_s(self) -> float:
        """Since all was read, as far as it could be."""
        return time.monotonic() - self._read_at

    def read(self) -> None:
        """Ask for everything, and wait until it has come."""
        begun = time.monotonic()
        with self._changed:
            self._believer.begin_reading()
            self._missing = ("the fleet is being read",)
        swept = sweep(self._link, self._root, self._take, self._patience)
        missing = tuple(
            f"shard {shard}: the broker did not deliver it to its end" for shard in swept.incomplete
        )
        with self._changed:
            self._missing = missing
            self._read_at = time.monotonic()
        log.info("fleet.read", extra={"missing": len(missing), "seconds": round(time.monotonic() - begun, 3)})

    def enrol(self, members: Mapping[DeviceId, Member]) -> None:
        with self._changed:
            self._believer.enrol(members)

    def count_in(self, counted: frozenset[DeviceId] | None) -> None:
        with self._changed:
            self._believer.count_in(counted)

    def picture(self) -> Picture:
        with self._changed:
            return self._believer.picture(self._now(), self._missing)

    def wait(self, timeout_s: float) -> bool:
        """Until something is known that was not before; whether there is."""
        with self._changed:
            self._changed.wait_for(lambda: self._news, timeout_s)
            news, self._news = self._news, False
        return news

    def moved(self) -> dict[DeviceId, Mark]:
        """The marks that moved since this was asked last."""
        with self._changed:
            moved = dict(self._believer.moved)
            self._believer.moved.clear()
        return moved

    def take(self, topic: str, content: bytes) -> None:
        """What came under a topic."""
        with self._changed:
            if self._believer.take(topic, content, self._now()):
                self._news = True
                self._changed.notify()

    def _take(self, message: Message) -> None:
        self.take(message.topic, message.payload)
