"""A database that cannot be had says what it is and what to do, whatever was done to it."""

import contextlib
import errno
import sqlite3

import pytest

from agent.adapters.clock_system import SystemClock
from agent.wire.errors import StoreFailed
from deploy.adapters import ledger_sqlite, sqlite_words
from deploy.adapters.ledger_sqlite import SqliteLedger
from deploy.core.rollouts.words import Renewed


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_sqlite, "READ_S", 0.01)
    monkeypatch.setattr(ledger_sqlite, "BUSY_S", 0.01)
    made = SqliteLedger(tmp_path / "ledger.sqlite", SystemClock())
    made.append((Renewed(timestamp=1),), after=0)
    return made


@contextlib.contextmanager
def held(path, lock):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(lock)
        yield


LOCKED = "another process keeps it locked: try again; fuser .*/ledger.sqlite names whoever has it open$"


def test_a_ledger_that_another_process_keeps_locked_is_said_and_goes_on_when_it_lets_go(ledger, tmp_path):
    with held(tmp_path / "ledger.sqlite", "BEGIN EXCLUSIVE"):
        with pytest.raises(StoreFailed, match=f"^the ledger .* cannot be read: {LOCKED}"):
            ledger.lines()
        with pytest.raises(StoreFailed, match=f"cannot be written, and nothing was decided: {LOCKED}"):
            ledger.append((Renewed(timestamp=2),), after=1)
    ledger.append((Renewed(timestamp=2),), after=1)
    assert len(ledger.lines()) == 2


def test_who_only_reads_does_not_wait_for_who_is_about_to_write(ledger, tmp_path):
    with held(tmp_path / "ledger.sqlite", "BEGIN IMMEDIATE"):
        assert len(ledger.lines()) == 1


def of_code(code):
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (of_code(sqlite3.SQLITE_FULL), "the disk is full: make room below /fleet"),
        (OSError(errno.ENOSPC, "No space left"), "the disk is full: make room below /fleet"),
        (of_code(sqlite3.SQLITE_READONLY_DIRECTORY), "as SQLite says it: let this user write to /fleet"),
        (OSError(errno.EROFS, "Read-only"), "[Errno 30] Read-only: let this user write to /fleet"),
        (of_code(sqlite3.SQLITE_NOTADB), "it is damaged (as SQLite says it): put a copy back"),
        (of_code(sqlite3.SQLITE_IOERR_READ), "as SQLite says it: see to the disk"),
        (sqlite3.ProgrammingError("without a code"), "without a code: see to the disk"),
    ],
)
def test_each_fault_has_its_remedy(error, words, tmp_path):
    path = tmp_path / "x.sqlite"
    assert sqlite_words.fault(error, path, "put a copy back") == words.replace("/fleet", str(tmp_path))
