"""Traps of TUF over MQTT: what a broker can withhold, spoil or send without end."""

import os
import time

import pytest

from agent.wire.codec import encode
from agent.wire.documents import Index, Plan
from agent.wire.errors import TooLarge, Unavailable, Untrusted
from agent.wire.topics import sha256
from deploy.adapters.repository_tuf.keys import Role
from tests.fakes.operator import DAY_S, manifest
from tests.scenario.trust_traps.steps import cache, listed, serial

# 1: MQTT has no 404.


def test_absence_of_a_newer_root_is_read_from_the_index_without_waiting(operator, home):
    """Trap 1."""
    assert serial(operator.device(home, timeout_s=60.0)) == 1
    assert operator.broker.subscribed[operator.root.meta("2.root")] == 0


def test_an_index_that_hides_a_new_root_delays_nobody_for_longer_than_one_timeout(operator, home):
    """Trap 1: after a false 404, the signature that fails sends the device to look for itself."""
    operator.repository.rotate(Role.TIMESTAMP)
    operator.publish()
    operator.put(operator.root.index(), encode(Index(root=1, timestamp=1)))
    assert serial(operator.device(home)) == 1


@pytest.mark.parametrize("newest", [2, 10**9])
def test_an_index_that_promises_a_root_that_is_not_there_stops_nobody(operator, home, newest):
    """Trap 1."""
    operator.put(operator.root.index(), encode(Index(root=newest, timestamp=1)))
    assert serial(operator.device(home)) == 1


def test_without_an_index_nothing_is_there_to_trust(operator, home):
    """Trap 1."""
    operator.put(operator.root.index(), b"")
    with pytest.raises(Unavailable, match="meta/index did not come"):
        operator.device(home).refresh()


@pytest.mark.parametrize("topic", ["timestamp", "3.snapshot", "1.targets"])
def test_any_other_absent_file_is_unavailable(operator, home, topic):
    """Trap 1."""
    operator.put(operator.root.meta(topic), b"")
    with pytest.raises(Unavailable, match=f"meta/{topic} did not come"):
        operator.device(home).refresh()


# 2: only the timestamp and the index change in place.


@pytest.mark.parametrize("role", [None, *Role])
def test_a_device_sees_the_old_state_or_the_new_after_every_step_of_a_publication(operator, home, role):
    """Trap 2: also where keys change with it."""
    device = operator.device(home)
    assert serial(device) == 1
    operator.clock.advance(DAY_S)
    operator.release("2")
    operator.order(2, "2")
    if role is not None:
        operator.repository.rotate(role)
    seen = []
    for topic, content in operator.steps():
        operator.put(topic, content)
        seen.append(serial(device))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (1, 2)


def test_what_was_published_once_is_never_published_with_other_content(operator):
    """Trap 2."""
    before = dict(operator.steps())
    operator.release("2")
    operator.order(2, "2")
    operator.repository.rotate(Role.SNAPSHOT)
    after = dict(operator.steps())
    changed = {topic for topic in before.keys() & after.keys() if before[topic] != after[topic]}
    assert changed == {operator.root.meta("timestamp"), operator.root.index()}


# 3: targets are kept whole or not at all.


def test_a_spoilt_target_is_refused_and_not_kept(operator, home):
    """Trap 3."""
    device = operator.device(home)
    device.refresh()
    operator.broker.corrupt(f"{operator.root.prefix}/target/+")
    with pytest.raises(Untrusted):
        device.plan("home")
    assert not (home / "targets").exists()
    operator.broker.heal()
    assert device.plan("home").serial == 1


def test_a_target_is_fetched_once_and_a_damaged_copy_again(operator, home):
    """Trap 3."""
    device = operator.device(home)
    device.refresh()
    plan = device.plan("home")
    topic = operator.root.target(sha256(encode(plan)))
    assert device.plan("home") == plan
    assert operator.broker.subscribed[topic] == 1
    (home / "targets" / sha256(encode(plan))).write_bytes(b"")
    assert device.plan("home") == plan
    assert operator.broker.subscribed[topic] == 2


