"""Reads what every device has left on the broker, to the last one, however small the broker's queue is."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.ports.link import Link, Message
from agent.wire.topics import REPORT, SHARDS, STATUS, Channel, DeviceId, Qos, Root
from deploy.flows.brokers import Brokers

AT_ONCE: Final = 800
"""Messages that are asked for at once, as far as they can be told beforehand. A default Mosquitto keeps
20 + 1,000 for a client and silently drops the rest."""
SILENT_MAX: Final = 2
"""Questions in a row without a single answer, until no more are asked."""


@dataclass(frozen=True, slots=True)
class Patience:
    """When a part of the fleet counts as read, in seconds."""

    quiet_s: float = 0.1
    """The silence that must follow the last sentinel."""
    settle_s: float = 0.4
    """The silence that must do without a sentinel: where nothing was ever published."""
    wait_s: float = 2.0
    """The longest silence before a sentinel; what was asked for is incomplete then."""


@dataclass(frozen=True, slots=True)
class Fleet:
    messages: tuple[tuple[str, bytes], ...]
    """Topic and content, in the order in which they came."""
    incomplete: tuple[str, ...]
    """Shards that the broker did not deliver to their end."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What was asked for, and stands: news of it keeps arriving until it is let go."""

    incomplete: tuple[str, ...]
    filters: tuple[str, ...]


def read_fleet(link: Link, root: Root, patience: Patience = Patience()) -> Fleet:
    """Status and report of every device, over a link that is up."""
    messages: list[Message] = []
    swept = sweep(link, root, messages.append, patience)
    link.unsubscribe(swept.filters)
    return Fleet(_contents(messages), swept.incomplete)


def sweep(link: Link, root: Root, take: Callable[[Message], None], patience: Patience = Patience()) -> Swept:
    """Ask for status and report of every device, and hand over each message on the link's own thread.

    MQTT does not say when the retained messages of a wildcard have all come. The retained index, asked for in
    the same packet after them, tells that the broker has got so far; it is the last to be queued, so it does
    not come where the queue was too short for what stood before it. Some brokers send retained messages out
    of order, so a short silence must follow the last one.

    Ids are spread over the shards by a hash: what one shard holds tells what the others will, so small fleets
    are read in a few questions, and large ones in 32. A part that did not fit is asked for again, shard by
    shard. A reconnected link asks for all of it at once, which may not fit: sweep anew over a fresh one.
    """
    if not isinstance(link, Brokers):
        return _Sweep(link, root, take, patience).run()
    swept = [_Sweep(each, root, link.newest(each, take), patience).run() for each in link.links]
    incomplete = {shard for each in swept for shard in each.incomplete}
    filters = {each for part in swept for each in part.filters}
    return Swept(tuple(sorted(incomplete)), tuple(sorted(filters)))


def read_one(link: Link, root: Root, device: DeviceId, patience: Patience) -> tuple[tuple[str, bytes], ...]:
    """What one device has left: its status, and the report of every pipeline, if any."""
    messages: list[Message] = []
    filters = (root.device(STATUS, device), f"{root.device(REPORT, device)}/#", root.index())
    arrivals = _Arrivals(root.index(), messages.append)
    link.subscribe(filters, Qos.AT_LEAST_ONCE, arrivals.take)
    arrivals.wait(patience, has_sentinel=True)
    arrivals.quiet(patience.quiet_s, patience.wait_s)
    link.unsubscribe(filters)
    return _contents(messages)


def _contents(messages: Iterable[Message]) -> tuple[tuple[str, bytes], ...]:
    """What has come until now; more may be on its way on the link's thread."""
    return tuple((message.topic, message.payload) for message in tuple(messages))


@dataclass(frozen=True, slots=True)
class _Part:
    channel: Channel
    shard: str


