import pytest

from agent.adapters.acceptance_files import AcceptanceFiles
from agent.core.page.words import Offered
from agent.wire.errors import StoreFailed
from agent.wire.topics import sha256

OFFERED = Offered(name="cats", version="2", manifest=sha256(b"cats 2"))


@pytest.fixture
def files(tmp_path):
    return AcceptanceFiles(tmp_path / "state")


def test_what_is_accepted_is_what_was_shown_and_is_taken_once(files):
    assert (files.offered(), files.taken()) == (None, None)
    files.offer(OFFERED)
    assert files.offered() == OFFERED
    files.accept(OFFERED)
    assert files.taken() == OFFERED.manifest
    assert files.taken() is None
    files.offer(None)
    assert files.offered() is None


def test_a_word_is_withdrawn_only_while_nobody_has_taken_it(files):
    files.offer(OFFERED)
    files.accept(OFFERED)
    assert not files.is_taken()
    assert files.withdraw()
    assert files.is_taken()
    assert files.taken() is None
    assert not files.withdraw()


@pytest.mark.parametrize("content", [b"", b"yes\n", b"\xff" * 64, b"a" * 65, b"A" * 64])
def test_what_is_no_digest_accepts_nothing_and_is_gone(files, tmp_path, content):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "accepted").write_bytes(content)
    assert files.taken() is None
    assert not (tmp_path / "state" / "accepted").exists()


def test_another_user_may_read_what_either_side_wrote(files, tmp_path):
    files.offer(OFFERED)
    files.accept(OFFERED)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    assert modes == {"offered.json": 0o644, "accepted": 0o644}


def test_a_folder_that_cannot_be_written_is_told_to_a_person_and_harms_no_agent(tmp_path):
    (tmp_path / "state").write_text("no folder")
    files = AcceptanceFiles(tmp_path / "state")
    files.offer(OFFERED)
    with pytest.raises(StoreFailed, match="cannot be written"):
        files.accept(OFFERED)
    with pytest.raises(StoreFailed, match="cannot be read"):
        files.offered()
