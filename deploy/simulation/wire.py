"""One MQTT connection on an event loop, from its CONNECT to its end."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from agent.ports.link import Message, Outgoing
from agent.wire.errors import LinkDown, WireError
from agent.wire.topics import Qos
from deploy.simulation import packets
from deploy.simulation.packets import (
    Accepted,
    Acknowledged,
    Arrived,
    Decoder,
    Hello,
    Packet,
    Pong,
    Subscribed,
    Unsubscribed,
)

CONNECT_S: Final = 20.0
"""A broker that thousands come back to at once takes its time."""
GOODBYE_S: Final = 0.4
"""For the last bytes."""
FILTERS_MAX: Final = 64
"""In one SUBSCRIBE."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dial:
    """Where the broker is, and what is said to it."""

    host: str
    port: int
    hello: Hello
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 10.0
    rate_bytes_s: float = 0.0
    """What arrives is read no faster, so that it waits in the broker as behind a slow line; 0: no limit."""


@dataclass(slots=True)
class Traffic:
    """What went over the links that share it."""

    sent_bytes: int = 0
    received_bytes: int = 0
    sent_messages: int = 0
    received_messages: int = 0
    connects: int = 0


class Wire(asyncio.Protocol):
    """One connection, from its CONNECT to its end."""

    def __init__(self, dial: Dial, deliver: Callable[[Message], None], traffic: Traffic) -> None:
        self._dial, self._deliver, self._traffic = dial, deliver, traffic
        self._decoder = Decoder()
        self._futures: dict[int, Future[None]] = {}
        self._standing: set[str] = set()
        self._leaving: dict[int, frozenset[str]] = {}
        self._held: list[dict[str, Qos]] = []
        self._number = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._frozen = False
        self._pong_due = False
        self._pinger: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[str] = self._loop.create_future()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        """Why, in words."""

    async def connect(self, loop: asyncio.AbstractEventLoop) -> str:
        """Why there is no connection; empty: there is one."""
        dial = self._dial
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.create_connection(lambda: self, dial.host, dial.port)
                refused = await self._accepted
        except (OSError, TimeoutError) as error:
            reason = f"{dial.host}:{dial.port} cannot be reached: {str(error) or 'no answer'}"
            self.end(reason)
            return reason
        except asyncio.CancelledError:
            self.end("the link was closed")
            raise
        if refused:
            self.end(refused)
        else:
            self._traffic.connects += 1
            self._pinger = loop.call_later(dial.hello.keepalive_s * 0.7, self._ping)
        return refused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send(packets.connect(self._dial.hello))

    def data_received(self, data: bytes) -> None:
        self._traffic.received_bytes += len(data)
        self._brake(len(data))
        try:
            for packet in self._decoder.feed(data):
                self._take(packet)
        except WireError as error:
            self.end(f"{self._dial.host} sent what is not MQTT: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(f"the connection was lost: {exc or 'the broker closed it'}")

    def publish(self, outgoing: Outgoing, future: Future[None]) -> None:
        self._traffic.sent_messages += 1
        if outgoing.qos is Qos.AT_MOST_ONCE:
            self._send(packets.publish(outgoing, 0))
            future.set_result(None)
            return
        number = self._next()
        self._futures[number] = future
        self._idle.clear()
        self._send(packets.publish(outgoing, number))

    def subscribe(self, filters: dict[str, Qos]) -> None:
        """As the device's own link: only once the broker has confirmed that none of them stands any more."""
        self._leave(self._standing.intersection(filters))
        self._held.append(filters)
        self._ask()

    def unsubscribe(self, filters: frozenset[str]) -> None:
        self._held = [{name: qos for name, qos in held.items() if name not in filters} for held in self._held]
        self._leave(self._standing & filters)

    async def goodbye(self, within_s: float) -> None:
        """A DISCONNECT, after what was published has been acknowledged."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        self._send(packets.DISCONNECT)
        if self._transport is not None:
            # Unlike `abort`, this sends what is still in the buffer.
            self._transport.close()
            await asyncio.wait((self.ended,), timeout=GOODBYE_S)

    def freeze(self) -> None:
        self._frozen = True
        if self._pinger is not None:
            self._pinger.cancel()
        if self._transport is not None:
            self._transport.pause_reading()

    def end(self, reason: str) -> None:
        """Idempotent."""
        if self._pinger is not None:
            self._pinger.cancel()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
        if not self._accepted.done():
            self._accepted.set_result(reason)
        if not self.ended.done():
            self.ended.set_result(reason)
        futures, self._futures = self._futures, {}
        for future in futures.values():
            future.set_exception(LinkDown(f"not acknowledged: {reason}"))
        self._idle.set()

    def _brake(self, received_bytes: int) -> None:
        rate = self._dial.rate_bytes_s
        if rate > 0.0 and self._transport is not None:
            self._transport.pause_reading()
            self._loop.call_later(received_bytes / rate, self._go_on)

    def _go_on(self) -> None:
        if self._transport is not None and not self._frozen and not self._transport.is_closing():
            self._transport.resume_reading()

    def _send(self, content: bytes) -> None:
        if self._transport is not None and not self._frozen and not self._transport.is_closing():
            self._traffic.sent_bytes += len(content)
            self._transport.write(content)

    def _take(self, packet: Packet) -> None:
        match packet:
            case Arrived(topic, payload, retained, number):
                if number:
                    self._send(packets.acknowledge(number))
                self._traffic.received_messages += 1
                self._deliver(Message(topic, payload, retained))
            case Acknowledged(number):
                self._acknowledged(number)
            case Unsubscribed(number):
                self._leaving.pop(number, None)
                self._ask()
            case Accepted(code):
                self._accepted.set_result(f"the broker refuses with code {code}" if code else "")
            case Pong():
                self._pong_due = False
            case Subscribed(codes=codes):
                if max(codes) > 1:
                    _log.warning("link.refused", extra={"client": self._dial.hello.client_id})

    def _acknowledged(self, number: int) -> None:
        future = self._futures.pop(number, None)
        if future is not None:
            future.set_result(None)
        if not self._futures:
            self._idle.set()

    def _ping(self) -> None:
        if self._pong_due:
            self.end("the broker does not answer")
            return
        self._pong_due = True
        self._send(packets.PINGREQ)
        self._pinger = self._loop.call_later(self._dial.hello.keepalive_s * 0.7, self._ping)

    def _leave(self, filters: set[str]) -> None:
        if filters:
            number = self._next()
            self._standing -= filters
            self._leaving[number] = frozenset(filters)
            self._send(packets.unsubscribe(sorted(filters), number))

    def _ask(self) -> None:
        held, self._held = self._held, []
        leaving = frozenset[str]().union(*self._leaving.values()) if self._leaving else frozenset[str]()
        for filters in held:
            if leaving.isdisjoint(filters):
                self._stand(filters)
            else:
                self._held.append(filters)

    def _stand(self, filters: Mapping[str, Qos]) -> None:
        self._standing.update(filters)
        names = tuple(filters)
        for at in range(0, len(names), FILTERS_MAX):
            part = {name: filters[name] for name in names[at : at + FILTERS_MAX]}
            self._send(packets.subscribe(part, self._next()))

    def _next(self) -> int:
        """A number that no publish on its way has."""
        while True:
            self._number = self._number % 65_535 + 1
            if self._number not in self._futures:
                return self._number