class _Sweep:
    def __init__(self, link: Link, root: Root, take: Callable[[Message], None], patience: Patience) -> None:
        self._link, self._root, self._take, self._patience = link, root, take, patience
        self._most = dict.fromkeys((STATUS, REPORT), 0)
        """Messages of the fullest shard so far, by channel."""
        self._silent = 0
        self._published = False
        self._filters: list[str] = []

    def run(self) -> Swept:
        last = self._ask(())
        self._published = last.sentinel_seen
        self._silent = 0
        incomplete: list[str] = []
        parts = [_Part(channel, shard) for channel in (STATUS, REPORT) for shard in SHARDS]
        queue = [parts[:1], parts[16:17]]
        unplanned = parts[1:16] + parts[17:]
        while queue or unplanned:
            if not queue:
                queue.append(self._that_fit(unplanned))
                del unplanned[: len(queue[0])]
            asked = queue.pop(0)
            last = self._ask(asked)
            if last.complete:
                self._learn(asked, last)
            elif len(asked) > 1:
                queue[:0] = [[part] for part in asked]
            else:
                incomplete.append(asked[0].shard)
        last.quiet(self._patience.quiet_s, self._patience.wait_s)
        self._link.unsubscribe([self._root.index()])
        return Swept(tuple(sorted(set(incomplete))), tuple(self._filters))

    def _that_fit(self, parts: Sequence[_Part]) -> list[_Part]:
        """The first of these that a default queue holds for sure; at least one."""
        fitting, expected = [parts[0]], self._at_most(parts[0])
        for part in parts[1:]:
            expected += self._at_most(part)
            if expected > AT_ONCE:
                break
            fitting.append(part)
        return fitting

    def _at_most(self, part: _Part) -> float:
        """Counts of shards are binomial: six standard deviations above the fullest one, and a few for the
        smallest fleets.
        """
        most = self._most[part.channel]
        return most + 6 * math.sqrt(most) + 12

    def _learn(self, asked: Sequence[_Part], arrivals: "_Arrivals") -> None:
        if len(asked) == 1:
            channel = asked[0].channel
            self._most[channel] = max(self._most[channel], arrivals.count)

    def _ask(self, parts: Sequence[_Part]) -> "_Arrivals":
        """Ask for these, and wait for what comes; nothing is asked of a broker that does not answer."""
        sentinel = self._root.index()
        arrivals = _Arrivals(sentinel, self._take)
        if self._silent >= SILENT_MAX:
            return arrivals
        filters = [self._root.shard_filter(part.channel, part.shard) for part in parts]
        self._link.subscribe([*filters, sentinel], Qos.AT_LEAST_ONCE, arrivals.take)
        self._filters += [each for each in filters if each not in self._filters]
        arrivals.wait(self._patience, has_sentinel=self._published or not parts)
        heard = arrivals.complete or arrivals.count > 0
        self._silent = 0 if heard else self._silent + 1
        return arrivals


class _Arrivals:
    """Filled on the link's thread, waited for on the operator's."""

    def __init__(self, sentinel: str, take: Callable[[Message], None]) -> None:
        self._sentinel, self._take = sentinel, take
        self._changed = threading.Condition()
        self.count = 0
        self.sentinel_seen = False
        self.complete = False

    def take(self, message: Message) -> None:
        if message.topic != self._sentinel:
            self._take(message)
        with self._changed:
            self.count += message.topic != self._sentinel
            self.sentinel_seen |= message.topic == self._sentinel
            self._changed.notify()

    def wait(self, patience: Patience, *, has_sentinel: bool) -> None:
        """Until the sentinel has come, or, where there is none, until nothing has for a while."""
        silence_s = patience.wait_s if has_sentinel else patience.settle_s
        with self._changed:
            while not self.sentinel_seen and self._changed.wait(silence_s):
                pass
            self.complete = self.sentinel_seen or not has_sentinel

    def quiet(self, quiet_s: float, at_most_s: float) -> None:
        """Until nothing has come for so long: a fleet that talks without a pause is not waited for."""
        ends = time.monotonic() + at_most_s
        with self._changed:
            while time.monotonic() < ends and self._changed.wait(quiet_s):
                pass
