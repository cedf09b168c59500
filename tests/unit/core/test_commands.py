from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core import commands
from agent.core.commands import SKEW, WINDOW_S, Allowance, Judge, Memory, Refused
from agent.wire.commands import IN_WORDS, LIFE_MAX, Command, Log, Refusal

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
S = timedelta(seconds=1)
HERE = Judge(device="pi", pipelines=frozenset({"main", "door"}), now=NOW, clock_trusted=True, stale="")
ASKED = Command(
    id="ab" * 16, device="pi", issued_at=NOW - 5 * S, expires_at=NOW + 60 * S, action=Log(lines=1)
)


def judge(**changed):
    fields = {name: getattr(HERE, name) for name in ("device", "pipelines", "now", "clock_trusted", "stale")}
    return Judge(**(fields | changed))


def test_a_timely_command_for_this_device_is_remembered_until_it_expires():
    assert commands.admit(ASKED, Memory(), HERE) == Memory(ids={ASKED.id: ASKED.expires_at})


@pytest.mark.parametrize(
    ("changed", "circumstances", "reason"),
    [
        ({"device": "other"}, {}, Refusal.OTHER_DEVICE),
        ({"pipeline": "window"}, {}, Refusal.NO_SUCH_PIPELINE),
        ({}, {"stale": "it expired yesterday"}, Refusal.STALE),
        ({}, {"clock_trusted": False}, Refusal.CLOCK),
        ({"expires_at": NOW}, {}, Refusal.EXPIRED),
        ({}, {"now": NOW + 60 * S}, Refusal.EXPIRED),
        ({"issued_at": NOW + SKEW + S, "expires_at": NOW + SKEW + 2 * S}, {}, Refusal.FROM_THE_FUTURE),
        ({"expires_at": ASKED.issued_at + LIFE_MAX + S}, {}, Refusal.TOO_LONG),
        ({"expires_at": ASKED.issued_at}, {}, Refusal.TOO_LONG),
        ({"expires_at": ASKED.issued_at - S}, {}, Refusal.TOO_LONG),
    ],
)
def test_what_is_not_obeyed_is_told_why(changed, circumstances, reason):
    verdict = commands.admit(replace(ASKED, **changed), Memory(), judge(**circumstances))
    assert isinstance(verdict, Refused)
    assert verdict.reason is reason


@pytest.mark.parametrize(
    "changed",
    [
        {"pipeline": "door"},
        {"issued_at": NOW + SKEW, "expires_at": NOW + SKEW + S},
        {"expires_at": ASKED.issued_at + LIFE_MAX},
    ],
)
def test_the_limits_themselves_are_within(changed):
    assert isinstance(commands.admit(replace(ASKED, **changed), Memory(), HERE), Memory)


def test_a_memory_that_cannot_be_read_refuses_all_that_may_have_been_in_it():
    memory = commands.lost(NOW)
    at_most = replace(ASKED, issued_at=NOW + SKEW, expires_at=NOW + SKEW + LIFE_MAX)
    assert commands.admit(at_most, memory, HERE).reason is Refusal.EXPIRED
    later = judge(now=NOW + SKEW + S)
    fresh = replace(ASKED, issued_at=later.now, expires_at=later.now + LIFE_MAX)
    assert isinstance(commands.admit(fresh, memory, later), Memory)


SECONDS = st.integers(-900, 900).map(lambda seconds: seconds * S)
COMMANDS = st.builds(
    lambda number, issued, life: replace(
        ASKED, id=f"{number:032x}", issued_at=NOW + issued, expires_at=NOW + issued + life
    ),
    st.integers(0, 3),
    SECONDS,
    st.integers(1, 600).map(lambda seconds: seconds * S),
)


@given(
    st.lists(st.tuples(COMMANDS, SECONDS), max_size=30),
    COMMANDS,
)
def test_no_command_is_obeyed_twice_however_the_clock_jumps(traffic, replayed):
    memory, obeyed = Memory(), 0
    for command, offset in [*traffic, (replayed, timedelta(0)), *traffic, (replayed, timedelta(0))]:
        verdict = commands.admit(command, memory, judge(now=NOW + offset))
        if isinstance(verdict, Memory):
            memory = verdict
            obeyed += command == replayed
    assert obeyed <= 1


@given(st.lists(COMMANDS, max_size=40))
def test_what_has_expired_is_forgotten(traffic):
    memory, now = Memory(), NOW - 1000 * S
    for command in traffic:
        now += 30 * S
        verdict = commands.admit(command, memory, judge(now=now))
        if isinstance(verdict, Memory):
            memory = verdict
            assert all(until > now for until in memory.ids.values())


@given(st.integers(1, 20), st.lists(st.floats(0, 30), min_size=1, max_size=200))
def test_no_minute_sees_more_than_its_allowance(per_minute, pauses_s):
    allowance, now_s, taken_s = Allowance(per_minute), 0.0, []
    for pause_s in pauses_s:
        now_s += pause_s
        if allowance.take(now_s):
            taken_s.append(now_s)
        within = [at_s for at_s in taken_s if now_s - at_s < WINDOW_S]
        assert len(within) <= per_minute


def test_every_refusal_has_its_words():
    assert set(IN_WORDS) == set(Refusal)
