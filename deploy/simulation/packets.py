"""MQTT 3.1.1 as bytes: packets to be sent, and a decoder of what a broker sends.

No socket and no clock here. Only what a device needs: QoS 0 and 1, no sessions that outlive a connection.
Source: MQTT Version 3.1.1, OASIS Standard, chapters 2 and 3; the numbers of sections stand where they apply.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.ports.link import Outgoing
from agent.wire.errors import Malformed
from agent.wire.topics import Qos

PINGREQ: Final = b"\xc0\x00"
DISCONNECT: Final = b"\xe0\x00"

_LEVEL_3_1_1: Final = 4
_CLEAN_SESSION, _WILL, _WILL_RETAIN, _PASSWORD, _USERNAME = 0x02, 0x04, 0x20, 0x40, 0x80


@dataclass(frozen=True, slots=True)
class Accepted:
    """CONNACK; 0 is yes, 1 to 5 are the refusals of section 3.2.2.3."""

    code: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """PUBLISH; `number` is to be acknowledged, 0 is not."""

    topic: str
    payload: bytes
    retained: bool
    number: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """PUBACK."""

    number: int


@dataclass(frozen=True, slots=True)
class Subscribed:
    """SUBACK: one code a filter, 128 for one that was refused."""

    number: int
    codes: bytes


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """UNSUBACK."""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """PINGRESP."""


Packet = Accepted | Arrived | Acknowledged | Subscribed | Unsubscribed | Pong


@dataclass(frozen=True, slots=True)
class Hello:
    """What a CONNECT says."""

    client_id: str
    keepalive_s: int
    will: Outgoing | None = None
    username: str | None = None
    password: str | None = None


def connect(hello: Hello) -> bytes:
    """CONNECT with a clean session (3.1)."""
    flags, told = _CLEAN_SESSION, _text(hello.client_id)
    if hello.will is not None:
        flags |= _WILL | hello.will.qos.value << 3 | (_WILL_RETAIN if hello.will.retain else 0)
        told += _text(hello.will.topic) + _sized(hello.will.payload)
    if hello.username is not None:
        flags |= _USERNAME
        told += _text(hello.username)
        if hello.password is not None:
            flags |= _PASSWORD
            told += _text(hello.password)
    head = _text("MQTT") + bytes((_LEVEL_3_1_1, flags)) + hello.keepalive_s.to_bytes(2, "big")
    return _packet(0x10, head + told)


def publish(outgoing: Outgoing, number: int) -> bytes:
    """PUBLISH (3.3). `number` counts for QoS 1 only."""
    first = 0x30 | outgoing.qos.value << 1 | outgoing.retain
    head = _text(outgoing.topic)
    if outgoing.qos is Qos.AT_LEAST_ONCE:
        head += number.to_bytes(2, "big")
    return _packet(first, head + outgoing.payload)


def acknowledge(number: int) -> bytes:
    """PUBACK (3.4)."""
    return b"\x40\x02" + number.to_bytes(2, "big")


def subscribe(filters: Mapping[str, Qos], number: int) -> bytes:
    """SUBSCRIBE (3.8)."""
    asked = b"".join(_text(name) + bytes((qos.value,)) for name, qos in filters.items())
    return _packet(0x82, number.to_bytes(2, "big") + asked)


def unsubscribe(filters: Sequence[str], number: int) -> bytes:
    """UNSUBSCRIBE (3.10)."""
    return _packet(0xA2, number.to_bytes(2, "big") + b"".join(map(_text, filters)))


class Decoder:
    """Takes bytes as they come, and gives the packets that are whole."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[Packet]:
        """
        Raises:
            Malformed: this is not MQTT 3.1.1, or nothing that a broker may send to us.
        """
        content = self._rest + piece if self._rest else piece
        at, end = 0, len(content)
        while (whole := _whole(content, at, end)) is not None:
            begin, stop = whole
            # Kept before the packet is handed out: whoever takes it may stop here.
            self._rest = content[stop:] if stop < end else b""
            yield _decoded(content[at], content, begin, stop)
            at = stop
        self._rest = content[at:] if at < end else b""


def _whole(content: bytes, at: int, end: int) -> tuple[int, int] | None:
    """Where the packet's body begins and ends; None where it is not all there (2.2.3)."""
    length = shift = 0
    for place in range(at + 1, min(end, at + 5)):
        byte = content[place]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            stop = place + 1 + length
            return (place + 1, stop) if stop <= end else None
    if end - at >= 5:
        raise Malformed("a packet's length takes more than four bytes")
    return None


def _decoded(first: int, content: bytes, begin: int, stop: int) -> Packet:
    match first >> 4:
        case 3:
            return _arrived(first, content, begin, stop)
        case 2 if stop - begin == 2:
            return Accepted(content[begin + 1])
        case 4 if stop - begin == 2:
            return Acknowledged(_number(content, begin))
        case 9 if stop - begin > 2:
            return Subscribed(_number(content, begin), content[begin + 2 : stop])
        case 11 if stop - begin == 2:
            return Unsubscribed(_number(content, begin))
        case 13 if stop == begin:
            return Pong()
        case kind:
            raise Malformed(f"a packet of type {kind} with {stop - begin} bytes is none that a broker sends")


def _arrived(first: int, content: bytes, begin: int, stop: int) -> Arrived:
    quality = first >> 1 & 3
    payload = begin + 2 + _number(content, begin) if stop - begin >= 2 else stop + 1
    numbered = 2 if quality else 0
    if quality > 1 or payload + numbered > stop:
        raise Malformed(f"a publish of {stop - begin} bytes with quality {quality} cannot be read")
    try:
        topic = content[begin + 2 : payload].decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"a topic is no UTF-8: {error}") from error
    number = _number(content, payload) if numbered else 0
    return Arrived(topic, content[payload + numbered : stop], bool(first & 1), number)


def _number(content: bytes, at: int) -> int:
    return content[at] << 8 | content[at + 1]


def _packet(first: int, body: bytes) -> bytes:
    length, told = len(body), bytearray((first,))
    while True:
        length, digit = length >> 7, length & 0x7F
        told.append(digit | (0x80 if length else 0))
        if not length:
            return bytes(told) + body


def _text(text: str) -> bytes:
    return _sized(text.encode())


def _sized(content: bytes) -> bytes:
    return len(content).to_bytes(2, "big") + content
