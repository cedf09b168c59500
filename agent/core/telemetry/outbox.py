"""What waits for the broker: how it stands on disk, what is known of it, and how fast it may go.

A record is `length, CRC-32, serial, length of the topic, topic, payload`, big-endian; the checksum covers
everything behind it. Serials count up by one, so two neighbours on disk tell how many are missing between.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

RECORD_MAX_BYTES: Final = 1_048_576
"""More than a default broker accepts."""
_HEAD: Final = struct.Struct(">II")
_BODY: Final = struct.Struct(">QH")
_LEDGER: Final = struct.Struct(">QQQQ")
_CRC: Final = struct.Struct(">I")
BURST_S: Final = 0.1
"""What a late timer missed may be caught up with."""
LEDGER_BYTES: Final = _LEDGER.size + _CRC.size


@dataclass(frozen=True, slots=True)
class Kept:
    serial: int
    topic: str
    payload: bytes


def record(kept: Kept) -> bytes:
    topic = kept.topic.encode()
    body = _BODY.pack(kept.serial, len(topic)) + topic + kept.payload
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def records(content: bytes) -> tuple[list[Kept], int]:
    """The whole records at the start of the content, and how many bytes they take.

    What follows them is the beginning of a record, or damage: a torn write leaves a short one, a lost page
    leaves zeros.
    """
    found: list[Kept] = []
    offset = 0
    while (kept := _record_at(content, offset)) is not None:
        found.append(kept[0])
        offset = kept[1]
    return found, offset


def _record_at(content: bytes, offset: int) -> tuple[Kept, int] | None:
    begin = offset + _HEAD.size
    if begin > len(content):
        return None
    length, checksum = _HEAD.unpack_from(content, offset)
    end = begin + length
    if not _BODY.size <= length <= RECORD_MAX_BYTES or end > len(content):
        return None
    body = content[begin:end]
    if zlib.crc32(body) != checksum:
        return None
    serial, topic_bytes = _BODY.unpack_from(body)
    split = _BODY.size + topic_bytes
    return Kept(serial, body[_BODY.size : split].decode(), body[split:]), end


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is known of the messages that no longer wait.

    Everything up to `done` was acknowledged or dropped. `dropped` counts what never arrived, over the
    outbox's whole life, and `told` how many of them the broker has heard of.
    """

    generation: int = 0
    done: int = 0
    dropped: int = 0
    told: int = 0

    def encode(self) -> bytes:
        fields = _LEDGER.pack(self.generation, self.done, self.dropped, self.told)
        return fields + _CRC.pack(zlib.crc32(fields))


def newest(slots: Iterable[bytes]) -> Ledger:
    """The newest undamaged ledger: they are written to two places in turn, so a torn write costs one step."""
    whole = [ledger for slot in slots if (ledger := _ledger(slot)) is not None]
    return max(whole, key=lambda ledger: ledger.generation, default=Ledger())


def _ledger(slot: bytes) -> Ledger | None:
    fields, checksum = slot[: _LEDGER.size], slot[_LEDGER.size : LEDGER_BYTES]
    if len(checksum) < _CRC.size or zlib.crc32(fields) != _CRC.unpack(checksum)[0]:
        return None
    return Ledger(*_LEDGER.unpack(fields))


@dataclass(slots=True)
class Allowance:
    """How fast messages may leave: one for each that comes in, and `per_s` more of those that waited.

    So what is said now goes now, and a backlog shrinks by `per_s` a second however much is being said.
    """

    per_s: float
    at_s: float = 0.0
    waited: float = 0.0
    came: int = 0

    def restart(self, now_s: float) -> None:
        """Connected: what came until now has waited."""
        self.at_s, self.waited, self.came = now_s, 0.0, 0

    def admit(self) -> None:
        self.came += 1

    def ask(self, now_s: float) -> float:
        """0 and one may leave; else the seconds until one may."""
        most = 1.0 + BURST_S * self.per_s
        self.waited = min(most, self.waited + (now_s - self.at_s) * self.per_s)
        self.at_s = now_s
        if self.came > 0:
            self.came -= 1
        elif self.waited >= 1.0:
            self.waited -= 1.0
        else:
            return (1.0 - self.waited) / self.per_s
        return 0.0
