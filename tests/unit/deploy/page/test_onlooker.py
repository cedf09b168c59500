"""What the page knows of a fleet, turn by turn, and what it does not do again."""

import json

import msgspec
import pytest
from msgspec.structs import replace

from agent.core.page.words import Broker
from agent.core.telemetry.latency import percentiles
from agent.wire.errors import StoreFailed
from agent.wire.reports import Presence
from agent.wire.topics import DeviceId
from deploy.adapters import lock_file
from deploy.adapters.lock_file import Holder
from deploy.adapters.workspace import write_settings
from deploy.assemble.controller import rollouts
from deploy.assemble.desk.controlling import Desk
from deploy.core.page import table
from deploy.core.page.words import SteerAsked
from deploy.core.refusal import Refused
from deploy.core.rollouts import orders
from deploy.page import onlooker
from deploy.page.broker_news import BrokerNews
from deploy.page.onlooker import Onlooker
from deploy.page.orders import Orders
from deploy.page.telling import Telling, Unknown, evaluation, lines_about
from tests.fakes.controlled import ANN, Controlled
from tests.fakes.evaluations import evaluated, report
from tests.fakes.rollouts import CANDIDATE, STABLE, evidence


@pytest.fixture
def fleet(tmp_path):
    fleet = Controlled(tmp_path)
    fleet.puppets.appear(fleet.ids(3))
    return fleet


@pytest.fixture
def looker(fleet):
    with fleet.desk() as desk:
        desk.assert_stands()
        news = BrokerNews(fleet.clock, "mqtt://here:1883")
        news.connections = desk.connections
        news.broker = Broker(up=True, place="here:1883", since=fleet.clock.now())
        yield Onlooker(desk, news)


def events(told):
    """Each event's name and document."""
    lines = told.decode().split("\n\n")
    return [
        (
            each.splitlines()[0].removeprefix("event: "),
            json.loads(each.splitlines()[1].removeprefix("data: ")),
        )
        for each in lines
        if each
    ]


def of(told, name):
    return [document for kind, document in events(told) if kind == name]


def seen(looker):
    """Turns until the fleet was read, and nothing is new."""
    while looker.turn():
        pass
    return looker


def test_what_was_ordered_and_is_not_signed_is_said_to_wait_and_for_whom(looker, fleet, monkeypatch):
    def note():
        seen(looker)
        return Telling(looker).rollout("r").note

    desk = looker.desk
    write_settings(fleet.workspace)
    with fleet.desk() as other:
        fleet.start(other, "1", "100%")
    assert "nobody carries it out until shoal serve runs" in note()
    monkeypatch.setattr(lock_file, "controller", lambda _: Holder(host="h", user="u", pid=1, since=desk.now))
    assert note() == ""
    rollouts.order(desk, "r", orders.pause, ANN, Desk.write)
    assert note().startswith("plan 2 stands in the ledger and is not signed yet")
    rollouts.order(desk, "r", orders.revert, ANN, Desk.write)
    assert note().startswith("plan 3 stands in the ledger and is not signed yet")
    monkeypatch.undo()
    assert "nobody carries it out until shoal serve runs" in note()
    desk.carry_out()
    assert "nobody carries" not in note()


def test_what_was_remembered_is_shown_before_the_broker_is_read_and_what_it_holds_after(looker):
    (first,) = of(looker.turn(), "fleet")
    assert (first["rows"], first["missing"]) == ([], ["the fleet was not read yet"])
    (second,) = of(looker.turn(), "fleet")
    assert [row["device"] for row in second["rows"]] == ["pi-000", "pi-001", "pi-002"]
    assert second["counts"]["online"] == 3
    assert second["version"] == looker.now().version == first["version"] + 1


def test_only_the_device_that_spoke_is_judged_again(looker, fleet, monkeypatch):
    seen(looker)
    judged = []
    real = table.judge

    def counting(wanted, *rest):
        judged.append(tuple(wanted))
        return real(judged[-1], *rest)

    monkeypatch.setattr(table, "judge", counting)
    fleet.puppets.says(DeviceId("pi-001"), Presence.OFFLINE)
    (changed,) = of(looker.turn(), "fleet")
    assert judged == [("pi-001",)]
    assert [(row["device"], row.get("online", False)) for row in changed["rows"]] == [("pi-001", False)]
    assert looker.turn() == b""


def test_a_decision_is_told_in_words_and_all_are_judged_by_it(looker, fleet):
    seen(looker)
    fleet.start(looker.desk, "1", "100%")
    told = looker.turn()
    assert [line["kind"] for line in of(told, "line")] == ["started", "steered"]
    (brief,) = of(told, "rollout")
    assert (brief["state"], brief["by"], brief["wave"]) == ("running", "ann", 0)
    (changed,) = of(told, "fleet")
    assert sorted(row["code"] for row in changed["rows"]) == ["outside-cut", "outside-cut", "plan-not-seen"]


def test_while_the_broker_is_away_what_was_known_stays_and_that_is_said(looker, fleet):
    seen(looker)
    before = looker.now()
    looker._news.connections.up = False
    looker._news.broker = Broker(up=False, since=fleet.clock.now(), reason="it was killed")
    (turned,) = of(looker.turn(), "broker")
    assert turned["broker"]["reason"] == "it was killed"
    fleet.puppets.says(DeviceId("pi-001"), Presence.OFFLINE)
    assert looker.turn() == b""
    assert looker.now().rows == before.rows


