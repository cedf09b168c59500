"""A small writer of flatbuffers: new tables in front, and behind them whole bytes of another file that they
may refer to.

Distances in a flatbuffer are unsigned: what is referred to lies behind what refers to it. Parents are written
before their children and everything before what is kept, so that any table of an existing file can be kept
as it is, whatever it holds, while the tables above it are written anew.

Source: the flatbuffers binary format, https://flatbuffers.dev/internals.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ALIGNMENT: Final = 16
"""Of the bytes of constant tensors, as the schema of .tflite files asks for; nothing in them needs more."""
_HEADER_BYTES: Final = 8
_TABLE_ALIGNMENT: Final = 4
_U32: Final = struct.Struct("<I")


class Kind(StrEnum):
    """Of numbers, in the letters of `struct`; those of 64 bits stand in vectors only."""

    I8 = "b"
    U8 = "B"
    I32 = "i"
    U32 = "I"
    I64 = "q"
    F32 = "f"


@dataclass(frozen=True, slots=True)
class Number:
    kind: Kind
    value: float


@dataclass(frozen=True, slots=True)
class Kept:
    """Whatever lies at this offset of the bytes that are kept."""

    at: int


@dataclass(frozen=True, slots=True)
class Packed:
    """A vector of numbers, or of bytes."""

    content: bytes
    count: int
    alignment: int = 4


@dataclass(frozen=True, slots=True)
class Tables:
    """A vector of tables or of texts."""

    items: "Sequence[Node]"


@dataclass(frozen=True, slots=True)
class Table:
    fields: "Mapping[int, Number | Node]"
    """By their index in the schema; what is left out has its default."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A table of another file that holds numbers only, byte for byte."""

    vtable: bytes
    body: bytes
    """Behind the distance to its vtable."""


Node = Table | Tables | Packed | Kept | Copied


def text(value: str) -> Packed:
    """A string: its terminating zero is not counted."""
    encoded = value.encode()
    return Packed(encoded + b"\0", len(encoded))


def blob(content: bytes) -> Packed:
    """The bytes of a constant tensor or of a metadata entry."""
    return Packed(content, len(content), ALIGNMENT)


def numbers(kind: Kind, values: Sequence[float]) -> Packed:
    return Packed(struct.pack(f"<{len(values)}{kind}", *values), len(values), struct.calcsize(f"<{kind}"))


def build(root: Table, identifier: bytes, kept: bytes = b"", note: bytes = b"") -> bytes:
    """A file whose root is this table.

    Args:
        root: the new part.
        identifier: the four letters of the schema.
        kept: what `Kept` refers into; all its bytes stay, in their order and aligned as they are.
        note: bytes that nothing refers to, behind the header.
    """
    writer = _Writer(note)
    at = writer.node(root)
    front = writer.out
    front += bytes(-len(front) % ALIGNMENT)
    _U32.pack_into(front, 0, at)
    front[4:_HEADER_BYTES] = identifier
    for slot, old in writer.kept:
        _U32.pack_into(front, slot, len(front) + old - slot)
    return bytes(front) + kept


class _Writer:
    def __init__(self, note: bytes) -> None:
        self.out = bytearray(_HEADER_BYTES) + note
        self.kept: list[tuple[int, int]] = []
        """Where a reference stands, and to what of the kept bytes."""

    def node(self, node: Table | Tables | Packed | Copied) -> int:
        """Where it was written."""
        match node:
            case Table():
                return self._table(node)
            case Tables(items):
                return self._vector(items)
            case Packed():
                return self._packed(node)
            case Copied(vtable, body):
                return self._begun(vtable, body)

    def _pad(self, alignment: int, ahead: int = 0) -> None:
        """So that what comes `ahead` bytes from here is aligned."""
        self.out += bytes(-(len(self.out) + ahead) % alignment)

    def _packed(self, node: Packed) -> int:
        self._pad(max(4, node.alignment), ahead=4)
        at = len(self.out)
        self.out += _U32.pack(node.count) + node.content
        return at

    def _vector(self, items: Sequence[Node]) -> int:
        self._pad(4)
        at = len(self.out)
        self.out += _U32.pack(len(items)) + bytes(4 * len(items))
        for index, item in enumerate(items):
            self._refer(at + 4 + 4 * index, item)
        return at

    def _table(self, node: Table) -> int:
        places = dict(_places(node.fields))
        body_bytes = max((place + 4 for place in places.values()), default=4)
        slots = [places.get(index, 0) for index in range(max(places, default=-1) + 1)]
        vtable = struct.pack(f"<{2 + len(slots)}H", 4 + 2 * len(slots), body_bytes, *slots)
        at = self._begun(vtable, bytes(body_bytes - 4))
        for index, value in node.fields.items():
            if isinstance(value, Number):
                struct.pack_into(f"<{value.kind}", self.out, at + places[index], value.value)
        for index, value in node.fields.items():
            if not isinstance(value, Number):
                self._refer(at + places[index], value)
        return at

    def _begun(self, vtable: bytes, body: bytes) -> int:
        self._pad(_TABLE_ALIGNMENT, ahead=len(vtable))
        self.out += vtable
        at = len(self.out)
        self.out += struct.pack("<i", len(vtable)) + body
        return at

    def _refer(self, slot: int, node: Node) -> None:
        if isinstance(node, Kept):
            self.kept.append((slot, node.at))
        else:
            _U32.pack_into(self.out, slot, self.node(node) - slot)


def _places(fields: "Mapping[int, Number | Node]") -> Iterator[tuple[int, int]]:
    """Each field's distance from its table: four bytes for each, whatever its kind."""
    for order, index in enumerate(sorted(fields)):
        yield index, 4 + 4 * order