# 4: TUF's client does not fsync.


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_cache_that_a_power_cut_has_truncated_is_fetched_again(operator, home, share):
    """Trap 4: each file alone, and all at once."""
    operator.repository.rotate(Role.ROOT)
    operator.publish()
    assert serial(operator.device(home)) == 1
    for broken in [*([path] for path in cache(home)), cache(home)]:
        for path in broken:
            os.truncate(path, int(path.stat().st_size * share))
        device = operator.device(home)
        assert serial(device) == 1
        assert device.manifest(device.plan("home").stable)[0] == manifest()


@pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json", "rollouts.json", "root_history"])
def test_a_thing_in_the_place_of_a_file_of_the_cache_is_cleared_away(operator, home, name):
    """Trap 4."""
    serial(operator.device(home))
    path = home / "metadata" / name
    if path.is_dir():
        path.rename(home / "metadata/moved")
        path.touch()
    else:
        path.unlink()
        path.mkdir()
    assert serial(operator.device(home)) == 1


def test_what_a_power_cut_left_half_written_does_not_pile_up(operator, home):
    """Trap 4."""
    (home / "metadata").mkdir(parents=True)
    (home / "metadata/tmpabc").write_bytes(b"half")
    (home / "tmpdef").write_bytes(b"half")
    serial(operator.device(home))
    assert not [*home.rglob("tmp*")]


# 5: one refresh in the life of TUF's updater.


def test_one_device_refreshes_again_and_again(operator, home):
    """Trap 5."""
    device = operator.device(home)
    for expected in (1, 2, 3):
        if expected > 1:
            operator.order(expected)
            operator.publish()
        assert serial(device) == expected
        assert serial(device) == expected


def test_nothing_is_answered_from_before_a_refresh_that_failed(operator, home):
    """Trap 5."""
    device = operator.device(home)
    assert serial(device) == 1
    operator.put(operator.root.meta("timestamp"), b"garbage")
    with pytest.raises(Untrusted):
        device.refresh()
    with pytest.raises(Unavailable):
        device.plan("home")


# 12: endless data, slow retrieval.


@pytest.mark.parametrize(
    ("topic", "limit"),
    [("timestamp", 4_096), ("3.snapshot", 65_536), ("1.targets", 524_288), ("2.root", 65_536)],
)
def test_more_bytes_than_belong_there_are_refused_before_tuf_sees_them(operator, home, topic, limit):
    """Trap 12."""
    operator.put(operator.root.index(), encode(Index(root=2, timestamp=1)))
    operator.put(operator.root.meta(topic), b"x" * (limit + 1))
    with pytest.raises(Untrusted, match=f"holds {limit + 1} bytes, at most {limit}") as refused:
        operator.device(home).refresh()
    assert refused.value.__cause__ is None


def test_an_endless_target_is_refused_by_its_signed_length(operator, home):
    """Trap 12."""
    device = operator.device(home)
    device.refresh()
    plan = operator.repository.plan("home")
    operator.put(operator.root.target(sha256(encode(plan))), encode(plan) + b" " * 1_000_000)
    with pytest.raises(Untrusted, match="bytes, at most"):
        device.plan("home")


def test_a_plan_over_16_kib_is_refused_before_it_is_fetched(operator, home):
    """Trap 12."""
    long = encode(Plan(stream="home", serial=5)) + b" " * 16_384

    def change(state):
        listed(state.rollouts.signed, "rollouts/home.json", long)
        return {Role.ROLLOUTS}

    operator.thief(change)
    operator.put(operator.root.target(sha256(long)), long)
    device = operator.device(home)
    device.refresh()
    with pytest.raises(TooLarge, match="at most 16384"):
        device.plan("home")
    assert operator.broker.subscribed[operator.root.target(sha256(long))] == 0


def test_a_broker_that_says_nothing_holds_a_device_no_longer_than_its_timeout(operator, home):
    """Trap 12."""
    operator.broker.lose("#")
    began = time.monotonic()
    with pytest.raises(Unavailable):
        operator.device(home, timeout_s=0.2).refresh()
    assert 0.2 <= time.monotonic() - began < 2.0
    assert operator.broker.links[0].filters == ()
