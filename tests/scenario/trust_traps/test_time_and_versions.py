"""Traps of TUF over MQTT: clocks that are wrong, expiry, and who goes back to what."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.wire.errors import Stale, Untrusted, WireError
from deploy.adapters.repository_tuf.keys import Role
from tests.fakes.clock import FakeClock
from tests.fakes.operator import DAY_S, manifest
from tests.scenario.trust_traps.steps import cache, daily, serial

# 6 and 7: the clock.


def test_a_clock_one_year_fast_is_stale_and_locks_nobody_out(operator, home, clock):
    """Trap 6: only signed instants are remembered."""
    own = FakeClock(clock.now())
    assert serial(operator.device(home, own)) == 1
    for fast in (365 * DAY_S, -365 * DAY_S):
        own.advance(fast)
        device = operator.device(home, own)
        if fast > 0:
            with pytest.raises(Stale):
                device.refresh()
    assert serial(operator.device(home, own)) == 1
    daily(operator, 1)
    own.advance(DAY_S)
    assert serial(operator.device(home, own)) == 1


def test_a_clock_two_years_slow_refuses_an_expired_replay_even_after_the_cache_is_lost(operator, home, clock):
    """Traps 6 and 7: the mark alone remembers what time it is at least."""
    old = operator.steps()
    daily(operator, 20)
    assert serial(operator.device(home)) == 1
    slow = FakeClock(clock.now() - timedelta(days=730), synchronized=False)
    assert serial(operator.device(home, slow)) == 1
    for path in cache(home / "metadata"):
        path.unlink()
    for topic, content in old:
        operator.put(topic, content)
    with pytest.raises(Stale):
        operator.device(home, slow).refresh()


def test_a_new_device_with_a_slow_clock_judges_by_when_its_root_was_signed(operator, home, clock):
    """Trap 7: what ran out before the pinned root was made is never taken."""
    operator.clock.advance(30 * DAY_S)
    operator.repository.renew()
    operator.pinned = operator.repository.root()
    slow = FakeClock(clock.now() - timedelta(days=730), synchronized=False)
    with pytest.raises(Stale, match="follows no time source"):
        operator.device(home, slow).refresh()


def test_an_operator_whose_clock_was_a_year_fast_moves_no_mark_of_a_device_that_knows_better(
    operator, home, clock
):
    """Trap 6: the mark does not go past a clock that follows a time source."""
    own = FakeClock(clock.now())
    clock.advance(365 * DAY_S)
    operator.repository.sign_timestamp()
    operator.publish()
    for _ in range(2):
        assert serial(operator.device(home, own)) == 1
    clock.advance(-365 * DAY_S)
    operator.repository.rotate(Role.TIMESTAMP)
    operator.publish()
    assert serial(operator.device(home, own)) == 1


def test_a_mark_in_the_future_ends_with_the_key_that_vouched_for_it(operator, home, clock):
    """Trap 6: a stolen timestamp key can stop a device whose clock follows nothing, but not for ever."""
    own = FakeClock(clock.now(), synchronized=False)
    operator.thief(lambda _: set(), now=datetime(2099, 1, 1, tzinfo=UTC))
    operator.device(home, own).refresh()
    operator.repository.rotate(Role.ROLLOUTS)
    operator.publish()
    with pytest.raises(WireError):
        operator.device(home, own).refresh()
    operator.repository.rotate(Role.TIMESTAMP)
    operator.publish()
    assert serial(operator.device(home, own)) == 1


# 8: expiry.


def test_a_timestamp_lives_a_week_and_a_fresh_one_mends_it(operator, home, clock):
    """Trap 8."""
    clock.advance(6.9 * DAY_S)
    assert serial(operator.device(home)) == 1
    clock.advance(0.2 * DAY_S)
    with pytest.raises(Stale, match=r"timestamp\.json is expired"):
        operator.device(home).refresh()
    operator.repository.sign_timestamp()
    operator.publish()
    assert serial(operator.device(home)) == 1


def test_signing_the_timestamp_daily_keeps_all_that_is_signed_online_alive_for_a_year(operator, home):
    """Trap 8: what offline keys sign asks for them once a year."""
    for _ in range(12):
        daily(operator, 30)
        assert serial(operator.device(home)) == 1
    daily(operator, 10)
    with pytest.raises(Stale, match="targets is expired"):
        operator.device(home).refresh()
    operator.repository.renew()
    operator.publish()
    assert serial(operator.device(home)) == 1


# 9: going back is going forward.


def test_going_back_to_an_older_model_is_a_newer_plan(operator, home):
    """Trap 9."""
    operator.release("2")
    operator.order(2, "2")
    operator.publish()
    device = operator.device(home)
    assert (serial(device), device.plan("home").stable.version) == (2, "2")
    operator.order(3, "1")
    operator.publish()
    assert (serial(device), device.plan("home").stable.version) == (3, "1")
    assert device.manifest(device.plan("home").stable)[0] == manifest()


def test_a_replayed_older_timestamp_is_refused_also_after_a_restart(operator, home):
    """Trap 9: a downgrade is no way back."""
    old = operator.steps()
    operator.order(2)
    operator.publish()
    device = operator.device(home)
    assert serial(device) == 2
    for topic, content in old:
        operator.put(topic, content)
    for asked in (device, operator.device(home)):
        with pytest.raises(Untrusted, match="must be >="):
            asked.refresh()


# 10: version numbers run up by a thief.


def test_versions_that_a_thief_ran_up_are_forgotten_with_the_keys_that_signed_them(operator, home):
    """Trap 10."""

    def run_up(state):
        state.rollouts.signed.version = 2**31 - 10
        state.snapshot.signed.version = 2**31 - 10
        state.timestamp.signed.version = 2**31 - 10
        return {Role.ROLLOUTS}

    operator.thief(run_up)
    assert serial(operator.device(home)) == 1
    operator.order(2)
    operator.publish()
    with pytest.raises(Untrusted):
        operator.device(home).refresh()
    for role in (Role.TIMESTAMP, Role.SNAPSHOT, Role.ROLLOUTS):
        operator.repository.rotate(role)
    operator.publish()
    assert serial(operator.device(home)) == 2


def test_a_device_that_was_away_for_a_year_follows_three_roots(operator, home):
    """Trap 10: and so does one that starts from the first root now."""
    assert serial(operator.device(home)) == 1
    for role in (Role.ROOT, Role.TIMESTAMP, Role.ROOT):
        daily(operator, 120)
        operator.repository.rotate(role)
    operator.repository.renew()
    operator.order(2)
    operator.publish()
    assert serial(operator.device(home)) == 2
    assert serial(operator.device(home.with_name("new"))) == 2
