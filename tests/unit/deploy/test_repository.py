import fcntl
import re
import shutil
import stat
from datetime import timedelta

import pytest
from tuf.api.metadata import Metadata

from agent.wire.codec import decode, encode
from agent.wire.documents import Index, Plan, ReleaseRef
from agent.wire.errors import ConfigError, StoreFailed
from agent.wire.topics import sha256
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.repository_tuf import shelf as shelves
from deploy.adapters.repository_tuf.keys import OFFLINE, Role
from deploy.adapters.repository_tuf.state import LIFE
from deploy.ports.repository import ClockBehind
from tests.fakes.clock import FakeClock
from tests.fakes.operator import DAY_S, manifest


class Folders:
    def __init__(self, folder):
        self.folder = folder
        self.repository = folder / "repository"
        self.offline = folder / "offline"
        self.online = folder / "online"
        self.clock = FakeClock()

    def create(self):
        return TufRepository.create(self.repository, self.offline, self.online, self.clock)

    def open(self):
        return TufRepository.open(self.repository, self.offline, self.online, self.clock, lock_wait_s=0.1)


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path)


@pytest.fixture
def repository(folders):
    return folders.create()


def key_of(folder, role):
    (path,) = folder.glob(f"{role}-*.pem")
    return path


def test_a_new_repository_has_no_releases_and_can_be_published(repository):
    assert repository.releases() == ()
    assert repository.plan("home") is None
    assert repository.manifest("cats", "1") is None
    publication = repository.publication()
    assert publication.targets == ()
    assert [m.name for m in publication.metadata] == [
        "1.root",
        "1.models",
        "1.rollouts",
        "1.targets",
        "1.snapshot",
    ]
    assert decode(publication.index, Index) == Index(root=1, timestamp=1)


def test_root_needs_two_of_three_keys_and_every_other_role_one(repository):
    root = Metadata.from_bytes(repository.root()).signed
    assert {name: (len(r.keyids), r.threshold) for name, r in root.roles.items()} == {
        "root": (3, 2),
        "targets": (1, 1),
        "snapshot": (1, 1),
        "timestamp": (1, 1),
    }
    assert root.consistent_snapshot


def test_delegations_end_and_have_a_path(repository):
    targets = Metadata.from_bytes(repository.publication().metadata[3].content).signed
    assert {name: (r.paths, r.threshold, r.terminating) for name, r in targets.delegations.roles.items()} == {
        "models": (["models/*/*"], 1, True),
        "rollouts": (["rollouts/*"], 1, True),
    }


def test_keys_are_readable_by_their_owner_alone(repository, folders):
    assert repository.releases() == ()
    keys = [*folders.offline.iterdir(), *folders.online.iterdir()]
    assert len(keys) == 8
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert {stat.S_IMODE(f.stat().st_mode) for f in (folders.offline, folders.online)} == {0o700}


def test_offline_and_online_keys_never_meet(repository, folders):
    assert repository.releases() == ()
    roles = {key.name.partition("-")[0] for key in folders.offline.iterdir()}
    assert roles == set(OFFLINE)
    assert {key.name.partition("-")[0] for key in folders.online.iterdir()} == set(Role) - OFFLINE


def test_a_repository_is_created_once(repository, folders):
    before = repository.publication()
    with pytest.raises(ConfigError, match="holds a repository already"):
        folders.create()
    assert folders.open().publication() == before


def test_there_is_nothing_to_open_where_none_was_created(folders):
    with pytest.raises(ConfigError, match="no complete repository"):
        folders.open()


def test_a_release_is_listed_with_the_digest_of_its_manifest(repository):
    ref = repository.add_release(manifest())
    assert ref == ReleaseRef(name="cats", version="1", manifest=sha256(encode(manifest())))
    assert repository.releases() == (ref,)
    assert repository.manifest("cats", "1") == manifest()


def test_a_release_is_immutable(repository):
    ref = repository.add_release(manifest())
    before = repository.publication()
    assert repository.add_release(manifest()) == ref
    with pytest.raises(ConfigError, match="give this one a new version"):
        repository.add_release(manifest(description="better"))
    assert repository.publication() == before


def test_the_serial_of_a_plan_grows(repository):
    repository.set_plan(Plan(stream="home", serial=3))
    for serial in (2, 3):
        with pytest.raises(ConfigError, match="make it 4"):
            repository.set_plan(Plan(stream="home", serial=serial))
    repository.set_plan(Plan(stream="home", serial=4))
    repository.set_plan(Plan(stream="lab", serial=1))
    assert [repository.plan(s).serial for s in ("home", "lab")] == [4, 1]


