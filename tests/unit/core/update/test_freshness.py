from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.update import freshness
from agent.core.update.freshness import DAWN, Mark

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis takes naive bounds
KEYS = st.frozensets(st.sampled_from("abc"), min_size=1)
MARKS = st.builds(Mark, issued=INSTANTS, keys=KEYS.map(tuple))


@pytest.mark.parametrize(
    ("now", "floor", "mark", "expected"),
    [
        (NOON, None, None, NOON),
        (NOON, NOON - DAY, Mark(issued=NOON - DAY, keys=("a",)), NOON),
        (NOON - 730 * DAY, None, None, DAWN),  # the program did not exist
        (NOON - DAY, NOON, None, NOON),  # the root was signed already
        (NOON - DAY, None, Mark(issued=NOON, keys=("a",)), NOON),
        (NOON - DAY, None, Mark(issued=NOON, keys=("b",)), NOON - DAY),  # that key is gone
        (NOON - DAY, None, Mark(issued=NOON, keys=("a", "b")), NOON - DAY),  # one of them is
    ],
)
def test_expiry_is_judged_by_the_latest_instant_that_is_vouched_for(now, floor, mark, expected):
    assert freshness.reference(now, floor, mark, ["a"]) == expected


@pytest.mark.parametrize(
    ("mark", "issued", "synchronized", "expected"),
    [
        (None, None, True, None),
        (None, NOON - DAY, True, NOON - DAY),
        (None, NOON + DAY, True, NOON),  # not past a clock that is right
        (None, NOON + DAY, False, NOON + DAY),  # but past one that may be slow
        (NOON - DAY, NOON - 2 * DAY, True, NOON - DAY),
        (NOON - DAY, None, True, NOON - DAY),
    ],
)
def test_the_mark_moves_forward_with_signed_instants(mark, issued, synchronized, expected):
    before = None if mark is None else Mark(issued=mark, keys=("a",))
    after = freshness.learn(before, issued, ["a"], NOON, synchronized=synchronized)
    assert after == (None if expected is None else Mark(issued=expected, keys=("a",)))


def test_a_mark_of_retired_keys_is_replaced_even_by_an_earlier_one():
    before = Mark(issued=NOON + 365 * DAY, keys=("old",))
    after = freshness.learn(before, NOON, ["new"], NOON, synchronized=False)
    assert after == Mark(issued=NOON, keys=("new",))


@given(MARKS, INSTANTS, INSTANTS, st.booleans())
def test_with_the_same_keys_a_mark_never_goes_back(mark, issued, now, synchronized):
    after = freshness.learn(mark, issued, mark.keys, now, synchronized=synchronized)
    assert after.issued >= mark.issued


@given(MARKS, INSTANTS, INSTANTS, KEYS)
def test_the_reference_is_never_before_the_clock_or_the_floor(mark, now, floor, keys):
    assert freshness.reference(now, floor, mark, keys) >= max(now, floor, DAWN)


@given(INSTANTS)
def test_a_signed_instant_is_read_back_to_the_second(at):
    assert freshness.issued_in(freshness.issued_field(at)) == at.replace(microsecond=0)


@pytest.mark.parametrize(
    "value", [None, 5, "", "yesterday", "2026-06-01T12:00:00", "2026-06-01T12:00:00+02:00", ["x"]]
)
def test_what_is_no_instant_says_nothing(value):
    assert freshness.issued_in({freshness.ISSUED: value}) is None
    assert freshness.issued_in({}) is None


@pytest.mark.parametrize(
    ("last", "expected"),
    [(None, False), (NOON, False), (NOON + timedelta(minutes=4), False), (NOON + timedelta(minutes=6), True)],
)
def test_a_signature_far_ahead_of_the_clock_is_noticed(last, expected):
    assert freshness.ahead(last, NOON) is expected
