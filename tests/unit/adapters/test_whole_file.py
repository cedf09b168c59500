import os
import stat

import pytest

from agent.adapters import whole_file


def test_a_file_is_replaced_as_a_whole_and_by_its_owner_only(tmp_path):
    path = tmp_path / "kept" / "file"
    whole_file.replace(path, b"one")
    whole_file.replace(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_what_stood_there_stands_and_nothing_lies_about_where_the_disk_refuses(tmp_path, monkeypatch):
    path = tmp_path / "file"
    whole_file.replace(path, b"one")

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        whole_file.replace(path, b"two")
    assert path.read_bytes() == b"one"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