@pytest.mark.parametrize("digest", ["0" * 64, None])
def test_a_plan_names_only_what_is_released(repository, digest):
    ref = repository.add_release(manifest())
    wrong = ReleaseRef(name="cats", version="1" if digest else "2", manifest=digest or ref.manifest)
    with pytest.raises(ConfigError, match="release it first"):
        repository.set_plan(Plan(stream="home", serial=1, candidate=wrong))
    repository.set_plan(Plan(stream="home", serial=1, candidate=ref))


def test_a_plan_that_devices_would_refuse_for_its_length_is_not_signed(repository):
    with pytest.raises(ConfigError, match="at most 16384"):
        repository.set_plan(Plan(stream="home", serial=1, match=tuple(f"tag-{n}" for n in range(3_000))))


def test_what_online_keys_sign_needs_no_offline_folder(repository, folders):
    repository.add_release(manifest())
    shutil.rmtree(folders.offline)
    opened = folders.open()
    opened.set_plan(Plan(stream="home", serial=1))
    opened.sign_timestamp()
    assert opened.publication().targets


@pytest.mark.parametrize(
    ("act", "role"),
    [
        (lambda r: r.add_release(manifest(version="2")), Role.MODELS),
        (lambda r: r.rotate(Role.ROLLOUTS), Role.TARGETS),
        (lambda r: r.set_plan(Plan(stream="home", serial=9)), Role.ROLLOUTS),
        (lambda r: r.sign_timestamp(), Role.TIMESTAMP),
        (lambda r: r.set_plan(Plan(stream="home", serial=9)), Role.SNAPSHOT),
    ],
)
def test_a_missing_key_is_named_and_nothing_changes(repository, folders, act, role):
    folder = folders.offline if role in OFFLINE else folders.online
    key = key_of(folder, role)
    key.rename(folders.folder / "elsewhere")
    before = repository.publication(), sorted(folders.folder.rglob("*.pem"))
    with pytest.raises(ConfigError, match=re.escape(f"key file {key} is needed and not there")):
        act(repository)
    assert (repository.publication(), sorted(folders.folder.rglob("*.pem"))) == before
    (folders.folder / "elsewhere").rename(key)
    act(repository)


def test_two_of_the_three_root_keys_suffice_and_one_does_not(repository, folders):
    first, second, _ = sorted(folders.offline.glob("root-*.pem"))
    first.unlink()
    repository.renew()
    second.unlink()
    with pytest.raises(ConfigError, match="1 more of the key files"):
        repository.renew()


@pytest.mark.parametrize("content", [b"", b"garbage", "other"])
def test_a_key_file_that_is_something_else_is_named(repository, folders, content):
    key = key_of(folders.online, Role.TIMESTAMP)
    key.write_bytes(key_of(folders.online, Role.SNAPSHOT).read_bytes() if content == "other" else content)
    with pytest.raises(ConfigError, match=re.escape(str(key))):
        repository.sign_timestamp()


def test_signatures_live_as_long_as_the_table_says(repository, folders):
    now = folders.clock.now()
    assert repository.expires() == {role: now + life for role, life in LIFE.items()}
    assert LIFE[Role.TIMESTAMP] < LIFE[Role.SNAPSHOT] < LIFE[Role.TARGETS] < LIFE[Role.ROOT]


def test_a_daily_timestamp_renews_the_snapshot_only_when_it_has_to(repository, folders):
    names = set()
    for _ in range(40):
        folders.clock.advance(DAY_S)
        repository.sign_timestamp()
        names |= {m.name for m in repository.publication().metadata}
        assert min(e - folders.clock.now() for e in repository.expires().values()) > timedelta(days=6)
    assert {n for n in names if n.endswith((".snapshot", ".rollouts", ".models"))} == {
        "1.snapshot",
        "2.snapshot",
        "3.snapshot",
        "1.rollouts",
        "2.rollouts",
        "3.rollouts",
        "1.models",
    }


def test_renewing_prolongs_what_offline_keys_sign(repository, folders):
    folders.clock.advance(300 * DAY_S)
    repository.renew()
    now = folders.clock.now()
    assert {role: repository.expires()[role] for role in OFFLINE} == {
        role: now + LIFE[role] for role in OFFLINE
    }


