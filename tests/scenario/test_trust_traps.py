"""The fourteen traps of carrying TUF over MQTT to devices without a clock, one test or more for each."""

import ast
import importlib.metadata
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, TargetFile

from agent.wire.codec import encode
from agent.wire.documents import Index, Plan, ReleaseRef
from agent.wire.errors import Malformed, PortError, Stale, TooLarge, Unavailable, Untrusted, WireError
from agent.wire.topics import sha256
from deploy.adapters.repository_tuf.keys import Role
from tests.fakes.clock import FakeClock
from tests.fakes.operator import DAY_S, Operator, manifest

HOUSE = Path(__file__).parents[2]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def operator(tmp_path, clock):
    return Operator(tmp_path / "operator", clock)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "device"


def serial(trust):
    trust.refresh()
    return trust.plan("home").serial


def daily(operator, days):
    for _ in range(days):
        operator.clock.advance(DAY_S)
        operator.repository.sign_timestamp()
    operator.publish()


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


def cache(home):
    return sorted(p for p in home.rglob("*") if p.is_file() and not p.is_symlink())


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


# 11: who may say what.


def listed(signed, path, content):
    signed.targets[path] = TargetFile.from_data(path, content, ["sha256"])


def ref_to(content, version="9"):
    return ReleaseRef(name="cats", version=version, manifest=sha256(content))


def test_stolen_online_keys_cannot_sign_a_new_model(operator, home):
    """Trap 11: the models role is offline, and its path leads nowhere else."""
    evil = encode(manifest(version="9"))
    plan = encode(Plan(stream="home", serial=9, stable=ref_to(evil)))

    def change(state):
        listed(state.rollouts.signed, "models/cats/9.json", evil)
        listed(state.rollouts.signed, "rollouts/home.json", plan)
        return {Role.ROLLOUTS}

    operator.thief(change)
    operator.put(operator.root.target(sha256(evil)), evil)
    operator.put(operator.root.target(sha256(plan)), plan)
    device = operator.device(home)
    assert serial(device) == 9
    with pytest.raises(Untrusted, match="not signed by the models role"):
        device.manifest(device.plan("home").stable)


def test_stolen_online_keys_cannot_point_a_released_version_elsewhere(operator, home):
    """Trap 11: the plan's digest has to be the one that the models role signed."""
    evil = encode(manifest(description="evil"))
    operator.put(operator.root.target(sha256(evil)), evil)
    device = operator.device(home)
    device.refresh()
    with pytest.raises(Untrusted, match="the models role signed another"):
        device.manifest(ref_to(evil, "1"))


def test_the_models_role_signed_by_an_online_key_is_refused(operator, home):
    """Trap 11."""

    def change(state):
        evil = encode(manifest(version="9"))
        listed(state.models.signed, "models/cats/9.json", evil)
        state.models.signed.version += 1
        (signer,) = operator.repository._keys.signers(
            Role.ROLLOUTS, state.targets.signed.delegations.roles["rollouts"].keyids, 1, {}
        )
        state.models.sign(signer)
        version = state.models.signed.version
        operator.put(operator.root.meta(f"{version}.models"), state.models.to_bytes())
        meta = state.snapshot.signed.meta["models.json"]
        meta.version, meta.length, meta.hashes = version, None, None
        return {Role.SNAPSHOT}

    operator.thief(change)
    device = operator.device(home)
    device.refresh()
    with pytest.raises(Untrusted, match="models was signed by 0/1 keys"):
        device.manifest(ref_to(b"", "9"))


@pytest.mark.parametrize("name", ["other", "models", "../evil", "targets"])
def test_what_the_rollouts_role_delegates_further_is_never_asked(operator, home, name):
    """Trap 11: a plan comes from the rollouts role itself."""

    def change(state):
        rollouts = state.rollouts.signed
        (keyid,) = state.targets.signed.delegations.roles["rollouts"].keyids
        key = state.targets.signed.delegations.keys[keyid]
        role = DelegatedRole(name, [keyid], 1, terminating=False, paths=["rollouts/*", "models/*/*"])
        rollouts.targets.clear()
        rollouts.delegations = Delegations({keyid: key}, {} if name == "targets" else {name: role})
        return {Role.ROLLOUTS}

    operator.thief(change)
    device = operator.device(home)
    device.refresh()
    assert device.plan("home") is None
    assert not [t for t in operator.broker.subscribed if "other" in t or "evil" in t]


