import pytest

from agent.adapters.lock_folder import exclusive
from agent.wire.errors import ConfigError, StoreFailed


def test_a_folder_is_held_by_one_and_free_again_afterwards(tmp_path):
    with (
        exclusive(tmp_path / "state"),
        pytest.raises(ConfigError, match="another shoal-agent uses"),
        exclusive(tmp_path / "state"),
    ):
        pass
    with exclusive(tmp_path / "state"):
        pass


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreFailed, match="the state folder"), exclusive(tmp_path / "file" / "state"):
        pass
