import pytest

from agent.cli.main import main


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "device.toml"
    file.write_text('[device]\nid = "pi"\n')
    return file


def test_a_device_is_held_with_a_reason_and_let_go(config, tmp_path, capsys):
    assert main(["hold", "an", "exam", "--config", str(config)]) == 0
    assert (tmp_path / "state/veto").read_text() == "an exam\n"
    assert main(["hold", "--end", "--config", str(config)]) == 0
    assert not (tmp_path / "state/veto").exists()
    assert "hold --end removes it" in capsys.readouterr().out


def test_the_file_is_where_the_configuration_says(config, tmp_path):
    config.write_text('[device]\nid = "pi"\n[update]\nveto_file = "run/busy"\n')
    assert main(["hold", "--config", str(config)]) == 0
    assert (tmp_path / "run/busy").read_text() == "held on the device\n"


def test_a_window_that_is_none_is_a_fault_of_the_file(config, capsys):
    config.write_text('[device]\nid = "pi"\n[update]\nwindows = ["daily 02:00-05:00", "nights"]\n')
    assert main(["hold", "--config", str(config)]) == 78
    assert "line 4: update.windows: 'nights' is no maintenance window" in capsys.readouterr().err