@pytest.mark.parametrize("role", list(Role))
def test_a_replaced_key_signs_nothing_any_more(repository, folders, role):
    repository.add_release(manifest())
    old = set(folders.folder.rglob("*.pem"))
    repository.rotate(role)
    for key in old:
        if key.name.startswith(f"{role}-"):
            key.unlink()
    opened = folders.open()
    opened.add_release(manifest(version="2"))
    opened.set_plan(Plan(stream="home", serial=1))
    opened.renew()
    assert len(opened.releases()) == 2


def test_a_new_root_is_signed_by_the_old_keys_and_by_its_own(repository):
    old = Metadata.from_bytes(repository.root())
    repository.rotate(Role.ROOT)
    new = Metadata.from_bytes(repository.root())
    for root in (old, new):
        root.signed.verify_delegate("root", new.signed_bytes, new.signatures)
    assert not set(old.signed.roles["root"].keyids) & set(new.signed.roles["root"].keyids)
    assert [m.name for m in repository.publication().metadata][:2] == ["1.root", "2.root"]


def test_a_clock_that_went_back_signs_nothing_until_it_is_mended_or_the_key_replaced(repository, folders):
    folders.clock.advance(365 * DAY_S)
    repository.sign_timestamp()
    folders.clock.advance(-365 * DAY_S)
    with pytest.raises(ClockBehind, match="set this clock"):
        repository.sign_timestamp()
    repository.rotate(Role.TIMESTAMP)
    repository.sign_timestamp()


def test_only_one_writes_at_a_time(repository, folders):
    opened = folders.open()
    with (folders.repository / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreFailed, match="another process"):
            opened.sign_timestamp()
        assert opened.publication() == repository.publication()
    opened.sign_timestamp()


def test_two_who_write_by_turns_lose_nothing(repository, folders):
    other = folders.open()
    repository.add_release(manifest(version="1"))
    other.add_release(manifest(version="2"))
    repository.sign_timestamp()
    other.set_plan(Plan(stream="home", serial=1))
    assert [r.version for r in repository.releases()] == ["1", "2"]
    assert repository.plan("home") == other.plan("home")


class PowerCut(BaseException):
    pass


@pytest.mark.parametrize(
    "act",
    [
        lambda r: r.add_release(manifest(version="2")),
        lambda r: r.set_plan(Plan(stream="home", serial=9)),
        lambda r: r.rotate(Role.TIMESTAMP),
        lambda r: r.rotate(Role.ROOT),
        lambda r: r.rotate(Role.ROLLOUTS),
        lambda r: r.renew(),
    ],
    ids=["release", "plan", "rotate timestamp", "rotate root", "rotate rollouts", "renew"],
)
def test_a_power_cut_at_any_write_leaves_the_old_state_whole_and_the_act_can_be_done_again(
    repository, folders, monkeypatch, act
):
    repository.add_release(manifest())
    before = repository.publication()
    write = shelves._write
    for writes in range(20):
        left = [writes]

        def cut(path, content, left=left):
            if left[0] == 0:
                path.parent.joinpath("tmphalf").write_bytes(content[: len(content) // 2])
                raise PowerCut
            left[0] -= 1
            write(path, content)

        monkeypatch.setattr(shelves, "_write", cut)
        try:
            act(folders.open())
        except PowerCut:
            assert folders.open().publication() == before
        else:
            break
    monkeypatch.undo()
    after = folders.open().publication()
    assert writes >= 3
    assert decode(after.index, Index).timestamp == decode(before.index, Index).timestamp + 1


@pytest.mark.parametrize("name", ["metadata/1.root.json", "metadata/2.models.json", "index.json", "targets"])
def test_a_damaged_file_is_named_instead_of_signed_along(repository, folders, name):
    repository.add_release(manifest())
    path = folders.repository / name
    if path.is_dir():
        (path,) = path.iterdir()
    path.write_bytes(path.read_bytes()[:-10] + b"xxxxxxxxxx")
    with pytest.raises(ConfigError, match="restore it from a copy"):
        folders.open().publication()


def test_what_somebody_slipped_into_the_folder_is_not_signed_along(repository, folders):
    repository.add_release(manifest())
    path = folders.repository / "metadata/2.models.json"
    path.write_bytes(path.read_bytes().replace(b"models/cats/1.json", b"models/evil/1.json"))
    with pytest.raises(ConfigError, match="tampered"):
        repository.add_release(manifest(version="2"))
