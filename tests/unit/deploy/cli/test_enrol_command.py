"""What `shoal enrol` and `shoal broker-config` refuse, they refuse before anything is written down."""

import json

import pytest

from deploy.cli.main import main


@pytest.fixture
def fleet(tmp_path, capsys):
    folder = tmp_path / "fleet"
    assert main(["init", str(folder), "--broker", "mqtt://127.0.0.1:1"]) == 0
    capsys.readouterr()
    return folder


def test_a_device_whose_files_cannot_be_written_is_no_member(fleet, tmp_path, capsys):
    """With the first member a fleet stops believing every device that is none."""
    (tmp_path / "file").touch()
    words = ["enrol", "pi-9", "--out", str(tmp_path / "file" / "below"), "--workspace", str(fleet)]
    assert main(words) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["members", "--json", "--workspace", str(fleet)]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    "words",
    [
        ["--host", ""],
        ["--host", "a b"],
        ["--host", "broker.local:8883"],
        ["--host", "anna@broker.local"],
        ["--host", "mqtts://broker.local"],
        ["--host", "broker.local", "--port", "65536"],
        ["--host", "broker.local", "--password-port", "-1"],
        ["--host", "broker.local", "--save-s", "0"],
    ],
)
def test_a_broker_that_nobody_could_reach_is_not_configured(fleet, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["broker-config", *words, "--workspace", str(fleet)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (fleet / "broker").exists()


@pytest.mark.parametrize(
    ("host", "written"),
    [("broker.local", "broker.local"), ("192.168.1.10", "192.168.1.10"), ("fe80::1", "[fe80::1]")],
)
def test_names_and_addresses_of_either_kind_are_taken(fleet, host, written, capsys):
    assert main(["broker-config", "--host", host, "--workspace", str(fleet)]) == 0
    assert f'url = "mqtts://{written}:8883"' in capsys.readouterr().out
    assert (fleet / "broker" / "mosquitto.conf").exists()
