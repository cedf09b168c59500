from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.core.page import series_query
from deploy.core.page.series import REST, Against, Drift
from deploy.core.page.series_query import DAY_S, HOUR_S, LABELS_SHOWN, POINTS_MAX, Compared, Steps, steps
from deploy.core.page.series_sums import RELEASES_MAX, Answered, Counted, Heard, Piece, census
from tests.fakes.windows import sketch

NOW = datetime(2026, 11, 22, 15, 30, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("back", "step_s"),
    [
        (timedelta(minutes=10), 60),
        (timedelta(hours=2), 60),
        (timedelta(hours=6), 300),
        (timedelta(hours=24), 900),
        (timedelta(days=6), 3_600),
        (timedelta(days=30), 21_600),
        (timedelta(days=90), 86_400),
    ],
)
def test_a_range_is_cut_as_finely_as_what_is_kept_and_a_chart_allow(back, step_s):
    grid = steps(NOW - back, NOW, 60)
    assert grid.step_s == step_s
    assert grid.since <= (NOW - back).timestamp()


def test_steps_are_no_finer_than_what_is_kept():
    assert steps(NOW - timedelta(hours=2), NOW, 3_600).step_s == 3_600


@given(st.integers(1, 200 * DAY_S), st.integers(0, 90 * DAY_S))
def test_whatever_is_asked_for_the_steps_are_few_and_cover_it(length_s, ago_s):
    until = NOW - timedelta(seconds=ago_s)
    grid = steps(until - timedelta(seconds=length_s), until, 60)
    assert 1 <= len(grid.at) <= POINTS_MAX
    assert grid.place(grid.until - 1) == len(grid.at) - 1


GRID = Steps(0, 180, 60)


def test_percentiles_are_of_the_merged_sketches_by_release_and_hardware():
    pieces = (
        Piece(0, "cats@1", "rpi5/cpu", sketch(*[10.0] * 90)),
        Piece(0, "cats@1", "rpi3/cpu", sketch(*[80.0] * 10)),
        Piece(120, "cats@1", "rpi5/cpu", sketch(*[10.0] * 10)),
        Piece(120, "cats@2", "rpi5/cpu", sketch(*[15.0] * 10)),
    )
    told = series_query.latency("invoke", GRID, pieces)
    assert told.at == (0, 60, 120)
    assert [(line.release, line.hardware, line.count) for line in told.lines] == [
        ("cats@1", "rpi3/cpu", 10),
        ("cats@1", "rpi5/cpu", 100),
        ("cats@2", "rpi5/cpu", 10),
    ]
    everything = told.everything
    assert everything.counts == (100, 0, 20)
    assert everything.p50[1] is None
    assert everything.p50[0] == pytest.approx(10.0, rel=0.011)
    assert everything.p95[0] == pytest.approx(80.0, rel=0.011)


def test_of_nothing_there_are_no_lines():
    told = series_query.latency("invoke", GRID, ())
    assert (told.lines, told.everything) == ((), None)


def answered(**labels):
    return Answered(windows=1, frames=sum(labels.values()), labels=labels)


def against(found):
    return Compared(Steps(0, 3_600, 3_600), Against.GIVEN, (Heard(0, found),))


def by_hour(labels_of):
    return tuple(Heard(hour * HOUR_S, answered(**labels_of(hour))) for hour in range(24))


def test_an_hour_is_held_against_the_same_hour_of_the_first_day_and_a_day_against_the_whole():
    def labels_of(hour):
        return {"nobody": 700, "cat": 300} if hour < 12 else {"nobody": 300, "cat": 700}

    first = Compared(Steps(0, DAY_S, HOUR_S), Against.SAME_HOURS, by_hour(labels_of))
    tomorrow = 2 * DAY_S
    night = Steps(tomorrow + 3 * HOUR_S, tomorrow + 4 * HOUR_S, HOUR_S)
    told = series_query.classes("cats@1", night, (Heard(night.since, answered(nobody=700, cat=300)),), first)
    assert (told.psi_whole, told.psi, told.reference.frames) == (0.0, (0.0,), 1_000)
    assert told.reference.kind is Against.SAME_HOURS
    whole = Steps(tomorrow, tomorrow + DAY_S, HOUR_S)
    heard = [Heard(tomorrow + one.at, one.answered) for one in first.heard]
    told = series_query.classes("cats@1", whole, heard, first)
    assert (told.drift, told.psi_whole, told.reference.frames) == (Drift.STEADY, 0.0, 24_000)
    assert set(told.psi) == {0.0}
    assert told.reference.kind is Against.FIRST_DAY


def test_classes_are_shares_over_time_with_their_drift_step_by_step():
    heard = (Heard(0, answered(cat=900, dog=100)), Heard(120, answered(cat=100, dog=900)))
    told = series_query.classes("cats@1", GRID, heard, against(answered(cat=9_000, dog=1_000)))
    assert told.frames == (1_000, 0, 1_000)
    assert [(line.label, line.whole, line.reference) for line in told.labels] == [
        ("cat", 0.5, 0.9),
        ("dog", 0.5, 0.1),
    ]
    assert told.labels[0].shares == (0.9, None, 0.1)
    assert told.psi[0] < 0.01
    assert told.psi[1] is None
    assert told.psi[2] > 1.0
    assert told.drift is Drift.DRIFTED


def test_a_label_that_is_gone_is_shown_and_the_rest_is_one_line():
    many = {f"label{n}": 10 for n in range(40)}
    told = series_query.classes("cats@1", GRID, (Heard(0, answered(**many)),), against(answered(gone=500)))
    assert told.labels[0].label == "gone"
    assert (told.labels[0].whole, told.labels[0].reference) == (0.0, 1.0)
    assert len(told.labels) == LABELS_SHOWN + 1
    assert told.labels[-1].label == REST
    assert sum(line.whole for line in told.labels) == pytest.approx(1.0)


def test_without_a_reference_nothing_is_said_of_drift():
    told = series_query.classes("cats@1", GRID, (Heard(0, answered(cat=1_000)),), None)
    assert (told.drift, told.psi_whole, told.reference) == (Drift.TOO_FEW, None, None)


def test_what_runs_is_told_by_release_as_it_was_last_counted_in_each_step():
    counted = (
        *(
            Counted(0, release, 10 - place)
            for place, release in enumerate(("a@1", "b@1", "c@1", "d@1", "e@1"))
        ),
        Counted(130, "a@1", 3),
        Counted(150, "a@1", 1),
        Counted(150, "e@1", 40),
    )
    told = series_query.running(GRID, counted)
    assert [(line.release, line.counts) for line in told.lines] == [
        ("e@1", (6, None, 40)),
        ("a@1", (10, None, 1)),
        ("b@1", (9, None, 0)),
        ("c@1", (8, None, 0)),
        (REST, (7, None, 0)),
    ]


@given(st.lists(st.sampled_from(["", *(f"cats@{number}" for number in range(40))])))
def test_a_census_counts_every_pipeline_once_under_few_names(running):
    found = census(running)
    assert sum(found.values()) == len(running)
    assert len(found) <= RELEASES_MAX + 1
