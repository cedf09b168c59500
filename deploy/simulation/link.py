"""A link that costs little: thousands of them share one event loop, where the device's own has a thread each.

Everything runs on that loop. Other threads hand over what they want, and only read whether it is up.
"""

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from agent.core.backoff import delay_s
from agent.ports.link import Down, LinkState, Message, Outgoing, Up
from agent.wire.errors import LinkDown
from agent.wire.topics import Qos
from deploy.simulation.wire import Dial, Traffic, Wire

CLOSE_S: Final = 1.0
STEADY_S: Final = 5.0

Sink = Callable[[Message], None]


@dataclass(frozen=True, slots=True)
class _Subscription:
    qos: Qos
    sink: Sink


class FleetLink:
    """A `Link` without TLS."""

    def __init__(self, dial: Dial, loop: asyncio.AbstractEventLoop, traffic: Traffic | None = None) -> None:
        self._dial, self._loop = dial, loop
        self._traffic = Traffic() if traffic is None else traffic
        self._subscriptions: dict[str, _Subscription] = {}
        self._wide: set[str] = set()
        self._wire: Wire | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = 0
        self._closed = False
        self._up = False
        self._on_state: Callable[[LinkState], None] = lambda _: None

    def open(self, on_state: Callable[[LinkState], None]) -> None:
        self._on_state = on_state
        self._do(self._begin)

    def publish(self, outgoing: Outgoing) -> Future[None]:
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        if self._up and not self._closed:
            self._do(self._publish, outgoing, future)
        else:
            future.set_exception(LinkDown(f"{outgoing.topic} was not published: there is no connection"))
        return future

    def subscribe(self, topics: Sequence[str], qos: Qos, sink: Sink) -> None:
        self._do(self._subscribe, tuple(topics), _Subscription(qos, sink))

    def unsubscribe(self, topics: Sequence[str]) -> None:
        self._do(self._unsubscribe, tuple(topics))

    def close(self) -> None:
        """From any thread but the loop's, which is waited for. Idempotent."""
        if self._closed or self._loop.is_closed():
            return
        self._closed = True
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result(CLOSE_S + 1.0)

    def cut(self) -> None:
        """Break the connection as a bad line does: without a word, and it comes back. On the loop."""
        if self._wire is not None:
            self._wire.end("the line was cut")

    def perish(self) -> None:
        """As `cut`, for good: the power is gone. On the loop."""
        self._closed = True
        self._stop()

    def freeze(self) -> None:
        """The connection stays, and nothing is said or heard on it any more. On the loop."""
        self._closed = True
        if self._wire is not None:
            self._wire.freeze()

    @property
    def alive(self) -> bool:
        return self._task is not None and not self._task.done()

    def _do(self, call: Callable[..., None], *arguments: object) -> None:
        if threading.get_ident() == self._thread:
            call(*arguments)
        else:
            # A thread of a device that has ended may outlive the loop by a moment.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call, *arguments)

    def _begin(self) -> None:
        self._thread = threading.get_ident()
        self._task = self._loop.create_task(self._keep())

    async def _keep(self) -> None:
        """Until cancelled, or told that this is the end."""
        attempts = failed = 0
        while True:
            attempts += 1
            wire = Wire(self._dial, self._dispatch, self._traffic)
            reason = await wire.connect(self._loop)
            if not reason:
                self._rise(wire, attempts)
                began_s, attempts = self._loop.time(), 0
                reason = await wire.ended
                failed = 0 if self._loop.time() - began_s >= STEADY_S else failed
            self._up = False
            if self._closed:
                return
            self._on_state(Down(reason))
            base_s, cap_s = self._dial.backoff_base_s, self._dial.backoff_cap_s
            jitter = random.random()  # noqa: S311 - jitter
            await asyncio.sleep(delay_s(failed, jitter, base_s=base_s, cap_s=cap_s))
            failed += 1

    def _rise(self, wire: Wire, attempts: int) -> None:
        self._wire, self._up = wire, True
        wire.subscribe({name: wanted.qos for name, wanted in self._subscriptions.items()})
        self._on_state(Up(attempts))

    def _publish(self, outgoing: Outgoing, future: Future[None]) -> None:
        if self._wire is None or not self._up:
            future.set_exception(LinkDown(f"{outgoing.topic} was not published: the connection is gone"))
        else:
            self._wire.publish(outgoing, future)

    def _subscribe(self, topics: tuple[str, ...], wanted: _Subscription) -> None:
        self._subscriptions |= dict.fromkeys(topics, wanted)
        self._wide |= {topic for topic in topics if "+" in topic or "#" in topic}
        if self._wire is not None and self._up:
            self._wire.subscribe(dict.fromkeys(topics, wanted.qos))

    def _unsubscribe(self, topics: tuple[str, ...]) -> None:
        for topic in topics:
            self._subscriptions.pop(topic, None)
        self._wide.difference_update(topics)
        if self._wire is not None and self._up:
            self._wire.unsubscribe(frozenset(topics))

    def _dispatch(self, message: Message) -> None:
        if self._closed:
            return
        exact = self._subscriptions.get(message.topic)
        if exact is not None:
            exact.sink(message)
        for name in tuple(self._wide):
            wanted = self._subscriptions.get(name)
            if wanted is not None and takes(name, message.topic):
                wanted.sink(message)

    async def _finish(self) -> None:
        if self._wire is not None and self._up:
            await self._wire.goodbye(CLOSE_S)
        self._stop()

    def _stop(self) -> None:
        self._up = False
        if self._wire is not None:
            self._wire.end("the link was closed")
        if self._task is not None:
            self._task.cancel()


def takes(name: str, topic: str) -> bool:
    """Whether a filter takes the topic (4.7)."""
    wanted, levels = name.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(
        want in {"+", level} for want, level in zip(wanted, levels, strict=True)
    )
