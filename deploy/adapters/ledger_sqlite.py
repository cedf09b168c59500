"""The ledger in one SQLite file.

Each operation opens the file, and closes it: a command, a controller and a person's `sqlite3` may look at it
at any time, and no handle outlives a process. A rollback journal with `synchronous = EXTRA` (SQLite, PRAGMA
synchronous) makes every commit durable over a power cut, and leaves one file that can be copied.
"""

import contextlib
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agent.ports.clock import Clock
from agent.wire.errors import Malformed, StoreFailed
from agent.wire.topics import DeviceId, Digest, sha256
from deploy.adapters.sqlite_words import fault
from deploy.core.rollouts import chain
from deploy.core.rollouts.chain import BEGINNING, Written
from deploy.core.rollouts.words import AnyEntry, Line
from deploy.ports.ledger import Outrun

BUSY_S: Final = 10.0
"""How long another process may be writing."""
READ_S: Final = 3.0
"""The same for who only reads, and is locked out for the moment of a commit: whoever looks is told soon."""

_SCHEMA: Final = """
PRAGMA application_id = 1936224364;
CREATE TABLE IF NOT EXISTS line (number INTEGER PRIMARY KEY, body BLOB NOT NULL, chain TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS content (digest TEXT PRIMARY KEY, packed BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mark
    (device TEXT PRIMARY KEY, boot INTEGER NOT NULL, number INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS line_stays BEFORE UPDATE ON line
    BEGIN SELECT RAISE(ABORT, 'the ledger is only ever added to'); END;
CREATE TRIGGER IF NOT EXISTS line_remains BEFORE DELETE ON line
    BEGIN SELECT RAISE(ABORT, 'the ledger is only ever added to'); END;
CREATE TRIGGER IF NOT EXISTS line_follows BEFORE INSERT ON line
    WHEN new.number <> (SELECT coalesce(max(number), 0) + 1 FROM line)
    BEGIN SELECT RAISE(ABORT, 'a line of the ledger follows the last one'); END;
"""
_FORWARD: Final = """
INSERT INTO mark VALUES (?, ?, ?) ON CONFLICT (device) DO UPDATE
    SET boot = excluded.boot, number = excluded.number
    WHERE (excluded.boot, excluded.number) > (boot, number)
"""


class SqliteLedger:
    """Implements `deploy.ports.ledger.Ledger`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock

    def append(self, entries: Sequence[AnyEntry], *, after: int) -> tuple[Line, ...]:
        with self._writing() as opened:
            found = opened.execute("SELECT number, chain FROM line ORDER BY number DESC LIMIT 1").fetchone()
            newest, before = (0, BEGINNING) if found is None else (found[0], Digest(found[1]))
            if newest != after:
                raise Outrun(
                    f"somebody decided meanwhile: the ledger is at line {newest}, this was decided after "
                    f"line {after}; try again"
                )
            made = chain.extend(entries, self._clock.now(), newest, before)
            rows = [(written.number, written.body, written.chain) for written, _ in made]
            opened.executemany("INSERT INTO line VALUES (?, ?, ?)", rows)
        return tuple(line for _, line in made)

    def lines(self, after: int = 0) -> tuple[Line, ...]:
        """Verified against the line before the first of them.

        Raises:
            StoreFailed: the disk refused, or a line is not what was written.
        """
        written = self.written(max(after - 1, 0))
        known = written[:1] if after > 0 else ()
        if after > 0 and (not known or known[0].number != after):
            raise StoreFailed(f"{self._path} has lost line {after}, which stood there before")
        number, before = (known[0].number, known[0].chain) if known else (0, str(BEGINNING))
        new = written[len(known) :]
        if fault := chain.first_fault(new, number, before):
            raise StoreFailed(f"{self._path} was changed: {fault.words}; shoal audit verify says more")
        try:
            return tuple(map(chain.read, new))
        except Malformed as error:
            raise StoreFailed(f"{self._path}: {error}") from error

    def written(self, after: int = 0) -> tuple[Written, ...]:
        """The lines as they stand on disk, unverified.

        Raises:
            StoreFailed: the disk refused.
        """
        found = self._read("SELECT number, body, chain FROM line WHERE number > ? ORDER BY number", after)
        return tuple(Written(number, body, link) for number, body, link in found)

    def keep(self, content: bytes) -> Digest:
        digest = sha256(content)
        with self._writing() as opened:
            opened.execute("INSERT OR IGNORE INTO content VALUES (?, ?)", (digest, zlib.compress(content, 1)))
        return digest

    def content(self, digest: Digest) -> bytes | None:
        """
        Raises:
            StoreFailed: what is kept is no longer what its name says.
        """
        found = self._read("SELECT packed FROM content WHERE digest = ?", digest)
        if not found:
            return None
        try:
            content = zlib.decompress(found[0][0])
        except zlib.error as error:
            raise StoreFailed(f"{self._path}: {digest[:12]} is damaged ({error})") from error
        if sha256(content) != digest:
            raise StoreFailed(f"{self._path}: what is kept as {digest[:12]} was changed")
        return content

    def sizes(self) -> Mapping[Digest, int]:
        return {Digest(name): size for name, size in self._read("SELECT digest, length(packed) FROM content")}

    def forget(self, digests: Collection[Digest]) -> None:
        """What they took is room for what is kept next; the file grows no smaller."""
        if digests:
            with self._writing() as opened:
                opened.executemany("DELETE FROM content WHERE digest = ?", [(each,) for each in digests])

    def marks(self) -> Mapping[DeviceId, tuple[int, int]]:
        found = self._read("SELECT device, boot, number FROM mark")
        return {DeviceId(device): (boot, number) for device, boot, number in found}

    def mark(self, marks: Mapping[DeviceId, tuple[int, int]]) -> None:
        """Marks only ever move forward."""
        if marks:
            with self._writing() as opened:
                opened.executemany(_FORWARD, [(device, *mark) for device, mark in marks.items()])

    def _read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        if not self._path.exists():
            return []
        with self._opened("cannot be read", READ_S) as opened:
            return opened.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it, or nothing where the block raises."""
        with self._opened("cannot be written, and nothing was decided", BUSY_S) as opened:
            opened.execute("BEGIN IMMEDIATE")
            try:
                yield opened
                opened.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself where the disk is full.
                if opened.in_transaction:
                    opened.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _opened(self, otherwise: str, wait_s: float) -> Iterator[sqlite3.Connection]:
        try:
            if not self._path.exists():
                self._path.touch(mode=0o600)
            with contextlib.closing(
                sqlite3.connect(self._path, timeout=wait_s, isolation_level=None)
            ) as opened:
                opened.execute("PRAGMA synchronous = EXTRA")
                _prepare(opened)
                yield opened
        except (sqlite3.Error, OSError) as error:
            words = fault(error, self._path, "put a copy of it back")
            raise StoreFailed(f"the ledger {self._path} {otherwise}: {words}") from error


def _prepare(opened: sqlite3.Connection) -> None:
    """Made once; a second process that does the same meanwhile finds it there."""
    if opened.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()[0] < 3:
        opened.executescript(_SCHEMA)
