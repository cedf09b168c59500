import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.wire.errors import StoreFailed
from agent.wire.topics import DeviceId
from deploy.adapters.ledger_sqlite import SqliteLedger
from deploy.core.rollouts import chain
from deploy.core.rollouts.words import Paused, Renewed
from deploy.ports.ledger import Outrun
from tests.fakes.clock import FakeClock

A = DeviceId("a")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path) -> SqliteLedger:
    return SqliteLedger(path, FakeClock())


def renewals(count):
    return [Renewed(timestamp=number) for number in range(count)]


def meddle(path, *statements):
    """As whoever holds the file can: the triggers go first."""
    with closing(sqlite3.connect(path, isolation_level=None)) as opened:
        for trigger in ("line_stays", "line_remains", "line_follows"):
            opened.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            opened.execute(statement)


def test_reading_a_ledger_that_was_never_written_makes_none(ledger, path):
    assert (ledger.lines(), dict(ledger.marks()), ledger.content("0" * 64)) == ((), {}, None)
    assert not path.exists()


def test_what_was_appended_is_read_again_by_another(ledger, path):
    made = ledger.append([Paused(rollout="r", why="a storm", by="ann"), *renewals(2)], after=0)
    assert [line.number for line in made] == [1, 2, 3]
    again = SqliteLedger(path, FakeClock())
    assert again.lines() == made
    assert again.lines(2) == made[2:]
    assert again.lines(3) == ()


def test_who_decided_by_an_older_state_is_told_and_nothing_is_written(ledger):
    ledger.append(renewals(2), after=0)
    with pytest.raises(Outrun, match="line 2, this was decided after line 1"):
        ledger.append(renewals(1), after=1)
    assert len(ledger.lines()) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE line SET chain = '' WHERE number = 1",
        "DELETE FROM line",
        "INSERT INTO line VALUES (9, x'', '')",
        "INSERT OR REPLACE INTO line VALUES (1, x'', '')",
    ],
)
def test_the_file_itself_refuses_all_but_the_next_line(ledger, path, statement):
    made = ledger.append(renewals(2), after=0)
    with closing(sqlite3.connect(path)) as opened, pytest.raises(sqlite3.IntegrityError, match="ledger"):
        opened.execute(statement)
    assert ledger.lines() == made


@pytest.mark.parametrize(
    ("statements", "number", "words"),
    [
        (
            ["UPDATE line SET body = CAST(replace(CAST(body AS TEXT), '1', '7') AS BLOB) WHERE number = 3"],
            3,
            "not what was written",
        ),
        (["UPDATE line SET chain = (SELECT chain FROM line WHERE number = 1) WHERE number = 2"], 2, "chain"),
        (["DELETE FROM line WHERE number = 2"], 2, "missing"),
        (["DELETE FROM line WHERE number = 1"], 1, "missing"),
        (
            [
                "UPDATE line SET number = 99 WHERE number = 2",
                "UPDATE line SET number = 2 WHERE number = 3",
                "UPDATE line SET number = 3 WHERE number = 99",
            ],
            2,
            "not what was written",
        ),
        (
            [
                "UPDATE line SET number = number + 100 WHERE number > 2",
                "INSERT INTO line SELECT 3, body, chain FROM line WHERE number = 2",
                "UPDATE line SET number = number - 99 WHERE number > 100",
            ],
            3,
            "not what was written",
        ),
    ],
    ids=["edited", "rechained", "deleted", "first-deleted", "swapped", "inserted"],
)
def test_the_first_line_that_was_changed_is_named(ledger, path, statements, number, words):
    ledger.append(renewals(5), after=0)
    assert chain.first_fault(ledger.written()) is None
    meddle(path, *statements)
    fault = chain.first_fault(ledger.written())
    assert fault is not None
    assert fault.number == number
    assert words in fault.words
    with pytest.raises(StoreFailed, match=f"line {number} "):
        ledger.lines()


def test_a_ledger_that_was_cut_short_is_noticed_by_who_read_it_before(ledger, path):
    ledger.append(renewals(3), after=0)
    meddle(path, "DELETE FROM line WHERE number = 3")
    with pytest.raises(StoreFailed, match="lost line 3"):
        ledger.lines(3)


def test_content_is_kept_once_and_a_changed_one_is_not_handed_out(ledger, path):
    digest = ledger.keep(b"a picture" * 100)
    assert ledger.keep(b"a picture" * 100) == digest
    assert ledger.content(digest) == b"a picture" * 100
    other = ledger.keep(b"another")
    with closing(sqlite3.connect(path, isolation_level=None)) as opened:
        opened.execute(
            "UPDATE content SET packed = (SELECT packed FROM content WHERE digest = ?) WHERE digest = ?",
            (other, digest),
        )
    with pytest.raises(StoreFailed, match="was changed"):
        ledger.content(digest)


def test_what_is_forgotten_makes_room_for_what_comes_next_and_the_lines_stay(ledger, path):
    made = ledger.append(renewals(3), after=0)
    contents = [random.Random(number).randbytes(200_000) for number in range(5)]
    kept = [ledger.keep(content) for content in contents[:3]]
    assert set(ledger.sizes()) == set(kept)
    assert all(200_000 < size < 201_000 for size in ledger.sizes().values())
    full_bytes = path.stat().st_size
    ledger.forget(kept[:2])
    assert (ledger.content(kept[0]), ledger.content(kept[2])) == (None, contents[2])
    for content in contents[3:]:
        ledger.keep(content)
    assert path.stat().st_size <= full_bytes + 8_192
    assert ledger.lines() == made
    assert chain.first_fault(ledger.written()) is None


def test_marks_only_move_forward(ledger):
    ledger.mark({A: (2, 5), DeviceId("b"): (1, 1)})
    ledger.mark({A: (1, 9)})
    ledger.mark({A: (2, 4)})
    assert ledger.marks()[A] == (2, 5)
    ledger.mark({A: (3, 0)})
    assert dict(ledger.marks()) == {A: (3, 0), DeviceId("b"): (1, 1)}


def test_a_file_that_is_no_ledger_is_refused_with_its_name(path):
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreFailed, match=r"ledger\.sqlite"):
        SqliteLedger(path, FakeClock()).lines()
