import sqlite3
from contextlib import closing

import pytest

from agent.wire.errors import StoreFailed
from agent.wire.topics import DeviceId
from deploy.adapters.repository_tuf.keys import Role
from deploy.adapters.workspace import write_settings
from deploy.assemble.controller import auditing, serving
from deploy.assemble.enrolment import membership
from deploy.cli.main import main
from deploy.core.enrolment.orders import Identity
from deploy.core.refusal import Refused
from deploy.core.rollouts import letting_go
from deploy.core.rollouts.replaying import Agreement
from tests.fakes.controlled import Controlled

DEVICES = 12


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A rollout in three waves, and one of its kind that failed."""
    fleet = Controlled(tmp_path_factory.mktemp("audited"))
    write_settings(fleet.workspace)
    fleet.puppets.appear(fleet.ids(DEVICES))
    with fleet.desk() as desk:
        fleet.start(desk, "1", "50%", "100%")
        for failing in ((), (), fleet.ids(DEVICES)):
            fleet.puppets.follow(fleet.plan(), failing=failing)
            fleet.turn(desk)
    return fleet


@pytest.fixture
def meddled(told):
    """The ledger after an SQL statement, as whoever holds the file can; put back afterwards."""
    original = told.workspace.ledger.read_bytes()

    def meddle(*statements):
        with closing(sqlite3.connect(told.workspace.ledger, isolation_level=None)) as opened:
            for trigger in ("line_stays", "line_remains", "line_follows"):
                opened.execute(f"DROP TRIGGER {trigger}")
            for statement in statements:
                opened.execute(statement)
        return told.workspace

    yield meddle
    told.workspace.ledger.write_bytes(original)


def test_every_decision_of_the_controller_follows_again_from_the_ledger(told):
    found = list(auditing.replay(told.workspace))
    assert [each.agreement for each in found].count(Agreement.SAME) == len(found) - 1
    assert found[0].agreement is Agreement.UNKNOWN, "the first wave was a person's"
    assert found[-1].words.startswith("plan 4")


def test_a_judgement_that_does_not_follow_is_named(told):
    content = auditing.open_ledger(told.workspace)
    judged = [line for line in content.lines() if type(line.entry).__name__ == "Judged"]
    kept = {line.entry.picture: content.content(line.entry.picture) for line in judged}
    first, last = judged[0].entry.picture, judged[-1].entry.picture
    swapped = {first: kept[last], last: kept[first]}
    replayed = list(
        auditing.replaying.replay(content.lines(), lambda named: swapped.get(named, kept.get(named)))
    )
    assert next(each.number for each in replayed if each.agreement is Agreement.OTHER) == judged[0].number


def test_pictures_of_rollouts_that_ended_make_room_and_the_audit_stays_true(tmp_path, monkeypatch):
    fleet = Controlled(tmp_path)
    write_settings(fleet.workspace)
    fleet.puppets.appear(fleet.ids(DEVICES))
    monkeypatch.setattr(letting_go.outdated, "__defaults__", (0,))
    with fleet.desk() as desk:
        fleet.start(desk, "50%", "100%")
        for _ in range(2):
            assert len(desk.ledger.sizes()) < 2
            fleet.puppets.follow(fleet.plan())
            fleet.turn(desk)
        assert desk.fleet().active(fleet.workspace.settings.fleet.stream) is None
        assert len(desk.ledger.sizes()) == 1, "the newest stays"
    assert auditing.verify(fleet.workspace).lines
    agreements = {each.agreement for each in auditing.replay(fleet.workspace)}
    assert agreements == {Agreement.SAME, Agreement.UNKNOWN}


def test_a_whole_ledger_verifies_against_a_head_that_was_noted_before(told, capsys):
    lines = auditing.open_ledger(told.workspace).lines()
    noted = lines[3].chain
    assert auditing.verify(told.workspace, noted).lines == len(lines)
    assert main(["audit", "verify", "--workspace", str(told.workspace.folder)]) == 0
    assert f"head {lines[-1].chain}" in capsys.readouterr().out
    assert main(["audit", "replay", "--workspace", str(told.workspace.folder)]) == 0
    assert main(["audit", "show", "--workspace", str(told.workspace.folder)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(lines) + 2


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE line SET body = CAST(replace(CAST(body AS TEXT), 'ann', 'bob') AS BLOB)", "line 1 is not"),
        ("DELETE FROM line WHERE number = 2", "line 2 is missing"),
        ("DELETE FROM line WHERE number > 2", "lines were cut off its end"),
        ("DELETE FROM line WHERE number = (SELECT max(number) FROM line)", "lines were cut off its end"),
        ("DELETE FROM line", "lines were cut off its end"),
    ],
)
def test_a_ledger_that_was_changed_is_refused_and_the_line_is_named(meddled, capsys, statement, words):
    workspace = meddled(statement)
    with pytest.raises(Refused, match=words):
        auditing.verify(workspace)
    assert main(["audit", "verify", "--workspace", str(workspace.folder)]) == 1
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_ledger_that_was_written_anew_is_told_by_the_head_that_was_noted(told):
    with pytest.raises(Refused, match="holds no line of chain"):
        auditing.verify(told.workspace, "ab" * 32)


def test_an_older_copy_of_the_ledger_is_told_until_the_timestamp_has_another_key(tmp_path, caplog):
    """A device that was expelled meanwhile would be believed again, and no chain says so."""
    fleet = Controlled(tmp_path)
    ledger, device = fleet.workspace.ledger, DeviceId("pi-stolen")
    membership.admit(fleet.workspace, Identity(device, (), "cpu", "password"), "")
    older = ledger.read_bytes()
    membership.expel(fleet.workspace, device, "stolen")
    with fleet.desk() as desk:
        desk.renew()
    auditing.verify(fleet.workspace)
    ledger.write_bytes(older)
    with pytest.raises(Refused, match=r"come to line 3 .* cut off its end"):
        auditing.verify(fleet.workspace)
    with fleet.desk() as desk, serving.in_place(fleet.workspace, desk, None):
        assert "ledger.cut" in caplog.text
        desk.renew()
    with pytest.raises(Refused, match=r"line 3 is another one .* written anew"):
        auditing.verify(fleet.workspace)
    fleet.repository().rotate(Role.TIMESTAMP)
    auditing.verify(fleet.workspace)
    with fleet.desk() as desk:
        desk.renew()
    assert fleet.repository().noted().number == len(auditing.written(fleet.workspace))


def test_nobody_decides_by_a_ledger_that_was_changed(told, meddled):
    meddled("UPDATE line SET chain = 'x' WHERE number = 3")
    with told.desk() as desk, pytest.raises(StoreFailed, match="line 3 "):
        desk.decide(lambda _fleet, _picture: ())
