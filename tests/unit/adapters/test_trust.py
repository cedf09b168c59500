import json
import os
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.exceptions import FormatError
from securesystemslib.formats import encode_canonical
from tuf.api.metadata import MetaFile

from agent.adapters.trust_tuf import TufTrust
from agent.wire.codec import encode
from agent.wire.documents import Index, Plan, ReleaseRef
from agent.wire.errors import AgentError, ConfigError, StoreFailed, Unavailable, Untrusted
from agent.wire.topics import sha256
from deploy.adapters.repository_tuf.keys import Role
from deploy.adapters.repository_tuf.shelf import Shelf
from deploy.adapters.repository_tuf.state import load
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryLink
from tests.fakes.operator import DAY_S, Operator, manifest


@pytest.fixture
def operator(tmp_path):
    return Operator(tmp_path / "operator", FakeClock())


@pytest.fixture
def home(tmp_path):
    return tmp_path / "device"


def test_a_signed_plan_and_its_manifest_arrive_with_their_bytes(operator, home):
    device = operator.device(home)
    device.refresh()
    plan = device.plan("home")
    assert plan == operator.repository.plan("home")
    assert device.manifest(plan.stable) == (manifest(), encode(manifest()))


def test_a_stream_without_a_plan_has_none(operator, home):
    device = operator.device(home)
    device.refresh()
    assert device.plan("lab") is None


def test_a_refresh_without_news_reads_the_two_topics_that_change(operator, home):
    device = operator.device(home)
    device.refresh()
    before = operator.broker.subscribed.copy()
    device.refresh()
    assert operator.broker.subscribed - before == {
        operator.root.index(): 1,
        operator.root.meta("timestamp"): 1,
    }


def test_no_subscription_is_left_behind(operator, home):
    device = operator.device(home)
    device.refresh()
    device.plan("home")
    assert operator.broker.links[-1].filters == ()


def test_messages_may_come_on_another_thread(operator, home):
    threads = []

    class LateLink(MemoryLink):
        def subscribe(self, topics, qos, sink):
            threads.append(Thread(target=super().subscribe, args=(topics, qos, sink)))
            threads[-1].start()

    link = LateLink(operator.broker)
    link.open(lambda _: None)
    trust = TufTrust(link, operator.root, home, operator.pinned, operator.clock, timeout_s=10.0)
    trust.refresh()
    assert trust.plan("home").serial == 1
    for thread in threads:
        thread.join()


def test_a_link_that_is_down_is_unavailable(operator, home):
    device = operator.device(home)
    operator.broker.links[-1].drop()
    with pytest.raises(Unavailable):
        device.refresh()


def test_the_watched_index_tells_of_each_publication_once(operator, home):
    news = []
    device = operator.device(home)
    device.watch(lambda: news.append(1))
    device.refresh()
    device.refresh()
    assert len(news) == 1
    operator.order(2)
    operator.publish()
    operator.publish()
    assert len(news) == 2
    device.refresh()
    assert device.plan("home").serial == 2
    assert operator.broker.links[-1].filters == (operator.root.index(),)


@pytest.mark.parametrize("pinned", [b"", b"{}", b'{"signed": {}}', "timestamp", "unsigned"])
def test_a_pinned_root_that_is_none_is_an_error_of_the_configuration(operator, home, pinned):
    if pinned == "timestamp":
        pinned = operator.repository.publication().timestamp
    elif pinned == "unsigned":
        pinned = operator.pinned.replace(b'"sig":"', b'"sig":"00')
    with pytest.raises(ConfigError, match="pinned root"):
        TufTrust(operator.link(), operator.root, home, pinned, operator.clock, 0.05)


def test_the_root_of_another_operator_is_untrusted(operator, tmp_path, home):
    other = Operator(tmp_path / "other", FakeClock())
    operator.pinned = other.pinned
    with pytest.raises(Untrusted):
        operator.device(home).refresh()


