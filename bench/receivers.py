"""Many devices that download at once, in one thread and one process: epoll, and a window of the agent's own.

As every client of MQTT, a device holds a message until it is whole. It is not hashed: a device has a
processor of its own, and a thousand of them here would be measured instead of the broker. What came at once
is answered at once, as in the agent. MQTT 3.1.1, QoS 1.
"""

import select
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from agent.core.update import window as windows
from agent.core.update.window import Ask, Done, Patience
from agent.wire.topics import Digest

READ_BYTES: Final = 262_144
KEEPALIVE_S: Final = 300


def packet(first: int, body: bytes) -> bytes:
    """MQTT 3.1.1, section 2.2: a fixed header with the remaining length, and the rest."""
    size, left = bytearray(), len(body)
    while True:
        left, low = divmod(left, 128)
        size.append(low | 128 if left else low)
        if not left:
            return bytes([first]) + bytes(size) + body


def text(words: str) -> bytes:
    return struct.pack(">H", len(words)) + words.encode()


def connect(name: str) -> bytes:
    return packet(0x10, text("MQTT") + b"\x04\x02" + struct.pack(">H", KEEPALIVE_S) + text(name))


def publish(topic: str, payload: bytes, number: int) -> bytes:
    """Retained, QoS 1."""
    return packet(0x33, text(topic) + struct.pack(">H", number) + payload)


class Download:
    """What one device still wants: the agent's own window over the chunks."""

    def __init__(self, chunks: Mapping[Digest, int], prefix: str) -> None:
        self._chunks = chunks
        self._window = windows.start(chunks, Patience())
        self._prefix = prefix
        self.done = False

    def next(self) -> tuple[str, ...]:
        self._window, order = windows.plan(self._window, time.monotonic())
        self.done = isinstance(order, Done)
        return tuple(self._prefix + chunk for chunk in order.chunks) if isinstance(order, Ask) else ()

    def received(self, topic: str, length: int) -> None:
        chunk = Digest(topic.removeprefix(self._prefix))
        assert length == self._chunks[chunk], topic
        self._window = windows.received(self._window, chunk, time.monotonic())


class Whole:
    """One message that is all of it."""

    def __init__(self, topic: str, length: int) -> None:
        self._topic, self._length = topic, length
        self.done = False

    def next(self) -> tuple[str, ...]:
        return () if self.done else (self._topic,)

    def received(self, topic: str, length: int) -> None:
        assert (topic, length) == (self._topic, self._length)
        self.done = True


class Calm:
    """What the agent's window asks for while nothing goes wrong: as many at a time, the next as one comes.

    Its own bookkeeping is left out, 0.1 ms a chunk: each device does that for itself.
    """

    def __init__(self, chunks: Mapping[Digest, int], prefix: str) -> None:
        self._chunks = chunks
        self._prefix = prefix
        self._topics = tuple(prefix + chunk for chunk in chunks)
        self._asked = self._came = 0

    @property
    def done(self) -> bool:
        return self._came == len(self._topics)

    def next(self) -> tuple[str, ...]:
        few = self._topics[self._asked : self._came + windows.FIRST_LIMIT]
        self._asked += len(few)
        return few

    def received(self, topic: str, length: int) -> None:
        chunk = Digest(topic.removeprefix(self._prefix))
        assert length == self._chunks[chunk], topic
        self._came += 1


Wants = Download | Calm | Whole


@dataclass(slots=True)
class Arriving:
    """A publish of which bytes are still to come."""

    topic: str
    number: int
    length: int
    content: bytearray


@dataclass(slots=True)
class Device:
    name: str
    wants: Wants
    line: socket.socket | None = None
    up: bool = False
    head: bytearray = field(default_factory=bytearray)
    arriving: Arriving | None = None
    unsent: bytearray = field(default_factory=bytearray)
    waits: bool = False
    """For the kernel to take more."""
    leaving: list[str] = field(default_factory=list)
    number: int = 0
    finished_at: float | None = None


