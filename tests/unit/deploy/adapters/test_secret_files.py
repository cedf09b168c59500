"""Keys are made once, whole, for their owner, and outlive a power cut."""

import os
import stat
from pathlib import Path

import pytest

from agent.wire.errors import StoreFailed
from deploy.adapters import secret_files
from deploy.adapters.secret_files import AlreadyThere, create_secret, write_secret


def test_a_new_secret_is_its_owners_alone_and_the_folder_that_names_it_is_on_disk_too(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(secret_files, "sync_folder", synced.append)
    create_secret(tmp_path / "key", b"content")
    assert (tmp_path / "key").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert synced == [tmp_path]


def test_what_is_there_is_never_overwritten(tmp_path):
    (tmp_path / "key").write_bytes(b"before")
    with pytest.raises(AlreadyThere, match="exists already: move it away"):
        create_secret(tmp_path / "key", b"content")
    assert (tmp_path / "key").read_bytes() == b"before"


def test_no_folder_is_made_for_it(tmp_path):
    """A stick that is not there must not become a folder of this disk."""
    with pytest.raises(StoreFailed, match="No such file or directory"):
        create_secret(tmp_path / "stick" / "key", b"content")
    assert not (tmp_path / "stick").exists()


def test_half_of_one_is_not_left_behind(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreFailed, match="No space left"):
        create_secret(tmp_path / "key", b"content")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_just_after_the_file_stands_is_an_interruption_and_no_fault_of_the_disk(tmp_path, monkeypatch):
    replace = Path.replace

    def interrupted(path, target):
        replace(path, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_secret(tmp_path / "key", b"secret")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
