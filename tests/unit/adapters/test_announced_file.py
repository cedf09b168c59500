import pytest

from agent.adapters.announced_file import AnnouncedFile
from agent.core.homeassistant.announcing import Announced
from agent.wire.errors import StoreFailed

SAID = Announced(topics=("homeassistant/device/pi/config",), components={"top1": "sensor"})


def test_what_was_announced_is_read_back_and_nothing_is_no_file(tmp_path):
    file = AnnouncedFile(tmp_path / "homeassistant.json")
    assert file.load() == Announced()
    file.save(SAID)
    assert file.load() == SAID
    file.save(Announced())
    assert not (tmp_path / "homeassistant.json").exists()
    file.save(Announced())


def test_what_cannot_be_read_was_not_announced(tmp_path):
    (tmp_path / "homeassistant.json").write_bytes(b"\xff{")
    assert AnnouncedFile(tmp_path / "homeassistant.json").load() == Announced()


def test_a_disk_that_refuses_says_so(tmp_path):
    (tmp_path / "a").write_text("no folder")
    with pytest.raises(StoreFailed):
        AnnouncedFile(tmp_path / "a" / "homeassistant.json").save(SAID)
