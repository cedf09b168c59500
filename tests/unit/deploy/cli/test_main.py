"""The words of the command line; what the commands do is shown by tests/scenario/test_operator.py."""

import json
import subprocess
import sys

import pytest

from agent.wire.documents import MaintenanceWindow, TrialPolicy
from agent.wire.errors import ConfigError
from deploy.cli import model_command
from deploy.cli.command import Group
from deploy.cli.main import COMMANDS, commands, main, parser
from deploy.cli.rollout import asking
from deploy.core.rollouts.words import GatePolicy, Policy


def everything(commands, words=()):
    for command in commands:
        if isinstance(command, Group):
            yield from everything(command.commands, (*words, command.name))
        else:
            yield (*words, command.name)


ALL = tuple(everything(commands()))


@pytest.mark.parametrize("words", [(), ("model",), *ALL], ids=" ".join)
def test_every_command_explains_itself(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: {' '.join(('shoal', *words))}")
    assert "None" not in said


def test_every_command_is_found_under_its_name():
    assert [command.name for command in commands()] == list(COMMANDS)
    assert [[command.name for command in commands([word])] for word in COMMANDS] == [
        [word] for word in COMMANDS
    ]


def test_whoever_looks_at_devices_does_not_wait_for_arrays_to_be_loaded():
    probe = (
        "import sys; from deploy.cli import main; main.commands(['devices']); print('numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["relese"],
        ["rollout", "birds"],
        ["rollout", "start", "birds", "--waves", "some"],
        ["rollout", "start", "birds", "--waves", "5%,1%"],
        ["rollout", "start", "birds", "--trial-shadow-frames", "few"],
        ["release", "a.tflite", "--name", "x", "--version", "1", "--tolerance", "2"],
        ["release", "a.tflite", "--name", "x", "--version", "1", "--fit", "stretch"],
        ["release", "a.tflite", "--name", "x", "--version", "1", "--mean", "a,b"],
    ],
)
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err


def test_policies_of_a_rollout_default_to_those_of_the_contract():
    options = parser().parse_args(["rollout", "start", "birds", "--trial-shadow-frames", "3"])
    assert asking.policy(options) == Policy(trial=TrialPolicy(shadow_frames=3))


def test_what_the_options_say_counts_before_the_policy_file(tmp_path):
    file = tmp_path / "policy.toml"
    night = 'windows = ["mon 02:00-05:00"]\n'
    file.write_text(f"{night}spread_s = 60\n[trial]\nshadow_frames = 7\n[gate]\nfailed_max = 2\n")
    words = ["rollout", "plan", "birds", "--policy", str(file), "--trial-shadow-frames=9"]
    assert asking.policy(parser().parse_args(words)) == Policy(
        windows=(MaintenanceWindow(days=(0,), start_minute=120, minutes=180),),
        spread_s=60.0,
        trial=TrialPolicy(shadow_frames=9),
        gate=GatePolicy(failed_max=2),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sprad_s = 60", "sprad_s"),
        ("spread_s = -1", "spread_s"),
        ('windows = ["nights"]', "'nights' is no maintenance window"),
        ("windows = 5", "Expected `array`"),
        ("=", "Invalid"),
    ],
)
def test_a_policy_that_is_none_is_a_fault_of_its_file(tmp_path, text, said):
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(ConfigError, match=rf"policy .*policy.toml: .*{said}"):
        asking.policy(parser().parse_args(["rollout", "plan", "x", "--policy", f"{tmp_path}/policy.toml"]))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["rollout", "start", "x"], 78, "there is no shoal.toml in"),
        (["devices", "--workspace", "nowhere"], 78, "there is no shoal.toml in"),
        (["init", "w", "--broker", "http://x"], 78, "begin with mqtt://"),
        (["init", "w", "--fleet", "a b"], 1, "fleet 'a b'"),
        (["init", "w", "--root", "a//b"], 78, "topic root 'a//b'"),
        (["model", "fetch", "efficientnet"], 1, "did you mean 'efficientnet_lite0'?"),
    ],
)
def test_a_refusal_is_one_sentence_on_stderr(arguments, code, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("shoal: ")
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def workspace(tmp_path, monkeypatch, capsys):
    assert main(["init", str(tmp_path / "fleet"), "--fleet", "garden", "--broker", "mqtt://127.0.0.1:9"]) == 0
    capsys.readouterr()
    monkeypatch.chdir(tmp_path / "fleet")
    return tmp_path / "fleet"


def test_init_makes_what_it_says_and_warns_of_the_offline_keys(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "fleet"]) == 0
    said = capsys.readouterr().out
    assert "OFFLINE KEYS" in said
    assert "shoal/home" in said
    assert main(["init", "fleet"]) == 1
    assert "is a workspace already" in capsys.readouterr().err


