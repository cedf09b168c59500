"""`shoal-agent check` as it is typed; the areas that need nothing but this process."""

import json

import pytest

from agent.cli.main import main

PATTERN = "[camera]\nkind = 'pattern'\n"


def written(folder, text=PATTERN):
    path = folder / "agent.toml"
    path.write_text(text)
    return str(path)


def test_every_finding_is_a_line_and_its_remedy_another(tmp_path, capsys):
    assert main(["check", "--config", written(tmp_path), "--only", "config", "--only", "trust"]) == 78
    first, second, remedy, empty, verdict = capsys.readouterr().out.splitlines()
    assert first.split(maxsplit=2)[:2] == ["ok", "config"]
    assert second.split(maxsplit=2)[:2] == ["fatal", "trust.missing"]
    assert remedy.strip().startswith("-> copy root.json")
    assert (empty, verdict) == ("", "a person must act before this device can serve")


def test_a_broken_file_is_told_whatever_is_asked_for_and_only_what_needs_none_is_examined(tmp_path, capsys):
    path = written(tmp_path, "[camera]\nrate = 5\n")
    asked = ["--only", "broker", "--only", "camera", "--only", "host"]
    assert main(["check", "--json", "--config", path, *asked]) == 78
    answer = json.loads(capsys.readouterr().out)
    config, host = answer["findings"]
    assert config["cause"] == (
        f"configuration {path} line 2: unknown key 'rate' in [camera]; did you mean 'rate_fps'?"
    )
    assert host["name"].startswith("host")
    assert not answer["serves"]


def test_a_file_that_is_its_own_link_is_a_finding(tmp_path, capsys):
    path = tmp_path / "agent.toml"
    path.symlink_to(path)
    assert main(["check", "--config", str(path)]) == 78
    assert "config.refused" in capsys.readouterr().out.splitlines()[0]


def test_a_folder_that_is_gone_is_a_finding(tmp_path, capsys, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr("agent.config.DEFAULT_PATH", tmp_path / "none.toml")
    assert main(["check", "--only", "host"]) == 78
    assert "the current folder cannot be used" in capsys.readouterr().out


def test_before_anything_is_configured_the_defaults_are_examined(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("agent.config.reading.DEFAULT_PATH", tmp_path / "none.toml")
    monkeypatch.setattr("agent.config.DEFAULT_PATH", tmp_path / "none.toml")
    assert main(["check", "--only", "config", "--only", "agent"]) == 0
    out = capsys.readouterr().out
    assert "note      config.none" in out
    assert out.endswith("this device can serve\n")


def test_the_settings_are_shown_with_their_origin(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("agent.cli.check.Area", [])
    assert main(["check", "--config", written(tmp_path)]) == 0
    rows = dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines() if "=" in line)
    shown = {key.strip(): value.split() for key, value in rows.items()}
    assert shown["camera.kind"] == ['"pattern"', "line", "2"]
    assert shown["broker.keepalive_s"] == ["30", "default"]
    assert shown["device.id"][1:] == ["the", "host's", "name"]


def test_json_has_the_fields_that_programs_rely_on(tmp_path, capsys):
    assert main(["check", "--json", "--config", written(tmp_path), "--only", "host"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"serves", "settings", "findings"}
    [finding] = answer["findings"]
    assert set(finding) == {"name", "severity", "cause", "remedy", "facts"}
    assert finding["severity"] in {"ok", "note", "degraded"}


def test_an_unknown_area_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["check", "--only", "weather"])
    assert ended.value.code == 2
    assert "'broker'" in capsys.readouterr().err
