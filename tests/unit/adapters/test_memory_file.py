from datetime import UTC, datetime

import pytest

from agent.adapters.memory_file import MemoryFile
from agent.core.commands import Memory
from agent.wire.errors import StoreFailed

MEMORY = Memory(
    ids={"ab" * 16: datetime(2026, 6, 1, tzinfo=UTC)}, closed_until=datetime(2026, 5, 1, tzinfo=UTC)
)


def test_what_was_saved_is_loaded(tmp_path):
    MemoryFile(tmp_path / "new" / "commands.json").save(MEMORY)
    assert MemoryFile(tmp_path / "new" / "commands.json").load() == MEMORY
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["commands.json"]


def test_a_new_device_remembers_nothing(tmp_path):
    assert MemoryFile(tmp_path / "commands.json").load() == Memory()


@pytest.mark.parametrize("content", [b"", b"{", b'{"ids": {"short": 1}}', b"\xff"])
def test_a_damaged_memory_is_told_from_an_empty_one(tmp_path, content):
    (tmp_path / "commands.json").write_bytes(content)
    assert MemoryFile(tmp_path / "commands.json").load() is None


def test_a_disk_that_refuses_is_a_failed_store(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed, match=r"commands\.json"):
        MemoryFile(tmp_path / "file" / "commands.json").save(MEMORY)
