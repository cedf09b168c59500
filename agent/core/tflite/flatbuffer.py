"""A bounds-checked reader of flatbuffers, for files that nobody has vouched for.

A table starts with a signed distance back to its vtable; the vtable says at which distance from the table
each field lies, 0 where it is absent. Vectors, strings and sub-tables are reached by unsigned distances.
Every read is checked against the file, and all reads together against a budget: offsets may alias, so that a
small file can pretend to hold any number of tables.

Source: the flatbuffers binary format, https://flatbuffers.dev/internals.
"""

import struct
from collections.abc import Iterator
from typing import Final

from agent.wire.errors import Malformed

READS_MAX: Final = 250_000
"""A second's worth on a slow host. MobileNet v2, with 66 operators, takes seven thousand."""

_I8: Final = struct.Struct("<b")
_U8: Final = struct.Struct("<B")
_U16: Final = struct.Struct("<H")
_I32: Final = struct.Struct("<i")
_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")


class Content:
    """The bytes, and how many reads are left."""

    __slots__ = ("_left", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._left = READS_MAX

    def integer(self, kind: struct.Struct, at: int) -> int:
        self.check(at, kind.size)
        self.spend(1)
        return int(kind.unpack_from(self.raw, at)[0])

    def check(self, at: int, length: int) -> None:
        """
        Raises:
            Malformed: the range leaves the file.
        """
        if at < 0 or at + length > len(self.raw):
            raise Malformed(
                f"damaged: {length} bytes at offset {at} lie outside its {len(self.raw)} bytes"
                " (was the file truncated?)"
            )

    def spend(self, reads: int) -> None:
        """
        Raises:
            Malformed: the structure is larger than that of any real model.
        """
        self._left -= reads
        if self._left < 0:
            raise Malformed(f"damaged: its structure takes more than {READS_MAX} reads")


class Table:
    """One table; a field is asked for by its index in the schema."""

    __slots__ = ("_at", "_content", "_vtable", "_vtable_bytes")

    def __init__(self, content: Content, at: int) -> None:
        self._content = content
        self._at = at
        self._vtable = at - content.integer(_I32, at)
        self._vtable_bytes = content.integer(_U16, self._vtable)
        content.check(self._vtable, self._vtable_bytes)

    def _field(self, index: int) -> int | None:
        slot = 4 + 2 * index
        if slot + 2 > self._vtable_bytes:
            return None
        distance = self._content.integer(_U16, self._vtable + slot)
        return self._at + distance if distance else None

    def _integer(self, index: int, kind: struct.Struct, default: int) -> int:
        at = self._field(index)
        return default if at is None else self._content.integer(kind, at)

    def i8(self, index: int) -> int:
        return self._integer(index, _I8, 0)

    def u8(self, index: int) -> int:
        return self._integer(index, _U8, 0)

    def i32(self, index: int) -> int:
        return self._integer(index, _I32, 0)

    def u32(self, index: int) -> int:
        return self._integer(index, _U32, 0)

    def u64(self, index: int) -> int:
        return self._integer(index, _U64, 0)

    def target(self, index: int) -> int | None:
        """Where in the file the table, vector or string of a field lies; None where it is absent."""
        at = self._field(index)
        return None if at is None else at + self._content.integer(_U32, at)

    def _vector(self, index: int, item_bytes: int) -> tuple[int, int]:
        """Where the items of a vector start, and how many there are; (0, 0) where it is absent."""
        target = self.target(index)
        if target is None:
            return 0, 0
        count = self._content.integer(_U32, target)
        self._content.check(target + 4, count * item_bytes)
        return target + 4, count

    def table(self, index: int) -> "Table | None":
        target = self.target(index)
        return None if target is None else Table(self._content, target)

    def tables(self, index: int) -> Iterator["Table"]:
        return (Table(self._content, at) for at in self.starts(index))

    def inline(self) -> tuple[bytes, bytes]:
        """Its vtable, and its own bytes behind the distance to that."""
        raw = self._content.raw
        length = self._content.integer(_U16, self._vtable + 2)
        self._content.check(self._at, length)
        vtable = raw[self._vtable : self._vtable + self._vtable_bytes]
        return vtable, raw[self._at + 4 : self._at + length]

    def bytes(self, index: int) -> bytes:
        start, count = self._vector(index, 1)
        return self._content.raw[start : start + count]

    def starts(self, index: int) -> Iterator[int]:
        """Where each table of a vector of tables lies in the file."""
        start, count = self._vector(index, 4)
        for slot in range(start, start + 4 * count, 4):
            yield slot + self._content.integer(_U32, slot)

    def has(self, index: int) -> bool:
        return self._field(index) is not None

    @property
    def fields(self) -> int:
        """How many fields of the schema its writer knew."""
        return (self._vtable_bytes - 4) // 2

    def span(self, index: int) -> tuple[int, int]:
        """Where a vector of bytes lies in the file: start and length, (0, 0) where it is absent."""
        return self._vector(index, 1)

    def text(self, index: int) -> str:
        return self.bytes(index).decode("utf-8", errors="replace")

    def ints(self, index: int) -> tuple[int, ...]:
        """A vector of 32-bit integers."""
        return self._numbers(index, "i", 4)

    def longs(self, index: int) -> tuple[int, ...]:
        """A vector of 64-bit integers."""
        return self._numbers(index, "q", 8)

    def floats(self, index: int) -> tuple[float, ...]:
        """A vector of 32-bit floats."""
        return self._numbers(index, "f", 4)

    def _numbers(self, index: int, code: str, item_bytes: int) -> tuple[int, ...]:
        start, count = self._vector(index, item_bytes)
        self._content.spend(count // 8)  # cheaper than a table, but it fills the memory
        return struct.unpack_from(f"<{count}{code}", self._content.raw, start)


def root(raw: bytes) -> Table:
    """
    Raises:
        Malformed: there is no table where the first four bytes point to.
    """
    content = Content(raw)
    return Table(content, content.integer(_U32, 0))
