"""Measurements over time in one SQLite file beside the ledger.

How large it grows: a row is one release on one hardware class in one stage, packed in 100 to 400 bytes, 600
at most with its indices where durations spread over two decades. Of 1,440 minutes, 576 times five and 2,160
hours, six stages and PLACES_MAX = 16 pairs that is 400,896 rows, 240 MB; a fleet of two classes that runs two
releases has a quarter of the pairs and needs 60 MB. What nobody foresaw is bounded by `limit_bytes`: beyond
it the oldest minutes go, and then the oldest hours. The file never shrinks; what is freed is used again.

Each operation opens the file and closes it, as with the ledger. Measurements are no decisions: what a power
cut costs of them is lost.
"""

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.wire.errors import Malformed, StoreFailed
from deploy.adapters.sqlite_words import fault
from deploy.core.page.series_sums import Answered, Counted, Heard, Piece, Pile, Sums, pack, unpack
from deploy.ports.series import (
    DAY_S,
    HOURS_KEPT_S,
    KEPT_S,
    Names,
    Span,
    Wanted,
)

BUSY_S: Final = 10.0
LIMIT_BYTES: Final = 512 * 1024 * 1024
RELEASES_KEPT: Final = 1_024
HARDWARE_NAMED: Final = 64
ANEW: Final = "move it away, and it is begun anew"

_SCHEMA: Final = """
PRAGMA application_id = 1936224371;
CREATE TABLE IF NOT EXISTS sketch
    (span INTEGER, stage TEXT, at INTEGER, release TEXT, hardware TEXT, packed BLOB NOT NULL,
     PRIMARY KEY (span, stage, at, release, hardware)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answer
    (span INTEGER, release TEXT, at INTEGER, packed BLOB NOT NULL,
     PRIMARY KEY (span, release, at)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS census
    (span INTEGER, at INTEGER, release TEXT, pipelines INTEGER NOT NULL,
     PRIMARY KEY (span, at, release)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS release
    (name TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""
_ONE_SKETCH: Final = """
SELECT packed FROM sketch WHERE span = ? AND stage = ? AND at = ? AND release = ? AND hardware = ?
"""
_HEARD: Final = """
INSERT INTO release VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET last = max(last, excluded.last)
"""
_FORGET_ANSWERS: Final = """
DELETE FROM answer WHERE span = ? AND at < ? AND NOT EXISTS
    (SELECT 1 FROM release WHERE release.name = answer.release AND answer.at < release.first + ?)
"""


class SqliteSeries:
    """Implements `deploy.ports.series.Series`."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._path, self._limit_bytes = path, limit_bytes

    def add(self, by_minute: Mapping[int, Sums], now: int) -> None:
        with self._opened() as opened:
            opened.execute("BEGIN IMMEDIATE")
            for minute, sums in by_minute.items():
                for span in Span:
                    _add_sketches(opened, span, minute - minute % span, sums)
                    _add_answers(opened, span, minute - minute % span, sums)
                _name(opened, minute, sums)
            _forget(opened, now)
            _shrink(opened, self._limit_bytes)
            opened.execute("COMMIT")

    def durations(self, wanted: Wanted, stage: str) -> tuple[Piece, ...]:
        found = self._read(
            "SELECT at, release, hardware, packed FROM sketch WHERE span = ? AND stage = ? "
            "AND at >= ? AND at < ? AND release = coalesce(?, release) AND hardware = coalesce(?, hardware) "
            "ORDER BY at",
            (wanted.span, stage, wanted.since, wanted.until, wanted.release, wanted.hardware),
        )
        return tuple(Piece(at, release, hardware, unpack(blob)) for at, release, hardware, blob in found)

    def answers(self, wanted: Wanted) -> tuple[Heard, ...]:
        found = self._read(
            "SELECT at, packed FROM answer WHERE span = ? AND release = ? AND at >= ? AND at < ? ORDER BY at",
            (wanted.span, wanted.release, wanted.since, wanted.until),
        )
        return tuple(Heard(at, _unpacked(blob)) for at, blob in found)

    def began(self, release: str) -> int | None:
        found = self._read("SELECT first FROM release WHERE name = ?", (release,))
        return int(found[0][0]) if found else None

    def count(self, at: int, running: Mapping[str, int]) -> None:
        with self._opened() as opened:
            opened.execute("BEGIN IMMEDIATE")
            for span, kept_s in KEPT_S.items():
                begun = at - at % span
                opened.execute("DELETE FROM census WHERE span = ? AND at = ?", (span, begun))
                rows = [(span, begun, release, pipelines) for release, pipelines in running.items()]
                opened.executemany("INSERT INTO census VALUES (?, ?, ?, ?)", rows)
                opened.execute("DELETE FROM census WHERE span = ? AND at < ?", (span, at - kept_s))
            opened.execute("COMMIT")

    def counted(self, wanted: Wanted) -> tuple[Counted, ...]:
        found = self._read(
            "SELECT at, release, pipelines FROM census WHERE span = ? AND at >= ? AND at < ? ORDER BY at",
            (wanted.span, wanted.since, wanted.until),
        )
        return tuple(Counted(at, release, pipelines) for at, release, pipelines in found)

    def names(self) -> Names:
        releases = self._read("SELECT name FROM release ORDER BY last DESC, name", ())
        hardware = self._read(
            "SELECT hardware FROM sketch WHERE span = ? AND stage = 'invoke' "
            "GROUP BY hardware ORDER BY max(at) DESC, hardware LIMIT ?",
            (Span.HOUR, HARDWARE_NAMED),
        )
        [[since]] = self._read("SELECT min(at) FROM answer WHERE span = 3600", ()) or [[None]]
        return Names(tuple(name for (name,) in releases), tuple(name for (name,) in hardware), since)

    def used_bytes(self) -> int:
        if not self._path.exists():
            return 0
        with self._opened() as opened:
            return _used_bytes(opened)

    def _read(self, query: str, values: tuple[object, ...]) -> list[Any]:
        if not self._path.exists():
            return []
        with self._opened() as opened:
            return opened.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """What is not committed is rolled back when it closes."""
        try:
            if not self._path.exists():
                self._path.touch(mode=0o600)
            with contextlib.closing(
                sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
            ) as opened:
                if not opened.execute("SELECT 1 FROM sqlite_master WHERE name = 'census'").fetchone():
                    opened.executescript(_SCHEMA)
                yield opened
        except Malformed as error:
            raise StoreFailed(f"{self._cannot} it is damaged ({error}): {ANEW}") from error
        except (sqlite3.Error, OSError) as error:
            raise StoreFailed(f"{self._cannot} {fault(error, self._path, ANEW)}") from error

    @property
    def _cannot(self) -> str:
        return f"the measurements in {self._path} cannot be kept or read:"