def test_the_root_of_trust_is_what_devices_are_given(workspace, capsys):
    assert json.loads((workspace / "root.json").read_bytes())["signed"]["_type"] == "root"
    assert main(["device-config", "pi-1", "-o", "out/pi-1.toml"]) == 0
    capsys.readouterr()
    assert (workspace / "out" / "root.json").read_bytes() == (workspace / "root.json").read_bytes()
    assert main(["device-config", "pi-1"]) == 0
    assert f'root = "{workspace.resolve()}/root.json"' in capsys.readouterr().out


def test_the_root_of_trust_of_another_fleet_is_not_overwritten(workspace, capsys):
    (workspace / "out").mkdir()
    (workspace / "out" / "root.json").write_text("{}")
    assert main(["device-config", "pi-1", "-o", "out/pi-1.toml"]) == 1
    assert "is the root of trust of another fleet" in capsys.readouterr().err
    assert [path.name for path in (workspace / "out").iterdir()] == ["root.json"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["device-config", "a b"], 78, "device id 'a b'"),
        (["device-config", "a", "--broker", "x"], 78, "begin with mqtt://"),
        (["release", "gone.tflite", "--name", "x", "--version", "1"], 1, "gone.tflite: No such file"),
        (["release", "shoal.toml", "--name", "x", "--version", "1"], 1, "not a TFLite model"),
        (["release", "a", "--name", "x", "--version", "1", "--mean", "1"], 1, "belong together"),
        (["release", "a", "--name", "x", "--version", "1", "--offline-keys", "gone"], 78, "no such folder"),
        (["rollout", "start", "x", "--match", "garden"], 1, "KEY=VALUE"),
        (["rollout", "start", "x", "--match", "tag=a & colour=b"], 1, "hardware, tag, id"),
        (["rollout", "plan", "x", "--trial-agreement-min", "2"], 1, "--trial-agreement-min 2.0"),
        (["rollout", "start", "x", "--spread-s", "-1"], 1, "0 or more"),
        (["rollout", "start", "x", "--policy", "gone.toml"], 78, "gone.toml: No such file"),
        (["rollout", "status", "x"], 1, "there is no rollout 'x'"),
        (["rollout", "approve", "x", "--wave", "1", "--key", "gone.pem"], 78, "gone.pem: No such file"),
    ],
)
@pytest.mark.usefixtures("workspace")
def test_bad_input_is_refused_before_the_broker_is_asked(arguments, code, said, capsys):
    assert main(arguments) == code
    assert said in capsys.readouterr().err


def test_the_models_are_listed_for_people_and_programs(capsys):
    assert main(["model", "list"]) == 0
    assert "shipped" in capsys.readouterr().out
    assert main(["model", "list", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert (first["name"], first["shipped"]) == ("efficientnet_lite0", True)


def test_ctrl_c_ends_with_130(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(model_command.workspaces, "open_registry", interrupted)
    assert main(["model", "list"]) == 130
    assert capsys.readouterr().err == "shoal: interrupted\n"


def test_a_reader_that_has_seen_enough_is_no_error():
    with subprocess.Popen(
        [sys.executable, "-m", "deploy", "model", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as shoal:
        shoal.stdout.close()
        assert shoal.stderr.read() == b""
    assert shoal.returncode == 0


@pytest.mark.parametrize("name", ["password_file", "ca", "certificate", "key"])
def test_a_file_that_the_settings_name_and_that_is_not_there_is_for_a_person(name, workspace, capsys):
    settings = workspace / "shoal.toml"
    settings.write_text(settings.read_text().replace("[broker]\n", f'[broker]\n{name} = "gone"\n'))
    assert main(["devices"]) == 78
    assert capsys.readouterr().err.endswith(
        f"gone, which shoal.toml names as {name}: No such file or directory\n"
    )
