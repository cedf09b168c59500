import logging

import pytest

from agent.adapters import boot_count


def test_every_start_counts_one_more(tmp_path):
    assert [boot_count.count(tmp_path / "state/boot") for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("content", [b"", b"x", b"-4", b"\xff"])
def test_a_damaged_count_begins_again(tmp_path, content):
    (tmp_path / "boot").write_bytes(content)
    assert boot_count.count(tmp_path / "boot") == 1


def test_a_disk_that_refuses_does_not_keep_the_device_from_serving(tmp_path, caplog):
    (tmp_path / "state").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert boot_count.count(tmp_path / "state" / "boot") == 1
    assert "boot.not-kept" in caplog.text


def test_a_device_that_was_set_up_anew_counts_on_from_where_it_was(tmp_path):
    assert [boot_count.count(tmp_path / "boot", 41) for _ in range(2)] == [42, 43]
