import os

import pytest

from agent.adapters.veto_file import LINE_MAX_BYTES, VetoFile
from agent.wire.errors import StoreFailed


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"an exam\nuntil four\n", "an exam"),
        ("Prüfung\r\n".encode(), "Prüfung"),
        (b"\x1b[31mred\n", "[31mred"),
        (b"x" * 5_000, "x" * LINE_MAX_BYTES),
    ],
)
def test_the_first_line_says_why(tmp_path, content, words):
    (tmp_path / "veto").write_bytes(content)
    assert VetoFile(tmp_path / "veto").words() == words


@pytest.mark.parametrize("content", [b"", b"\n", b"  \nlate"])
def test_a_file_that_says_nothing_is_a_veto_all_the_same(tmp_path, content):
    (tmp_path / "veto").write_bytes(content)
    assert VetoFile(tmp_path / "veto").words() == f"{tmp_path}/veto is there"


def test_without_the_file_nobody_objects(tmp_path):
    assert VetoFile(tmp_path / "veto").words() is None
    assert VetoFile(tmp_path / "gone" / "veto").words() is None


def test_what_cannot_be_read_is_a_veto_and_a_pipe_does_not_block(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert "Is a directory" in (VetoFile(tmp_path / "folder").words() or "")
    assert VetoFile(tmp_path / "pipe").words() == f"{tmp_path}/pipe is there"


def test_it_is_put_and_taken_away(tmp_path):
    veto = VetoFile(tmp_path / "state" / "veto")
    veto.put("an exam")
    assert veto.words() == "an exam"
    veto.take_away()
    veto.take_away()
    assert veto.words() is None
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed, match="cannot be written"):
        VetoFile(tmp_path / "file" / "veto").put("x")