class Crowd:
    def __init__(self, port: int, devices: Sequence[Device]) -> None:
        self._port = port
        self._poll = select.epoll()
        self._by_fd: dict[int, Device] = {}
        self._into = bytearray(READ_BYTES)
        self._view = memoryview(self._into)
        self.devices = devices
        self.left = len(devices)

    def connect(self) -> None:
        """All of them, no more at once than a listener's backlog takes."""
        for start in range(0, len(self.devices), 50):
            few = self.devices[start : start + 50]
            for device in few:
                self._dial(device)
            self._until(lambda few=few: all(device.up for device in few), 30.0)

    def download(self, timeout_s: float, watch: Callable[[], None]) -> None:
        """Until every device has all; `watch` is called many times a second."""
        for device in self.devices:
            self._ask(device)
            self._flush(device)
        self._until(lambda: self.left == 0, timeout_s, watch)

    def close(self) -> None:
        for device in self.devices:
            if device.line is not None:
                device.line.close()
        self._poll.close()

    def _until(
        self, holds: Callable[[], bool], timeout_s: float, watch: Callable[[], None] = lambda: None
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.left} of {len(self.devices)} devices did not end in {timeout_s:g} s")
            for fd, events in self._poll.poll(0.02, 256):
                device = self._by_fd[fd]
                if events & select.EPOLLOUT:
                    self._flush(device)
                if events & ~select.EPOLLOUT and device.line is not None:
                    self._read(device)
            watch()

    def _dial(self, device: Device) -> None:
        line = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.connect(("127.0.0.1", self._port))
        line.settimeout(0)
        device.line = line
        self._by_fd[line.fileno()] = device
        self._poll.register(line.fileno(), select.EPOLLIN)
        device.unsent += connect(device.name)
        self._flush(device)

    def _flush(self, device: Device) -> None:
        assert device.line is not None
        with suppress(BlockingIOError):
            if device.unsent:
                del device.unsent[: device.line.send(device.unsent)]
        if device.waits != bool(device.unsent):
            device.waits = bool(device.unsent)
            events = select.EPOLLIN | (select.EPOLLOUT if device.waits else 0)
            self._poll.modify(device.line.fileno(), events)

    def _ask(self, device: Device) -> None:
        topics = device.wants.next()
        if device.leaving and (topics or device.wants.done):
            device.number = device.number % 65_535 + 1
            filters = b"".join(text(topic) for topic in device.leaving)
            device.unsent += packet(0xA2, struct.pack(">H", device.number) + filters)
            device.leaving.clear()
        if topics:
            device.number = device.number % 65_535 + 1
            filters = b"".join(text(topic) + b"\x01" for topic in topics)
            device.unsent += packet(0x82, struct.pack(">H", device.number) + filters)
        elif device.wants.done and device.finished_at is None:
            device.finished_at = time.monotonic()
            self.left -= 1

    def _read(self, device: Device) -> None:
        assert device.line is not None
        try:
            size = device.line.recv_into(self._view)
        except BlockingIOError:
            return
        if not size:
            raise SystemExit(f"the broker hung up on {device.name}")
        if self._feed(device, self._view[:size]):
            self._ask(device)
        self._flush(device)

    def _feed(self, device: Device, view: memoryview) -> bool:
        """Whether there may be something to ask for now."""
        at, news = 0, False
        while at < len(view):
            arriving = device.arriving
            if arriving is None:
                at += self._head(device, view[at : at + 256])
                continue
            piece = view[at : at + arriving.length - len(arriving.content)]
            arriving.content += piece
            at += len(piece)
            if len(arriving.content) == arriving.length:
                self._arrived(device, arriving)
                news = True
        return news

    def _head(self, device: Device, view: memoryview) -> int:
        """Take the head of a packet, or a whole short one; how many bytes of these were part of it."""
        before = len(device.head)
        device.head += view
        length = _head_length(device.head)
        if length is None:
            return len(view)
        first, size, start = device.head[0], *_remaining(device.head)
        if first >> 4 == 3:
            name = int.from_bytes(device.head[start : start + 2], "big")
            topic = device.head[start + 2 : start + 2 + name].decode()
            number = int.from_bytes(device.head[length - 2 : length], "big")
            device.arriving = Arriving(topic, number, size - (length - start), bytearray())
        elif first >> 4 == 2:
            device.up = True
        device.head.clear()
        return length - before

    def _arrived(self, device: Device, arriving: Arriving) -> None:
        device.arriving = None
        device.unsent += b"\x40\x02" + struct.pack(">H", arriving.number)
        device.leaving.append(arriving.topic)
        device.wants.received(arriving.topic, arriving.length)


def _remaining(head: bytearray) -> tuple[int, int]:
    """The remaining length, and where what it counts begins."""
    size = 0
    for place in range(1, 5):
        size |= (head[place] & 127) << 7 * (place - 1)
        if head[place] < 128:
            return size, place + 1
    raise SystemExit("the broker sent what is not MQTT")


def _head_length(head: bytearray) -> int | None:
    """Of a publish up to its payload, of another packet in all; None: more bytes must come first.

    A publish here is of QoS 1 and has a payload.
    """
    if len(head) < 2 or (head[1] >= 128 and len(head) < 5):
        return None
    size, start = _remaining(head)
    if head[0] >> 4 != 3:
        return start + size if len(head) >= start + size else None
    if len(head) < start + 2:
        return None
    length = start + 4 + int.from_bytes(head[start : start + 2], "big")
    return length if len(head) >= length else None
