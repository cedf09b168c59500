"""Two demonstrations at once have a page each, and a folder of theirs."""

import socket

import pytest

from agent.wire.errors import ConfigError
from deploy.demo import places


def free() -> int:
    with socket.create_server((places.HOST, 0)) as tried:
        return tried.getsockname()[1]


def test_two_that_begin_together_name_different_pages_and_a_later_one_has_the_usual_again():
    usual = free()
    with places.page(usual) as first, places.page(usual) as second:
        assert first == f"{places.HOST}:{usual}"
        assert second not in {first, ""}
    with places.page(usual) as third:
        assert third == first


def test_where_another_program_listens_is_no_place_for_the_page():
    with socket.create_server((places.HOST, 0)) as other:
        taken = other.getsockname()[1]
        with places.page(taken) as found:
            assert found != f"{places.HOST}:{taken}"


def test_the_device_can_listen_where_it_is_sent():
    with places.page(free()) as found:
        socket.create_server((places.HOST, int(found.rpartition(":")[2]))).close()


def test_what_is_to_be_kept_is_kept_and_all_else_is_gone(tmp_path):
    with places.folder(None) as passing, places.folder(tmp_path / "new" / "demo") as kept:
        assert passing.is_dir()
    assert not passing.exists()
    assert kept.is_dir()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("file", "File exists"),
        ("file/below", "Not a directory"),
        (".", "something in it"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path, name, words):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match=rf"--keep .*{words}.*name a new folder"),
        places.folder(tmp_path / name),
    ):
        pass
