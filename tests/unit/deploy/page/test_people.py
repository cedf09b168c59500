"""Who is let onto a fleet's page, by the users of its workspace."""

import os
from dataclasses import replace
from hashlib import sha256

import pytest
from starlette.requests import Request

from agent.adapters.web import passwords
from agent.adapters.web.not_now import NotNow
from agent.core.page import place
from agent.core.page.access import Person, Role
from agent.wire.errors import ConfigError
from deploy.adapters import users_file
from deploy.adapters.users_file import User, Users
from deploy.page import people, running
from deploy.page.gate import FleetGate
from deploy.page.people import People

CHEAP = passwords.stored("correct horse")
OLGA = User(name="olga", role=Role.OPERATOR, password=CHEAP, token=sha256(b"token of olga").hexdigest())

KNOWN = Person("olga", Role.OPERATOR, sha256(CHEAP.encode()).hexdigest())


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(people, "LOOKED_AFTER_S", 0.0)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "users.json"
    users_file.write(path, Users(users=(OLGA,)))
    return path


def asked(**headers):
    found = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": found, "client": ("127.0.0.1", 1)})


@pytest.mark.parametrize(
    ("name", "password", "person"),
    [
        ("olga", "correct horse", KNOWN),
        ("olga", "correct hors", None),
        ("", "correct horse", None),
        ("nobody", "correct horse", None),
    ],
)
def test_a_name_and_its_password_are_let_in_together(file, name, password, person):
    assert People(file).by_password(name, password) == person


def test_a_token_stands_for_its_user_and_an_empty_one_for_nobody(file):
    assert People(file).by_token("token of olga") == KNOWN
    assert People(file).by_token("token of ava") is None
    users_file.write(file, Users(users=(User(name="ava", role=Role.APPROVER, password=CHEAP),)))
    assert People(file).by_token("") is None


def test_what_somebody_may_follows_the_file(file):
    known = People(file)
    olga = known.by_password("olga", "correct horse")
    users_file.write(file, Users(users=(User(name="olga", role=Role.VIEWER, password=CHEAP),)))
    assert known.still(olga) == replace(KNOWN, role=Role.VIEWER)
    users_file.write(file, Users())
    assert known.still(olga) is None


def test_another_password_ends_what_the_old_one_began(file):
    known = People(file)
    olga = known.by_password("olga", "correct horse")
    other = passwords.stored("correct donkey")
    users_file.write(file, Users(users=(User(name="olga", role=Role.OPERATOR, password=other),)))
    assert known.still(olga) is None
    assert known.still(known.by_password("olga", "correct donkey")) is not None


def test_a_file_that_others_may_read_or_that_is_damaged_lets_nobody_in_and_says_why(file):
    assert file.stat().st_mode & 0o777 == 0o600
    known = People(file)
    file.chmod(0o644)
    assert (known.by_token("token of olga"), "chmod 600" in known.fault, known.any) == (None, True, True)
    file.chmod(0o600)
    assert known.by_token("token of olga") is not None
    file.write_text("{", encoding="utf-8")
    assert known.by_token("token of olga") is None
    assert "is damaged" in known.fault


def test_whose_password_cannot_be_examined_is_not_told_that_it_is_wrong(file):
    known = People(file)
    file.write_text("{", encoding="utf-8")
    with pytest.raises(
        NotNow, match=r"the file of users cannot be read: shoal users list, .* says why"
    ) as told:
        known.by_password("olga", "correct horse")
    assert told.value.status == 503
    users_file.write(file, Users(users=(OLGA,)))
    assert known.by_password("olga", "correct horse") == KNOWN


def test_without_users_whoever_is_at_this_machine_looks_and_nobody_else(tmp_path):
    nobody = People(tmp_path / "users.json")
    here = FleetGate(nobody, "fleet", tls=False, loopback=True)
    assert (here.asks, here.admit(asked())) == (False, Person("", Role.VIEWER))
    beyond = FleetGate(nobody, "fleet", tls=False, loopback=False)
    assert (beyond.asks, beyond.admit(asked())) == (True, None)
    with pytest.raises(ConfigError, match=r"there are no users: shoal users add"):
        running.require_guarded(place.parse("0.0.0.0:8470"), nobody)
    running.require_guarded(place.parse("127.0.0.1:8470"), nobody)


def test_the_first_user_closes_the_door_to_whoever_has_no_name(file):
    gate = FleetGate(People(file), "fleet", tls=False, loopback=True)
    assert gate.asks
    assert gate.admit(asked()) is None
    assert gate.admit(asked(authorization="Bearer token of olga")) == KNOWN


def test_a_workspace_without_keys_only_shows(tmp_path):
    assert not running.signs(tmp_path / "keys")
    (tmp_path / "keys").mkdir()
    assert not running.signs(tmp_path / "keys")
    (tmp_path / "keys" / "rollouts.pem").touch()
    assert running.signs(tmp_path / "keys")


def test_a_user_of_a_schema_to_come_is_refused(file):
    file.write_text('{"schema": 2, "users": []}', encoding="utf-8")
    with pytest.raises(ConfigError, match="is of schema 2, and this program reads 1"):
        users_file.read(file)


def test_the_file_is_never_readable_by_others_not_even_for_a_moment(tmp_path):
    before = os.umask(0)
    try:
        users_file.write(tmp_path / "deep" / "users.json", Users())
    finally:
        os.umask(before)
    assert (tmp_path / "deep" / "users.json").stat().st_mode & 0o777 == 0o600
