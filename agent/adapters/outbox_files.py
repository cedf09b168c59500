"""An outbox in files that are only appended to.

    00000007.log   records in order (see `agent.core.telemetry.outbox`); the last one grows
    ledger         up to where all is done, and how many were dropped: two slots, written in turn

A message costs its own bytes and 30 more, into the page cache: that outlives a SIGKILL. Where everything
has arrived by the time of the next flush the file is cut to nothing, and an undisturbed device writes no
message to its card at all. `make bench` compares it with SQLite in WAL mode, which touches two pages of
4 KiB for a message of 400 bytes and as many to take it out again, and needs a sync on the caller's thread
to be as safe.

After a SIGKILL or a power cut the last record may be torn: it is cut off. Damage elsewhere costs the rest
of its file, and the serials tell how many messages that was.
"""

import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from agent.core.telemetry.outbox import LEDGER_BYTES, RECORD_MAX_BYTES, Kept, Ledger, newest, record, records
from agent.wire.errors import StoreFailed

log = logging.getLogger(__name__)

SEGMENTS: Final = 16
"""A full outbox drops one of so many at a time."""
_SEGMENT_MAX_BYTES: Final = 8_388_608
_PIECE_BYTES: Final = 65_536
_SLOTS: Final = (0, 512)
"""A sector each: a torn write cannot reach the other."""


@dataclass(slots=True)
class _Segment:
    """A file with the records of the serials `first` to `last`."""

    path: Path
    first: int
    last: int
    size_bytes: int


