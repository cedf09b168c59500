import sqlite3

import pytest

from agent.wire.errors import StoreFailed
from deploy.adapters.series_sqlite import SqliteSeries
from deploy.core.page.series_sums import Counted, Sums
from deploy.ports.series import DAY_S, HOURS_KEPT_S, MINUTES_KEPT_S, Span, Wanted
from tests.fakes.windows import window

HOUR = 1_790_002_800
"""A full hour."""


@pytest.fixture
def series(tmp_path):
    return SqliteSeries(tmp_path / "series.sqlite")


def sums(*windows):
    summed = Sums()
    for one in windows:
        summed.add(one)
    return summed


def of(span, since=0, until=2**40, release="cats@1"):
    return Wanted(span, since, until, release)


def counts(series, span, **asked):
    return [(piece.at, piece.durations.count) for piece in series.durations(of(span, **asked), "invoke")]


def test_minutes_and_hours_are_merged_with_what_was_there(series):
    series.add({HOUR: sums(window(10.0, 20.0))}, HOUR)
    series.add({HOUR: sums(window(30.0)), HOUR + 60: sums(window(40.0))}, HOUR + 60)
    assert counts(series, Span.MINUTE) == [(HOUR, 3), (HOUR + 60, 1)]
    assert counts(series, Span.FIVE_MINUTES) == [(HOUR, 4)]
    assert counts(series, Span.HOUR) == [(HOUR, 4)]
    [whole] = series.answers(of(Span.HOUR))
    assert (whole.answered.windows, whole.answered.labels) == (3, {"cat": 4})


def test_what_is_asked_for_is_given_by_range_release_and_hardware(series):
    series.add(
        {
            HOUR: sums(window(1.0), window(2.0, release="cats@2"), window(3.0, hardware="rpi3")),
            HOUR + 60: sums(window(4.0)),
        },
        HOUR,
    )
    assert counts(series, Span.MINUTE, since=HOUR + 60) == [(HOUR + 60, 1)]
    assert counts(series, Span.MINUTE, until=HOUR + 60, release="cats@2") == [(HOUR, 1)]
    assert len(series.durations(Wanted(Span.MINUTE, 0, HOUR + 1), "age")) == 3
    only = Wanted(Span.MINUTE, 0, HOUR + 1, hardware="rpi3/xnnpack")
    assert [piece.hardware for piece in series.durations(only, "age")] == ["rpi3/xnnpack"]


def test_minutes_are_kept_for_a_day_and_hours_for_ninety(series):
    series.add({HOUR: sums(window(1.0))}, HOUR)
    series.add({HOUR + 60: sums(window(1.0))}, HOUR + MINUTES_KEPT_S + 60)
    assert counts(series, Span.MINUTE) == [(HOUR + 60, 1)]
    assert counts(series, Span.HOUR) == [(HOUR, 2)]
    later = HOUR + HOURS_KEPT_S + Span.HOUR
    series.add({later: sums(window(1.0, release="cats@2"))}, later)
    assert counts(series, Span.HOUR) == []
    assert series.names().releases == ("cats@2",)


def test_a_release_keeps_its_first_day_as_long_as_it_is_heard(series):
    for day in (0, 1, 2, 100):
        at = HOUR + day * DAY_S
        series.add({at: sums(window(1.0))}, at)
    assert [heard.at for heard in series.answers(of(Span.HOUR))] == [HOUR, HOUR + 100 * DAY_S]
    assert series.began("cats@1") == HOUR


def test_the_file_stays_within_its_bound_and_the_oldest_goes_first(tmp_path):
    limit_bytes = 120_000
    bounded = SqliteSeries(tmp_path / "series.sqlite", limit_bytes)
    wide = [0.01 * 1.05 ** (n * 7 % 300) for n in range(300)]
    same = sums(window(*wide), window(*wide, release="cats@2"))
    for minute in range(0, 6 * 60, 9):
        at = HOUR + 60 * minute
        bounded.add({at: same}, at)
        assert bounded.used_bytes() <= limit_bytes
    left = [at for at, _ in counts(bounded, Span.MINUTE)]
    assert left
    assert left[0] > HOUR
    assert left[-1] == HOUR + 60 * 351
    assert [at for at, _ in counts(bounded, Span.HOUR)] == [HOUR + Span.HOUR * n for n in range(6)]
    assert (tmp_path / "series.sqlite").stat().st_size < 2 * limit_bytes


def test_names_are_told_the_most_lately_heard_first(series):
    series.add({HOUR: sums(window(release="old@1", hardware="rpi3"))}, HOUR)
    series.add({HOUR + 3_600: sums(window(release="new@1"))}, HOUR + 3_600)
    names = series.names()
    assert (names.releases, names.hardware) == (("new@1", "old@1"), ("rpi5/xnnpack", "rpi3/xnnpack"))
    assert names.since == HOUR


def test_of_a_file_that_was_never_written_nothing_is_known(series):
    assert series.names().releases == ()
    assert series.durations(of(Span.HOUR), "invoke") == ()
    assert (series.began("cats@1"), series.used_bytes()) == (None, 0)


def test_a_file_that_is_none_is_said_with_its_remedy(tmp_path):
    path = tmp_path / "series.sqlite"
    path.write_bytes(b"this is no database " * 100)
    with pytest.raises(StoreFailed, match=r"it is damaged .*: move it away, and it is begun anew$"):
        SqliteSeries(path).add({HOUR: sums(window())}, HOUR)


def test_a_damaged_row_is_said_and_nothing_of_what_was_to_be_added_is(series, tmp_path):
    series.add({HOUR: sums(window())}, HOUR)
    with sqlite3.connect(tmp_path / "series.sqlite") as opened:
        opened.execute("UPDATE sketch SET packed = x'00' WHERE span = 3600 AND stage = 'age'")
    opened.close()
    with pytest.raises(StoreFailed, match="damaged"):
        series.add({HOUR: sums(window(number=1))}, HOUR)
    assert counts(series, Span.MINUTE) == [(HOUR, 1)]


def test_what_runs_is_kept_as_it_was_counted_last_in_each_span(series):
    series.count(HOUR, {"cats@1": 5})
    series.count(HOUR + 30, {"cats@1": 3, "cats@2": 2})
    series.count(HOUR + 60, {"cats@2": 5})
    minutes = series.counted(of(Span.MINUTE))
    assert minutes == (
        Counted(HOUR, "cats@1", 3),
        Counted(HOUR, "cats@2", 2),
        Counted(HOUR + 60, "cats@2", 5),
    )
    assert series.counted(of(Span.HOUR)) == (Counted(HOUR, "cats@2", 5),)
    series.count(HOUR + HOURS_KEPT_S + 3_600, {"cats@2": 6})
    assert [each.pipelines for span in Span for each in series.counted(of(span))] == [6, 6, 6]