def test_a_device_that_is_given_a_newer_pinned_root_goes_on_from_there(operator, home):
    operator.device(home).refresh()
    operator.repository.rotate(Role.ROOT)
    operator.repository.rotate(Role.SNAPSHOT)
    operator.publish()
    operator.pinned = operator.repository.root()
    operator.device(home).refresh()
    assert operator.broker.subscribed[operator.root.meta("2.root")] == 0


def test_a_disk_that_refuses_is_a_failed_store(operator, home):
    home.mkdir()
    (home / "metadata").write_bytes(b"in the way")
    with pytest.raises(StoreFailed):
        operator.device(home).refresh()


def test_old_targets_are_dropped_from_the_disk(operator, home):
    (home / "targets").mkdir(parents=True)
    for age_s in range(40):
        old = home / "targets" / str(age_s)
        old.touch()
        os.utime(old, (1_000_000_000 - age_s,) * 2)
    device = operator.device(home)
    device.refresh()
    assert device.plan("home").serial == 1
    left = {path.name for path in (home / "targets").iterdir()}
    assert left == {*map(str, range(31)), sha256(encode(device.plan("home")))}


def test_a_release_that_is_not_signed_is_untrusted(operator, home):
    device = operator.device(home)
    device.refresh()
    with pytest.raises(Untrusted, match=r"models/dogs/1\.json is not signed"):
        device.manifest(ReleaseRef(name="dogs", version="1", manifest="0" * 64))


def test_the_mark_is_written_only_when_it_moves(operator, home):
    device = operator.device(home)
    device.refresh()
    written = (home / "mark.json").stat().st_ino
    device.refresh()
    assert (home / "mark.json").stat().st_ino == written
    operator.clock.advance(DAY_S)
    operator.repository.sign_timestamp()
    operator.publish()
    device.refresh()
    assert (home / "mark.json").stat().st_ino != written


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"{}", b'{"issued":"2026-01-01T00:00:00","keys":[]}', b"[" * 10_000]
)
def test_a_damaged_mark_is_as_none(operator, home, content):
    home.mkdir()
    (home / "mark.json").write_bytes(content)
    operator.device(home).refresh()


# Garbage. A device must come out of it with an error of ours, and healthy once the broker is.

GARBAGE = (
    b"\x00",
    b"\xff" * 100,
    b"null",
    b"[]",
    b"{}",
    b'{"signed":null,"signatures":[]}',
    b'{"signatures":[{"keyid":[],"sig":1}],"signed":{"_type":"timestamp"}}',
    b'{"signed":' + b"[" * 3_000 + b"]" * 3_000 + b"}",
    b'{"signed":{"_type":"root","version":' + b"9" * 3_900 + b"}}",
    b'"' + b"\\ud800" * 100 + b'"',
)


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_in_any_topic_is_an_error_of_ours_and_leaves_no_trace(operator, home, garbage, known):
    if known:
        whole(operator.device(home))
    operator.order(2)
    operator.publish()
    good = dict(operator.broker.retained)
    operator.put(operator.root.meta("2.root"), b"")
    for topic, content in good.items():
        operator.put(topic, garbage)
        ours(operator.device(home))
        operator.put(topic, content)
    assert whole(operator.device(home)) == 2


def whole(device):
    device.refresh()
    plan = device.plan("home")
    if plan is None:
        return None
    device.manifest(plan.stable)
    return plan.serial


def ours(device):
    """Whether it went well; an error that is not ours fails the test."""
    try:
        whole(device)
    except AgentError:
        return False
    return True


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("*" * 40) | st.just("9" * 64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    if isinstance(value, list):
        for at, inner in enumerate(value):
            yield from places(inner, (*path, at))


def replaced(value, path, new):
    if not path:
        return new
    head, *rest = path
    if isinstance(value, dict):
        return value | {head: replaced(value[head], rest, new)}
    return [*value[:head], replaced(value[head], rest, new), *value[head + 1 :]]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    return Operator(tmp_path_factory.mktemp("fuzzed"), FakeClock())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=st.data())
