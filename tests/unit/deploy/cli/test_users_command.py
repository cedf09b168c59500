import json

import pytest

from agent.core.page.access import Role
from deploy.assemble.desk import workspaces
from deploy.cli.fleet import users_command
from deploy.cli.main import main
from deploy.page.people import People


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    made = workspaces.create(tmp_path / "fleet", fleet="home", url="mqtt://127.0.0.1:1", root="shoal/home")
    (made.folder / "word.txt").write_text("correct horse\nbattery\n", encoding="utf-8")
    monkeypatch.chdir(made.folder)
    return made


def test_a_user_is_made_listed_given_another_role_and_removed(fleet, capsys):
    assert main(["users", "list"]) == 0
    assert "nobody may order anything on the page" in capsys.readouterr().err
    assert main(["users", "add", "olga", "--password-file", "word.txt"]) == 0
    assert capsys.readouterr().out == "olga is a viewer\n"
    olga = People(fleet.users).by_password("olga", "correct horse")
    assert (olga.name, olga.role) == ("olga", Role.VIEWER)
    assert main(["users", "role", "olga", "operator"]) == 0
    assert capsys.readouterr().out == "olga is an operator\n"
    assert main(["users", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "olga", "role": "operator", "token": False}]
    assert main(["users", "remove", "olga"]) == 0
    assert not People(fleet.users).any


def test_a_token_is_shown_once_and_only_its_digest_is_kept(fleet, capsys):
    main(["users", "add", "olga", "--password-file", "word.txt"])
    capsys.readouterr()
    assert main(["users", "token", "olga", "--json"]) == 0
    token = json.loads(capsys.readouterr().out)["token"]
    assert token not in fleet.users.read_text(encoding="utf-8")
    assert People(fleet.users).by_token(token).name == "olga"


def test_a_password_is_typed_twice_alike(fleet, capsys, monkeypatch):
    typed = iter(["correct horse", "correct hors", "battery staple", "battery staple"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(users_command.getpass, "getpass", lambda _: next(typed))
    assert main(["users", "add", "olga"]) == 1
    assert "the two are not the same" in capsys.readouterr().err
    assert main(["users", "add", "olga"]) == 0
    assert People(fleet.users).by_password("olga", "battery staple") is not None


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["add", "../olga", "--password-file", "word.txt"], 1, "is no name of a user"),
        (["add", "olga", "--password-file", "nowhere"], 78, "--password-file nowhere: "),
        (["add", "olga"], 78, "nobody is there to type a password"),
        (["role", "olga", "viewer"], 1, "there is no user olga: there is nobody yet"),
        (["remove", "olga"], 1, "there is no user olga"),
        (["token", "olga"], 1, "there is no user olga"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(words, code, said, capsys):
    assert main(["users", *words]) == code
    assert said in capsys.readouterr().err


def test_a_short_password_is_refused_with_the_shortest(fleet, capsys):
    (fleet.folder / "word.txt").write_text("short\n", encoding="utf-8")
    assert main(["users", "add", "olga", "--password-file", "word.txt"]) == 1
    assert "a password of 5 letters is too short: 8 at least" in capsys.readouterr().err