def test_without_a_broker_nobody_is_let_in_and_a_rollout_can_still_be_stopped(looker, fleet):
    fleet.start(looker.desk, "1", "100%")
    seen(looker)
    looker._news.connections.up = False
    looker._news.broker = Broker(up=False, since=fleet.clock.now(), reason="it was killed")
    looker.turn()
    orders = Orders(looker)
    with pytest.raises(Refused, match="nobody can promote a rollout by an old picture"):
        orders.steer("r", "promote", SteerAsked(force=True, why="now"), "olga")
    orders.steer("r", "pause", SteerAsked(why="the broker died"), "olga")
    (told,) = of(looker.turn(), "rollout")
    assert told["state"] == "paused"
    with pytest.raises(Refused, match="type its name: r"):
        orders.steer("r", "abort", SteerAsked(why="bad"), "olga")
    orders.steer("r", "abort", SteerAsked(why="bad", confirm="r"), "olga")
    (told,) = of(looker.turn(), "rollout")
    assert told["state"] == "reverted"


def test_two_hands_that_promote_let_in_one_wave(looker, fleet):
    fleet.start(looker.desk, "1", "2", "100%")
    seen(looker)
    orders, both = Orders(looker), SteerAsked(force=True, why="it is well", wave=0)
    orders.steer("r", "promote", both, "olga")
    with pytest.raises(Refused, match="rollout r has moved on meanwhile: wave 2 of 3 is out; look again"):
        orders.steer("r", "promote", both, "ava")


@pytest.mark.parametrize("verb", ["delete", "force", ""])
def test_a_verb_that_there_is_not_is_refused_with_those_that_there_are(looker, fleet, verb):
    fleet.start(looker.desk, "100%")
    seen(looker)
    with pytest.raises(Refused, match="it takes pause, resume, promote, abort, revert"):
        Orders(looker).steer("r", verb, SteerAsked(), "olga")


def test_a_ledger_that_cannot_be_read_is_said_and_what_was_known_stays(looker, monkeypatch):
    seen(looker)

    def damaged(*_):
        raise StoreFailed("the ledger was changed: line 3 is not what was written")

    monkeypatch.setattr(looker.desk.ledger, "lines", damaged)
    (changed,) = of(looker.turn(), "fleet")
    assert changed["fault"].startswith("the ledger was changed")
    assert len(looker.now().rows) == 3
    monkeypatch.undo()
    (mended,) = of(looker.turn(), "fleet")
    assert mended["fault"] == ""


def test_the_audit_is_paged_from_the_newest_line_to_the_oldest(looker, fleet):
    fleet.start(looker.desk, "1", "100%")
    seen(looker)
    telling = Telling(looker)
    first = telling.audit(None, 2)
    assert ([line.number for line in first.lines], first.total, first.before) == ([3, 2], 3, 2)
    second = telling.audit(first.before, 2)
    assert ([line.number for line in second.lines], second.before) == ([1], None)
    assert telling.audit(1, 2).lines == ()


def test_a_device_is_explained_with_its_pipelines_and_what_was_decided_about_it(looker, fleet):
    fleet.start(looker.desk, "100%")
    fleet.follow()
    seen(looker)
    fleet.turn(looker.desk)
    seen(looker)
    told = Telling(looker).device("pi-000")
    (pipeline,) = told.pipelines
    assert (pipeline.explained.code, pipeline.row.running) == ("serving-candidate", "cats@2")
    assert pipeline.report is not None
    assert "it is healthy after wave 1" in lines_about(fleet.workspace, "pi-000")[0].what
    with pytest.raises(Unknown, match="no device is named pi-00: did you mean pi-000"):
        Telling(looker).device("pi-00")


def test_what_a_release_has_shown_is_told_in_percentiles(looker, fleet):
    fleet.start(looker.desk, "100%")
    fleet.follow()
    device = DeviceId("pi-000")
    shown, nothing = evidence(CANDIDATE, invoke_ms=7.0), evidence(STABLE, frames=0)
    fleet.puppets.report(replace(fleet.puppets.told[device], serving=shown, before=nothing))
    seen(looker)
    (pipeline,) = Telling(looker).device(device).pipelines
    assert pipeline.serving_ms == percentiles(shown.invoke_ms)
    assert pipeline.before_ms is None


def test_a_release_is_told_with_the_evaluation_that_came_with_it(looker, fleet):
    seen(looker)
    ref = fleet.releases[1]
    telling = Telling(looker)
    assert telling.release("cats", "2").report is None
    came = report(evaluated(b"model 2"))
    folder = fleet.workspace.evaluations
    folder.mkdir()
    (folder / f"{ref.manifest}.json").write_bytes(msgspec.json.encode(came))
    assert telling.release("cats", "2").report == came
    (folder / f"{ref.manifest}.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreFailed, match="is damaged"):
        evaluation(fleet.workspace, ref)
    with pytest.raises(Unknown, match="there is no release dogs@1"):
        telling.release("dogs", "1")
    assert [each.version for each in telling.releases().releases] == ["2", "1"]


def test_a_row_that_is_as_before_is_no_news_and_one_that_is_gone_is(looker):
    seen(looker)
    now = dict(looker.rows)
    changed = {**now, "pi-001": replace(now["pi-001"], paused=True)}
    del changed["pi-002"]
    found = table.difference(now, changed)
    assert ([row.device for row in found.rows], found.gone) == (["pi-001"], ("pi-002",))


def test_a_change_of_much_of_the_fleet_says_that_the_table_is_to_be_read(looker, fleet, monkeypatch):
    assert looker.running() is None
    seen(looker)
    assert len(looker.running()) == 3
    monkeypatch.setattr(onlooker, "TOLD_MAX", 2)
    fleet.start(looker.desk, "1", "100%")
    changed = of(looker.turn(), "fleet")[-1]
    assert (changed["anew"], changed["rows"], changed["version"]) == (True, [], looker.version)