@pytest.mark.parametrize("role", ["timestamp", "snapshot", "rollouts"])
def test_garbage_with_a_valid_signature_is_an_error_of_ours_and_leaves_no_trace(
    fuzzed, tmp_path_factory, role, drawn
):
    """A thief with the online keys signs metadata whose parts are any JSON at all."""
    state = load(Shelf(fuzzed.folder / "repository"))
    signed = getattr(state, role).signed.to_dict()
    if role != "timestamp":
        signed["version"] += 1
    else:
        signed["version"] += 2
    where = drawn.draw(st.sampled_from([p for p in places(signed) if p]))
    try:
        content = sign(fuzzed, state, role, replaced(signed, where, drawn.draw(JSON)))
    except (FormatError, UnicodeEncodeError):
        return
    version = signed["version"]
    fuzzed.put(fuzzed.root.meta("timestamp" if role == "timestamp" else f"{version}.{role}"), content)
    point_at(fuzzed, state, role, version, content)
    home = tmp_path_factory.mktemp("device")
    # What is there comes at once from a broker in memory, what is not never comes.
    ours(fuzzed.device(home, timeout_s=0.001))
    fuzzed.broker.retained.clear()
    fuzzed.publish()
    assert whole(fuzzed.device(tmp_path_factory.mktemp("device"))) == 1


def sign(operator, state, role, signed):
    named = state.delegator(Role(role)).get_delegated_role(role)
    (signer,) = operator.repository._keys.signers(Role(role), named.keyids, 1, {})
    signature = signer.sign(encode_canonical(signed).encode())
    return json.dumps({"signatures": [signature.to_dict()], "signed": signed}).encode()


def point_at(operator, state, role, version, content):
    """Sign what must name the forged version, so that a device reads it."""
    if role == "timestamp":
        return
    if role == "rollouts":
        state.snapshot.signed.meta["rollouts.json"] = MetaFile.from_data(version, content, ["sha256"])
        state.snapshot.signed.version += 1
        content = sign(operator, state, "snapshot", state.snapshot.signed.to_dict())
        version = state.snapshot.signed.version
        operator.put(operator.root.meta(f"{version}.snapshot"), content)
    state.timestamp.signed.snapshot_meta = MetaFile.from_data(version, content, ["sha256"])
    state.timestamp.signed.version += 1
    operator.put(
        operator.root.meta("timestamp"), sign(operator, state, "timestamp", state.timestamp.signed.to_dict())
    )


def test_a_plan_that_is_signed_garbage_is_an_error_of_ours(operator, home):
    deep = b'{"schema":1,"stream":"home","serial":"9","x":' + b"[" * 4_000 + b"]" * 4_000 + b"}"
    for content in (b"", b"\xff", b"{}", b'{"schema":2}', deep, encode(Index(root=1, timestamp=1))):
        with operator.repository._shelf.locked():
            state = load(operator.repository._shelf)
            target = state.rollouts.signed.targets["rollouts/home.json"]
            fresh = type(target).from_data(target.path, content, ["sha256"])
            state.rollouts.signed.targets[target.path] = fresh
            operator.repository._commit(state, {Role.ROLLOUTS}, content=content)
        operator.publish()
        assert not ours(operator.device(home))
    with operator.repository._shelf.locked():
        state = load(operator.repository._shelf)
        state.rollouts.signed.targets.clear()
        operator.repository._commit(state, {Role.ROLLOUTS})
    operator.repository.set_plan(Plan(stream="home", serial=1))
    operator.publish()
    device = operator.device(home)
    device.refresh()
    assert device.plan("home").serial == 1


def test_the_folder_holds_nothing_but_what_it_should(operator, home):
    whole(operator.device(home))
    names = {str(Path(where).relative_to(home) / f) for where, _, files in os.walk(home) for f in files}
    assert {n for n in names if not n.startswith("targets/")} == {
        "mark.json",
        *(f"metadata/{role}.json" for role in Role),
        "metadata/root_history/1.root.json",
    }
