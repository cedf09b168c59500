from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.update import windows
from agent.wire.documents import MaintenanceWindow
from agent.wire.errors import ConfigError

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)


def at(day: int, clock: str) -> datetime:
    hours, minutes = clock.split(":")
    return MONDAY + timedelta(days=day, hours=int(hours), minutes=int(minutes))


@pytest.mark.parametrize(
    ("texts", "now", "opens"),
    [
        ([], at(0, "12:00"), at(0, "12:00")),
        (["mon 02:00-05:00"], at(0, "01:59"), at(0, "02:00")),
        (["mon 02:00-05:00"], at(0, "02:00"), at(0, "02:00")),
        (["mon 02:00-05:00"], at(0, "04:59"), at(0, "04:59")),
        (["mon 02:00-05:00"], at(0, "05:00"), at(7, "02:00")),
        (["sun 22:00-06:00"], at(0, "05:59"), at(0, "05:59")),  # begun on the Sunday before
        (["sun 22:00-06:00"], at(0, "06:00"), at(6, "22:00")),
        (["fri-mon 22:00-23:00"], at(1, "00:00"), at(4, "22:00")),
        (["tue,thu 08:00-09:00", "wed 08:00-09:00"], at(1, "10:00"), at(2, "08:00")),
        (["daily 00:00-00:00"], at(3, "17:23"), at(3, "17:23")),
        (["sat 00:00-00:00"], at(5, "23:59"), at(5, "23:59")),
        (["sat 00:00-00:00"], at(6, "00:00"), at(12, "00:00")),
    ],
)
def test_a_window_opens_on_its_days_and_may_end_after_midnight(texts, now, opens):
    assert windows.opens([windows.parse(text) for text in texts], now) == opens


@pytest.mark.parametrize(
    ("plan", "own", "now", "opens"),
    [
        ([], [], at(0, "12:00"), at(0, "12:00")),
        (["daily 02:00-05:00"], ["daily 04:00-08:00"], at(0, "00:00"), at(0, "04:00")),
        (["daily 02:00-05:00"], ["daily 04:00-08:00"], at(0, "06:00"), at(1, "04:00")),
        (["mon-fri 02:00-05:00"], ["sat,sun 00:00-00:00"], at(0, "00:00"), None),
        (["sun 23:00-03:00"], ["mon 01:00-02:00"], at(2, "00:00"), at(7, "01:00")),
        ([], ["wed 10:00-11:00"], at(0, "00:00"), at(2, "10:00")),
    ],
)
def test_an_update_begins_where_the_plans_and_the_devices_windows_are_open_together(plan, own, now, opens):
    rules = [[windows.parse(text) for text in texts] for texts in (plan, own)]
    assert windows.opens_all(rules, now) == opens


WINDOWS = st.lists(
    st.builds(
        MaintenanceWindow,
        days=st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True).map(tuple),
        start_minute=st.integers(0, 1439),
        minutes=st.integers(1, 1440),
    ),
    min_size=1,
    max_size=3,
)


@given(WINDOWS, st.integers(0, 10_079))
def test_a_window_is_closed_up_to_the_instant_at_which_it_opens(rules, minute):
    now = MONDAY + timedelta(minutes=minute)
    opens = windows.opens(rules, now)
    assert now <= opens <= now + timedelta(days=8)
    assert windows.opens(rules, opens) == opens
    if opens > now:
        before = opens - timedelta(minutes=1)
        assert windows.opens(rules, before) == opens
    assert windows.opens(rules, now + timedelta(days=7)) == opens + timedelta(days=7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mon-fri 02:00-05:00", MaintenanceWindow(days=(0, 1, 2, 3, 4), start_minute=120, minutes=180)),
        ("sat-mon 22:30-06:00", MaintenanceWindow(days=(0, 5, 6), start_minute=1350, minutes=450)),
        (" Daily 00:00-00:00 ", MaintenanceWindow(days=tuple(range(7)), start_minute=0, minutes=1440)),
    ],
)
def test_windows_are_written_as_people_write_them(text, expected):
    assert windows.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "02:00-05:00", "mon", "mon 2:00-5:00", "mon 24:00-25:00", "moon 02:00-05:00", "mon- 02:00-05:00",
     "mon 02:00 05:00", "mon,, 02:00-05:00", "mon 02:60-05:00"],
)  # fmt: skip
def test_what_is_no_window_is_refused_with_an_example(text):
    with pytest.raises(ConfigError, match="write it as 'mon-fri 02:00-05:00'"):
        windows.parse(text)