def _add_sketches(opened: sqlite3.Connection, span: Span, at: int, sums: Sums) -> None:
    for place, stage, durations in sums.sketches():
        key = (span, stage, at, place.release, place.hardware)
        found = opened.execute(_ONE_SKETCH, key).fetchone()
        pile = Pile()
        pile.add(durations)
        if found is not None:
            pile.add(unpack(found[0]))
        opened.execute(
            "INSERT OR REPLACE INTO sketch VALUES (?, ?, ?, ?, ?, ?)", (*key, pack(pile.document()))
        )


def _add_answers(opened: sqlite3.Connection, span: Span, at: int, sums: Sums) -> None:
    for release, answered in sums.answers.items():
        key = (span, release, at)
        found = opened.execute(
            "SELECT packed FROM answer WHERE span = ? AND release = ? AND at = ?", key
        ).fetchone()
        whole = Answered() if found is None else _unpacked(found[0])
        whole.add(answered)
        content = zlib.compress(msgspec.msgpack.encode(whole), 1)
        opened.execute("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?)", (*key, content))


def _unpacked(content: bytes) -> Answered:
    try:
        return msgspec.msgpack.decode(zlib.decompress(content), type=Answered)
    except (zlib.error, msgspec.DecodeError) as error:
        raise Malformed(f"kept answers are damaged: {error}") from error


def _name(opened: sqlite3.Connection, minute: int, sums: Sums) -> None:
    opened.executemany(_HEARD, [(release, minute, minute) for release in sums.answers])


def _forget(opened: sqlite3.Connection, now: int) -> None:
    for span, kept_s in KEPT_S.items():
        for (stage,) in opened.execute(
            "SELECT DISTINCT stage FROM sketch WHERE span = ?", (span,)
        ).fetchall():
            # Each stage by itself: so the primary key finds what is old without reading what is not.
            opened.execute(
                "DELETE FROM sketch WHERE span = ? AND stage = ? AND at < ?", (span, stage, now - kept_s)
            )
    for span in (Span.MINUTE, Span.FIVE_MINUTES):
        opened.execute("DELETE FROM answer WHERE span = ? AND at < ?", (span, now - KEPT_S[span]))
    opened.execute("DELETE FROM release WHERE last < ?", (now - HOURS_KEPT_S,))
    opened.execute(
        "DELETE FROM release WHERE name NOT IN (SELECT name FROM release ORDER BY last DESC LIMIT ?)",
        (RELEASES_KEPT,),
    )
    opened.execute(_FORGET_ANSWERS, (Span.HOUR, now - HOURS_KEPT_S, DAY_S))


def _shrink(opened: sqlite3.Connection, limit_bytes: int) -> None:
    """An hour of what is finer at a time, then a day of hours, until what is left fits."""
    for below, at_once in ((Span.HOUR, Span.HOUR), (Span.HOUR + 1, DAY_S)):
        while _used_bytes(opened) > limit_bytes:
            (oldest,) = opened.execute("SELECT min(at) FROM sketch WHERE span < ?", (below,)).fetchone()
            if oldest is None:
                break
            for table in ("sketch", "answer", "census"):
                opened.execute(
                    f"DELETE FROM {table} WHERE span < ? AND at < ?",  # noqa: S608 - one of the three above
                    (below, oldest + at_once),
                )


def _used_bytes(opened: sqlite3.Connection) -> int:
    pages, free, size = (
        opened.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
