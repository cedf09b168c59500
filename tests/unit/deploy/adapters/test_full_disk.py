"""What is written is whole or not there, and a disk that refuses is said in one sentence."""

import contextlib
import resource

import pytest

from agent.adapters.clock_system import SystemClock
from agent.wire.errors import StoreFailed
from deploy.adapters import approval_ed25519, secret_files, workspace
from deploy.adapters.ledger_sqlite import SqliteLedger
from deploy.adapters.repository_tuf import TufRepository
from deploy.core.rollouts.words import Renewed


@contextlib.contextmanager
def full_disk():
    """The kernel refuses every byte that this process would add to a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


WRITE = {
    "a setting": lambda folder: workspace.write_file(folder / "made", b"content"),
    "a secret": lambda folder: secret_files.write_secret(folder / "made", b"content"),
    "an approver's key": lambda folder: approval_ed25519.create(folder / "made"),
}


@pytest.mark.parametrize("write", WRITE.values(), ids=WRITE)
def test_nothing_is_left_of_what_did_not_fit(write, tmp_path):
    with full_disk(), pytest.raises(StoreFailed, match=r"/made cannot be written: [A-Z][a-z ]+$"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path)


def test_keys_of_a_repository_are_whole_or_not_there(tmp_path):
    folders = (tmp_path / "repository", tmp_path / "offline", tmp_path / "online")
    with full_disk(), pytest.raises(StoreFailed, match=r"\.pem cannot be written"):
        TufRepository.create(*folders, SystemClock())
    assert not list(tmp_path.rglob("*.pem"))
    TufRepository.create(*folders, SystemClock())


def test_metadata_that_does_not_fit_leaves_the_state_before_it(tmp_path):
    folders = (tmp_path / "repository", tmp_path / "offline", tmp_path / "online")
    repository = TufRepository.create(*folders, SystemClock())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with full_disk(), pytest.raises(StoreFailed, match=r"\.json cannot be written"):
        repository.sign_timestamp()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_ledger_that_cannot_grow_says_that_nothing_was_decided(tmp_path):
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", SystemClock())
    ledger.append((Renewed(timestamp=1),), after=0)
    with full_disk(), pytest.raises(StoreFailed, match="cannot be written, and nothing was decided: "):
        ledger.append((Renewed(timestamp=2),), after=1)
    assert [line.entry for line in ledger.lines()] == [Renewed(timestamp=1)]
