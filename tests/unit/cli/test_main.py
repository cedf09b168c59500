import pytest

from agent.cli.main import main


def test_a_wrong_command_is_told_those_that_are_for_people(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["nope"])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert [
        word for word in ("run", "check", "hold", "classify", "inspect", "invoke") if word not in said
    ] == []
    assert [word for word in ("worker", "canary", "feeder", "_native", "_examine") if word in said] == []


@pytest.mark.parametrize("child", ["worker", "canary", "feeder"])
def test_a_child_process_finds_its_command_all_the_same(child, capsys):
    with pytest.raises(SystemExit) as ended:
        main([child, "--help"])
    assert ended.value.code == 0
    assert f"shoal-agent {child}" in capsys.readouterr().out