class FileOutbox:
    """See `agent.ports.outbox.Outbox`. The folder belongs to one process."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """
        Raises:
            StoreFailed: the folder cannot be used.
        """
        self._folder, self._max_bytes = folder, max_bytes
        self._segment_bytes = min(_SEGMENT_MAX_BYTES, max_bytes // SEGMENTS)
        self._segments: deque[_Segment] = deque()
        self._bytes = 0
        self._number = 0
        """Of the newest file."""
        self._tail: int | None = None
        self._unsafe: set[Path] = set()
        self._ahead: deque[Kept] = deque()
        self._read: tuple[Path, int] | None = None
        self._adrift = 0
        """Taken, not yet acknowledged, and no longer on disk."""
        self._refusing = False
        with _told(f"open the outbox {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            self._book = os.open(folder / "ledger", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._ledger = newest(os.pread(self._book, LEDGER_BYTES, place) for place in _SLOTS)
            self._load()
        self._last = max(self._ledger.done, self._segments[-1].last if self._segments else 0)
        self._taken = self._ledger.done
        self._make_room(0)

    def put(self, topic: str, payload: bytes) -> bool:
        kept = Kept(self._last + 1, topic, payload)
        content = record(kept)
        if len(content) > min(RECORD_MAX_BYTES, self._max_bytes):
            log.warning("outbox.too-large", extra={"topic": topic, "bytes": len(payload)})
            return False
        self._make_room(len(content))
        try:
            self._append(content)
        except OSError as error:
            if not self._refusing:
                log.warning("outbox.disk-refuses", extra={"folder": self._folder, "error": error.strerror})
            self._refusing = True
            return False
        if self._refusing:
            self._refusing = False
            log.info("outbox.disk-accepts", extra={"folder": self._folder})
        if self._taken == kept.serial - 1:
            # Whoever takes has caught up: what is in memory need not be read.
            self._ahead.append(kept)
            self._read = (self._segments[-1].path, self._segments[-1].size_bytes)
        return True

    def ready(self) -> bool:
        return self._last > self._taken

    def take(self, limit: int) -> Sequence[Kept]:
        taken: list[Kept] = []
        while len(taken) < limit and self._look_ahead():
            taken.append(self._ahead.popleft())
            self._taken = taken[-1].serial
        return taken

    def rewind(self) -> None:
        self._taken = self._ledger.done
        self._ahead.clear()
        self._read = None
        if self._adrift:
            self._note(replace(self._ledger, dropped=self._ledger.dropped + self._adrift))
            self._adrift = 0

    def forget(self, serial: int) -> None:
        if serial <= self._ledger.done:
            self._adrift = max(0, self._adrift - 1)
            return
        self._adrift = 0
        self._note(replace(self._ledger, done=serial))
        while len(self._segments) > 1 and self._segments[0].last <= serial:
            self._remove()

    def depth(self) -> int:
        return self._last - self._ledger.done

    def dropped(self) -> int:
        return self._ledger.dropped

    def untold(self) -> int:
        return self._ledger.dropped - self._ledger.told

    def told(self, dropped: int) -> None:
        self._note(replace(self._ledger, told=max(self._ledger.told, dropped)))

    def lose(self) -> None:
        self._note(replace(self._ledger, dropped=self._ledger.dropped + 1))

    def flush(self) -> Callable[[], None]:
        if not self.depth():
            self._clear()
            return _nothing
        unsafe, self._unsafe = self._unsafe, set()

        def run() -> None:
            with _told(f"make the outbox {self._folder} safe"):
                for path in sorted(unsafe):
                    _sync(path)
                if unsafe:
                    _sync(self._folder)

        return run

    def close(self) -> None:
        if self._book < 0:
            return
        try:
            self.flush()()
            os.fsync(self._book)
        except (StoreFailed, OSError) as error:
            log.warning("outbox.not-synced", extra={"error": str(error)})
        self._end_tail()
        os.close(self._book)
        self._book = -1

    def _load(self) -> None:
        """Find what waits; cut off what is torn, delete what is done, count what is missing between."""
        for path in sorted(self._folder.glob("[0-9]" * 8 + ".log")):
            self._number = int(path.stem)
            content = path.read_bytes()
            found, whole_bytes = records(content)
            if whole_bytes < len(content):
                torn = len(content) - whole_bytes
                log.warning("outbox.torn", extra={"file": path.name, "bytes": torn})
                os.truncate(path, whole_bytes)
            if not found or found[-1].serial <= self._ledger.done:
                path.unlink()
                continue
            self._segments.append(_Segment(path, found[0].serial, found[-1].serial, whole_bytes))
            self._bytes += whole_bytes
        missing = sum(
            max(0, behind.first - 1 - max(before.last, self._ledger.done))
            for before, behind in zip(self._segments, list(self._segments)[1:], strict=False)
        )
        if missing:
            self._note(replace(self._ledger, dropped=self._ledger.dropped + missing))

    def _make_room(self, more_bytes: int) -> None:
        while self._segments and self._bytes + more_bytes > self._max_bytes:
            self._drop(self._segments[0])

    def _drop(self, segment: _Segment) -> None:
        """Give up what this file and those before it hold. Of what is on its way to the broker nobody knows
        yet whether it arrives.

        The count is on disk before the messages are gone.
        """
        ledger = self._ledger
        lost = segment.last - max(ledger.done, self._taken)
        self._adrift += max(0, min(segment.last, self._taken) - ledger.done)
        self._taken = max(self._taken, segment.last)
        self._note(replace(ledger, done=segment.last, dropped=ledger.dropped + max(0, lost)))
        with contextlib.suppress(OSError):
            os.fdatasync(self._book)
        while self._segments and self._segments[0].last <= segment.last:
            self._remove()
        while self._ahead and self._ahead[0].serial <= segment.last:
            self._ahead.popleft()

    def _remove(self) -> None:
        segment = self._segments.popleft()
        if self._read is not None and self._read[0] == segment.path:
            self._read = None
        self._bytes -= segment.size_bytes
        if not self._segments:
            self._end_tail()
        self._unsafe.discard(segment.path)
        with contextlib.suppress(OSError):
            segment.path.unlink()

    def _clear(self) -> None:
        """Everything has arrived: cut the last file to nothing before its pages reach the disk."""
        while len(self._segments) > 1:
            self._remove()
        if not self._segments or not self._segments[0].size_bytes:
            return
        segment = self._segments[0]
        try:
            os.truncate(segment.path, 0)
        except OSError as error:
            log.warning("outbox.not-cut", extra={"file": segment.path.name, "error": error.strerror})
            return
        self._bytes, segment.size_bytes, segment.first = 0, 0, self._last + 1
        self._unsafe.clear()
        self._ahead.clear()
        self._read = None

    def _append(self, content: bytes) -> None:
        """
        Raises:
            OSError: the disk refused; nothing was appended.
        """
        last = self._segments[-1] if self._segments else None
        full = last is not None and last.size_bytes + len(content) > self._segment_bytes
        if self._tail is None or (full and last is not None and last.size_bytes):
            self._begin_segment()
        segment, tail = self._segments[-1], self._tail
        assert tail is not None
        try:
            _write(tail, segment.size_bytes, content)
        except OSError:
            # What it took of the record is overwritten by the next one, or cut off after the next start.
            with contextlib.suppress(OSError):
                os.ftruncate(tail, segment.size_bytes)
            raise
        self._last += 1
        segment.last = self._last
        segment.size_bytes += len(content)
        self._bytes += len(content)
        self._unsafe.add(segment.path)

    def _begin_segment(self) -> None:
        """Go on with the last file after a start, else begin one."""
        resumed = self._tail is None and self._segments
        number = self._number if resumed else self._number + 1
        path = self._folder / f"{number:08d}.log"
        tail = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._end_tail()
        self._tail, self._number = tail, number
        if not resumed:
            self._segments.append(_Segment(path, self._last + 1, self._last, 0))

    def _end_tail(self) -> None:
        if self._tail is not None:
            os.close(self._tail)
            self._tail = None

    def _look_ahead(self) -> bool:
        """Whether there is one to be taken; reads a piece of a file where none has been read yet."""
        while not self._ahead:
            segment = next((s for s in self._segments if s.last > self._taken), None)
            if segment is None:
                return False
            offset = self._read[1] if self._read is not None and self._read[0] == segment.path else 0
            found, whole_bytes = records(_piece(segment, offset))
            self._read = (segment.path, offset + whole_bytes)
            self._ahead.extend(kept for kept in found if kept.serial > self._taken)
            if not found:
                log.warning("outbox.damaged", extra={"file": segment.path.name, "offset": offset})
                self._drop(segment)
        return True

    def _note(self, ledger: Ledger) -> None:
        """What the disk refuses of it costs a repeat after the next start, or a count."""
        self._ledger = replace(ledger, generation=self._ledger.generation + 1)
        place = _SLOTS[self._ledger.generation % len(_SLOTS)]
        try:
            os.pwrite(self._book, self._ledger.encode(), place)
        except OSError as error:
            if not self._refusing:
                log.warning("outbox.ledger-not-written", extra={"error": error.strerror})
            self._refusing = True


def _piece(segment: _Segment, offset: int) -> bytes:
    """The next records of the file, at least one whole one; nothing where it cannot be read."""
    left = segment.size_bytes - offset
    try:
        with segment.path.open("rb", buffering=0) as file:
            content = os.pread(file.fileno(), min(left, _PIECE_BYTES), offset)
            if not records(content)[0]:
                content = os.pread(file.fileno(), min(left, 2 * RECORD_MAX_BYTES), offset)
    except OSError:
        return b""
    return content


def _write(descriptor: int, offset: int, content: bytes) -> None:
    while content:
        written = os.pwrite(descriptor, content, offset)
        offset, content = offset + written, content[written:]


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # all that it held has arrived meanwhile
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _nothing() -> None:
    pass


@contextmanager
def _told(intent: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreFailed(f"could not {intent}: {error.strerror}") from error
