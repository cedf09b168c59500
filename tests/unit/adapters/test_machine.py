"""The readers of facts, under roots of their own."""

import fcntl
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.adapters import lock_folder
from agent.adapters.machine import child as machine_child
from agent.adapters.machine import files as machine_files
from agent.adapters.machine import host as machine_host
from agent.adapters.machine import packages as machine_packages
from agent.adapters.machine import trust as machine_trust
from agent.core.findings.child import Died, Late, Unstarted
from agent.core.findings.files import Entry, Missing
from agent.core.findings.trust import Damaged, Expiring, Unreadable


def test_the_host_is_read_below_its_root(tmp_path):
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (tmp_path / "proc/meminfo").write_text("MemTotal:  8000 kB\nMemAvailable:  5000 kB\nHugePages_Total: 0\n")
    library = tmp_path / "usr/lib/aarch64-linux-gnu/libstdc++.so.6"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"\0GLIBCXX_3.4\0GLIBCXX_3.4.9\0GLIBCXX_3.4.30\0GLIBCXX_DEBUG\0")
    machine = machine_host.read(tmp_path)
    assert (machine.model, machine.glibcxx) == ("Raspberry Pi 5 Model B Rev 1.0", (3, 4, 30))
    assert (machine.memory_bytes, machine.memory_available_bytes) == (8_192_000, 5_120_000)


def test_a_host_that_tells_nothing_is_read_too(tmp_path):
    machine = machine_host.read(tmp_path)
    assert (machine.model, machine.glibcxx, machine.memory_bytes) == ("", None, 0)


def test_this_host_tells_its_libraries():
    machine = machine_host.read()
    assert machine.glibc is not None
    assert machine.glibc >= (2, 17)
    assert machine.page_bytes in {4096, 16384, 65536}


def test_a_disk_is_that_of_the_folder_that_will_be_made(tmp_path):
    disk = machine_files.disk(tmp_path / "not/there/yet")
    assert disk.path == str(tmp_path)
    assert 0 < disk.free_bytes <= disk.total_bytes
    assert not disk.read_only


def test_a_read_only_mount_is_seen():
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    mounted = [row[1] for row in mounts if "ro" in row[3].split(",") and Path(row[1]).is_dir()]
    if not mounted:
        pytest.skip("nothing is mounted read-only here")
    assert machine_files.disk(Path(mounted[0])).read_only


def test_places_tell_whose_they_are_and_who_may(tmp_path):
    secret = tmp_path / "secret"
    secret.touch()
    secret.chmod(0o640)
    found = machine_files.place(secret)
    assert isinstance(found, Entry)
    assert (found.mode, found.readable, found.writable) == (0o640, True, True)
    assert found.owner == machine_files.user().name
    assert machine_files.place(tmp_path / "none") == Missing(str(tmp_path / "none"))
    assert machine_files.place(secret / "below-a-file") == Missing(str(secret / "below-a-file"))


def test_a_state_folder_is_told_with_what_lies_in_it(tmp_path):
    (tmp_path / "state/objects").mkdir(parents=True)
    state = machine_files.state(tmp_path / "state")
    assert [Path(entry.path).name for entry in state.entries] == ["objects"]
    assert state.nearest == state.folder
    absent = machine_files.state(tmp_path / "a/b")
    assert absent.folder == Missing(str(tmp_path / "a/b"))
    assert absent.nearest.path == str(tmp_path)


def test_device_nodes_are_found_once_each(tmp_path):
    for name in ("video0", "video1", "dma_heap/system", "null"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = machine_files.nodes(("video*", "video0", "dma_heap/*", "media*"), tmp_path)
    assert [Path(node.path).name for node in found] == ["video0", "video1", "system"]


def test_versions_are_told_of_what_is_installed():
    found = machine_packages.versions(("numpy", "no-such-thing-at-all"))
    assert list(found) == ["numpy"]
    assert machine_packages.present("numpy")
    assert not machine_packages.present("no_such_thing_at_all")


ROOT = '{"signatures": [], "signed": {"_type": "root", "version": 3, "expires": "2027-01-01T00:00:00Z"}}'


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (ROOT, Expiring(3, datetime(2027, 1, 1, tzinfo=UTC))),
        (ROOT.replace("root", "targets"), Damaged()),
        ("{}", Damaged()),
        ("\xff\xfe", Damaged()),
        (None, Unreadable("No such file or directory")),
    ],
)
def test_signed_metadata_tells_how_old_it_is(tmp_path, content, found):
    path = tmp_path / "root.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    assert machine_trust.read(path, "root") == found


def test_who_holds_a_lock_is_told_without_taking_it(tmp_path):
    lock = tmp_path / "lock"
    assert lock_folder.holder(lock) is None
    lock.touch()
    descriptor = os.open(lock, os.O_RDWR)
    try:
        assert lock_folder.holder(lock) is None
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert lock_folder.holder(lock) == os.getpid()
    finally:
        os.close(descriptor)
    assert lock_folder.holder(lock, proc=tmp_path) is None


def test_a_child_that_cannot_read_its_job_has_died():
    died = machine_child.ask(b"no job", 30.0)
    assert isinstance(died, Died)
    assert died.how == "exit status 1"
    assert "JSON" in died.last_words


def test_where_no_child_can_be_started_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    told = f"{tmp_path / 'python'}: No such file or directory"
    assert machine_child.ask(b"{}", 30.0) == Unstarted(told)


def test_a_child_that_takes_too_long_is_killed():
    assert machine_child.ask(b"{}", 0.01) == Late(0.01)


def test_nobody_else_may_is_a_matter_of_mode(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may do everything")
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "a").touch()
    closed.chmod(stat.S_IRUSR)
    try:
        assert machine_files.place(closed / "a") == machine_files.Hidden(str(closed / "a"))
    finally:
        closed.chmod(stat.S_IRWXU)