@pytest.mark.parametrize("path", ["rollouts/home.json", "models/cats/1.json"])
def test_the_targets_role_itself_speaks_neither_for_plans_nor_for_models(operator, home, path):
    """Trap 11: not even with the offline key."""
    repository = operator.repository
    with repository._shelf.locked():
        from deploy.adapters.repository_tuf.state import load

        state = load(repository._shelf)
        content = encode(manifest())
        listed(state.targets.signed, path, content)
        repository._commit(state, {Role.TARGETS})
    operator.publish()
    device = operator.device(home)
    device.refresh()
    with pytest.raises(Untrusted, match="another role"):
        device.plan("home") if path.startswith("rollouts") else device.manifest(ref_to(content, "1"))


def test_a_plan_under_the_name_of_another_stream_is_refused(operator, home):
    """Trap 11: the rollouts role cannot mix streams up."""

    def change(state):
        targets = state.rollouts.signed.targets
        listed(state.rollouts.signed, "rollouts/lab.json", encode(Plan(stream="home", serial=5)))
        assert set(targets) == {"rollouts/home.json", "rollouts/lab.json"}
        return {Role.ROLLOUTS}

    operator.thief(change)
    plan = encode(Plan(stream="home", serial=5))
    operator.put(operator.root.target(sha256(plan)), plan)
    device = operator.device(home)
    device.refresh()
    with pytest.raises(Untrusted, match="'lab' says that it is for 'home'"):
        device.plan("lab")


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


# 13: nothing verified by hand.


@pytest.mark.parametrize("topic", ["timestamp", "3.snapshot", "1.targets", "2.models", "2.rollouts"])
def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(operator, home, topic):
    """Trap 13: signatures cover every byte that means something."""
    content = operator.broker.retained[operator.root.meta(topic)]
    for place in range(0, len(content), 23):
        spoilt = bytearray(content)
        spoilt[place] ^= 0x01
        operator.put(operator.root.meta(topic), bytes(spoilt))
        device = operator.device(home / str(place))
        try:
            device.refresh()
            plan = device.plan("home")
            assert device.manifest(plan.stable)[0] == manifest()
        except (WireError, PortError):
            continue
        assert plan == operator.repository.plan("home")


_WITHOUT_CRYPTOGRAPHY = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "cryptography":
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
from pathlib import Path
from agent.adapters.trust_tuf import TufTrust
from agent.wire.topics import root
from agent.wire.errors import Untrusted
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink
assert "numpy" not in sys.modules, "numpy"
folder = Path(sys.argv[1])
broker = MemoryBroker()
for file in (folder / "topics").rglob("*"):
    if file.is_file():
        broker.publish(str(file.relative_to(folder / "topics")), file.read_bytes(), retain=True)
link = MemoryLink(broker)
link.open(lambda _: None)
pinned = (folder / "root").read_bytes()
trust = TufTrust(link, root("shoal/home"), folder / "device", pinned, FakeClock(), 0.05)
trust.refresh()
plan = trust.plan("home")
print(plan.serial, trust.manifest(plan.stable)[0].name)
stamp = broker.retained["shoal/home/meta/timestamp"]
at = stamp.index(b'"sig":"') + 7
broker.publish("shoal/home/meta/timestamp", stamp[:at] + b"00000000" + stamp[at + 8:], retain=True)
try:
    trust.refresh()
except Untrusted:
    print("refused")
assert "cryptography" not in sys.modules
"""


def test_a_device_without_cryptography_and_numpy_verifies_and_refuses(operator, tmp_path):
    """Trap 13: by the library's own pure Python fallback."""
    for topic, content in operator.broker.retained.items():
        path = tmp_path / "topics" / topic
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "root").write_bytes(operator.pinned)
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_CRYPTOGRAPHY, str(tmp_path)],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["1", "cats", "refused"]), done.stderr


# 14: TUF's client is pinned and used in one place.


def test_the_major_version_of_tuf_is_the_one_whose_private_name_is_used():
    """Trap 14."""
    assert importlib.metadata.version("tuf").partition(".")[0] == "7"


def test_one_line_of_the_device_reaches_into_tuf():
    """Trap 14."""
    package = HOUSE / "agent/adapters/trust_tuf"
    private = [
        node.attr
        for path in package.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    ]
    assert private == ["_trusted_set"]


def test_only_the_trust_adapter_imports_tuf():
    """Trap 14."""
    users = {
        path.relative_to(HOUSE).parts[2]
        for path in (HOUSE / "agent").rglob("*.py")
        if "from tuf" in path.read_text() or "import tuf" in path.read_text()
    }
    assert users == {"trust_tuf"}


def test_malformed_is_what_a_digest_that_is_none_gets(operator, home):
    """Trap 11: signed by a thief, but no topic."""

    def change(state):
        listed(state.rollouts.signed, "rollouts/home.json", b"x")
        state.rollouts.signed.targets["rollouts/home.json"].hashes = {"sha256": "+/#"}
        return {Role.ROLLOUTS}

    operator.thief(change)
    device = operator.device(home)
    device.refresh()
    with pytest.raises(Malformed):
        device.plan("home")
