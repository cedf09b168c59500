import shutil
import time
from datetime import timedelta
from threading import Event

import pytest
from msgspec.structs import replace

from agent.core.update import cohort
from agent.wire.topics import DeviceId
from deploy.adapters.ledger_sqlite import SqliteLedger
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.workspace import Workspace
from deploy.assemble.controller import rollouts
from deploy.assemble.controller.serving import Controller, Pace
from deploy.assemble.desk import publishing
from deploy.assemble.desk.controlling import Desk
from deploy.core.fence import Fenced
from deploy.core.rollouts import orders
from deploy.core.rollouts.words import (
    ClassWithdrawn,
    GatePolicy,
    Judged,
    Outcome,
    Reasserted,
    Renewed,
    Steered,
    Verdict,
)
from deploy.ports.repository import ClockBehind
from tests.fakes.controlled import ANN, POLICY, Controlled

DEVICES = 10
PATIENT = replace(POLICY, gate=GatePolicy(deadline_s=1e6))


@pytest.fixture
def fleet(tmp_path) -> Controlled:
    fleet = Controlled(tmp_path)
    fleet.puppets.appear(fleet.ids(DEVICES))
    return fleet


def inside(fleet):
    plan = fleet.plan()
    return [d for d in fleet.ids(DEVICES) if cohort.belongs(plan.cut, "cpu", plan.salt, d)]


def entries(desk, kind):
    return [line.entry for line in desk.ledger.lines() if isinstance(line.entry, kind)]


def verdicts(desk):
    return [judged.judgement.verdict for judged in entries(desk, Judged)]


def signed_by_broker(fleet):
    """What a device would find there."""
    return fleet.repository().found(fleet.broker.retained.get(fleet.root.meta("timestamp")), None).timestamp


def test_a_good_release_reaches_everybody_wave_by_wave(fleet):
    with fleet.desk() as desk:
        fleet.start(desk, "1", "50%", "100%")
        reached = []
        for _ in range(3):
            reached.append(len(inside(fleet)))
            fleet.puppets.follow(fleet.plan())
            fleet.turn(desk)
        assert reached == [1, 5, DEVICES]
        assert desk.fleet().rollouts["r"].outcome is Outcome.COMPLETED
        assert verdicts(desk) == [Verdict.PROMOTE] * 3


def test_what_the_broker_dropped_on_its_way_to_the_controller_is_read_later(fleet):
    with fleet.desk() as desk:
        fleet.start(desk, "100%")
        fleet.turn(desk)
        fleet.broker.lose("#")
        fleet.puppets.follow(fleet.plan())
        fleet.broker.heal()
        fleet.turn(desk)
        assert desk.fleet().rollouts["r"].outcome is None
        Controller(desk, Event(), pace=Pace(heard_s=0.0)).turn()
        assert desk.fleet().rollouts["r"].outcome is Outcome.COMPLETED


def test_a_bad_release_is_taken_back_from_everybody_and_revoked(fleet):
    with fleet.desk() as desk:
        fleet.start(desk, "1", "100%")
        fleet.puppets.follow(fleet.plan(), failing=fleet.ids(DEVICES))
        fleet.turn(desk)
        assert verdicts(desk) == [Verdict.ABORT]
        assert desk.fleet().rollouts["r"].outcome is Outcome.REVERTED
        assert fleet.plan().candidate is None
        assert fleet.plan().revoked == (fleet.releases[1].manifest,)
        assert signed_by_broker(fleet) == fleet.repository().timestamp_version()


def test_one_hardware_class_is_taken_back_alone(tmp_path):
    fleet = Controlled(tmp_path)
    corals = fleet.ids(4)
    fleet.puppets.appear(corals, hardware="edgetpu")
    fleet.puppets.appear(fleet.ids(12)[4:])
    with fleet.desk() as desk:
        fleet.start(desk, "50%", "100%")
        fleet.puppets.follow(fleet.plan(), failing=corals)
        fleet.turn(desk)
        assert [entry.hardware for entry in entries(desk, ClassWithdrawn)] == ["edgetpu"]
        assert fleet.plan().cut["edgetpu"] == cohort.NOBODY
        fleet.puppets.follow(fleet.plan())
        for _ in range(2):
            fleet.turn(desk)
            fleet.puppets.follow(fleet.plan())
        assert desk.fleet().rollouts["r"].outcome is Outcome.COMPLETED
        assert fleet.plan().cut["edgetpu"] == cohort.NOBODY, "it takes no further part"


def test_devices_that_somebody_invents_meanwhile_outvote_nobody(fleet):
    with fleet.desk() as desk:
        fleet.start(desk, "50%", "100%", policy=PATIENT)
        fleet.turn(desk)
        invented = [DeviceId(f"sock-{number}") for number in range(100)]
        fleet.puppets.appear(invented)
        fleet.puppets.follow(fleet.plan(), failing=fleet.ids(DEVICES))
        fleet.turn(desk)
        assert desk.fleet().rollouts["r"].outcome is Outcome.REVERTED
        tally = entries(desk, Judged)[-1].judgement.tally
        assert (len(tally.failed), tally.healthy) == (5, ())


def test_nothing_is_written_while_nothing_changes(fleet):
    with fleet.desk() as desk:
        fleet.start(desk, "1", "100%")
        fleet.turn(desk)
        lines, published = len(desk.ledger.lines()), len(fleet.broker.published)
        for _ in range(3):
            fleet.turn(desk)
        assert (len(desk.ledger.lines()), len(fleet.broker.published)) == (lines, published)


def test_who_comes_next_goes_on_as_if_nobody_had_gone(tmp_path):
    """The same devices, steered by one controller, or by another one each turn."""

    def steered(folder, *, restarted):
        folder.mkdir()
        fleet = Controlled(folder)
        fleet.puppets.appear(fleet.ids(DEVICES))
        with fleet.desk() as first:
            fleet.start(first, "1", "50%", "100%")
            for _ in range(2):
                fleet.clock.advance(30.0)
                fleet.turn(first)
                fleet.puppets.follow(fleet.plan(), silent=fleet.ids(3))
                if restarted:
                    with fleet.desk() as another:
                        fleet.turn(another)
                else:
                    fleet.turn(first)
            decided = [line.entry for line in first.ledger.lines()]
            return [(type(each).__name__, getattr(each, "wave", None)) for each in decided], fleet.plan().cut

    assert steered(tmp_path / "a", restarted=False) == steered(tmp_path / "b", restarted=True)


def test_a_wave_costs_as_many_messages_for_many_devices_as_for_one(tmp_path):
    costs = []
    for count in (1, 30):
        (folder := tmp_path / str(count)).mkdir()
        fleet = Controlled(folder)
        fleet.puppets.appear(fleet.ids(count))
        with fleet.desk() as desk:
            fleet.start(desk, "1", "100%")
            fleet.puppets.follow(fleet.plan())
            before = len(fleet.broker.published)
            fleet.turn(desk)
            costs.append(len(fleet.broker.published) - before)
    assert costs == [5, 5], "the plan, who signs it, their list, the timestamp and the index"


def test_a_copy_of_the_workspace_is_fenced_and_changes_nothing(fleet, tmp_path):
    with fleet.desk() as desk:
        fleet.start(desk, "1", "100%")
        shutil.copytree(fleet.workspace.folder, tmp_path / "copy")
        fleet.puppets.follow(fleet.plan())
        fleet.turn(desk)
        copied = Workspace(tmp_path / "copy", fleet.workspace.settings)
        standing = dict(fleet.broker.retained)
        with (
            fleet.desk(copied) as other,
            pytest.raises(Fenced, match="timestamp 5, and the newest here is 4"),
        ):
            fleet.turn(other)
        with fleet.desk(copied) as other:
            for _ in range(3):
                other.repository.sign_timestamp()
            with pytest.raises(Fenced, match="another timestamp 5"):
                fleet.turn(other)
        assert fleet.broker.retained == standing
        fleet.turn(desk)


def test_a_copy_whose_timestamp_key_was_replaced_fences_the_original(fleet, tmp_path):
    with fleet.desk() as desk:
        fleet.start(desk, "1", "100%")
        shutil.copytree(fleet.workspace.folder, tmp_path / "copy")
        copied = Workspace(tmp_path / "copy", fleet.workspace.settings)
        with fleet.desk(copied) as other:
            other.repository.rotate("timestamp")
            other.assert_stands()
        with pytest.raises(Fenced, match="root of trust newer"):
            fleet.turn(desk)


class Killed(BaseException):
    """Nobody catches it; what is held is let go, as the kernel would."""


def dies(*_, **__):
    raise Killed


def dies_after(act):
    def done(*given, **named):
        act(*given, **named)
        raise Killed

    return done


POINTS = {
    "before it is written": (SqliteLedger, "append", lambda _: dies),
    "written": (SqliteLedger, "append", dies_after),
    "before it is signed": (TufRepository, "set_plan", lambda _: dies),
    "signed": (TufRepository, "set_plan", dies_after),
    "published": (publishing, "send_signed", dies_after),
}


@pytest.mark.parametrize("point", POINTS)
def test_what_a_dead_controller_had_begun_the_next_one_ends_once(fleet, monkeypatch, point):
    """`make kill-controller` does it with SIGKILL, over a real broker, at nine points."""
    where, name, how = POINTS[point]
    with fleet.desk() as desk:
        fleet.start(desk, "1", "100%")
        fleet.puppets.follow(fleet.plan())
        with monkeypatch.context() as patched:
            patched.setattr(where, name, how(getattr(where, name)))
            with pytest.raises(Killed):
                fleet.turn(desk)
    with fleet.desk() as desk:
        fleet.turn(desk)
        fleet.turn(desk)
        assert [entry.wave for entry in entries(desk, Steered)] == [0, 1]
        assert fleet.plan() == entries(desk, Steered)[-1].plan
        assert signed_by_broker(fleet) == fleet.repository().timestamp_version()
        assert not desk.outstanding


@pytest.mark.parametrize("forgotten", ["everything", "the last wave", "a forgery"])
def test_a_broker_that_forgot_is_brought_up_again_and_that_is_recorded(fleet, forgotten):
    with fleet.desk() as desk:
        fleet.start(desk, "1", "100%")
        old = dict(fleet.broker.retained)
        fleet.puppets.follow(fleet.plan())
        fleet.turn(desk)
        new = fleet.repository().publication()
        timestamp = fleet.root.meta("timestamp")
        if forgotten == "everything":
            fleet.broker.retained.clear()
        elif forgotten == "the last wave":
            fleet.broker.retained.clear()
            fleet.broker.retained.update(old)
        else:
            fleet.broker.retained[timestamp] = b"{}"
        fleet.turn(desk)
        assert fleet.broker.retained[timestamp] == new.timestamp
        assert all(fleet.root.target(target.digest) in fleet.broker.retained for target in new.targets)
        assert fleet.broker.retained.keys() >= {key for key in old if "/chunk/" in key}
        (again,) = entries(desk, Reasserted)
        assert again.found == {"the last wave": 4}.get(forgotten, 0)
        assert again.timestamp == 5


def test_devices_that_speak_and_never_saw_the_plan_have_it_published_anew(fleet):
    with fleet.desk() as desk:
        fleet.start(desk, "1", "100%", policy=PATIENT)
        fleet.clock.advance(1000.0)
        device = fleet.ids(2)[1]
        fleet.turn(desk)
        assert entries(desk, Reasserted) == []
        fleet.puppets.report(replace(fleet.puppets.told[device], plan_serial=0))
        fleet.turn(desk)
        (again,) = entries(desk, Reasserted)
        assert again.why == f"1 devices, such as {device}, have not seen the newest plan"


def test_the_timestamp_is_signed_anew_every_day(fleet):
    with fleet.desk() as desk:
        fleet.turn(desk)
        version = fleet.repository().timestamp_version()
        fleet.clock.advance(timedelta(hours=23).total_seconds())
        fleet.turn(desk)
        assert entries(desk, Renewed) == []
        fleet.clock.advance(timedelta(hours=2).total_seconds())
        fleet.turn(desk)
        assert [entry.timestamp for entry in entries(desk, Renewed)] == [version + 1]
        assert signed_by_broker(fleet) == version + 1


def test_what_is_ordered_while_the_clock_is_an_hour_behind_is_carried_out_once_when_it_is_right(fleet):
    with fleet.desk() as desk:
        fleet.start(desk, "1", "100%")
        fleet.turn(desk)
        before, plan = fleet.clock.now(), fleet.plan()
        fleet.clock.set(before - timedelta(hours=1))
        rollouts.order(desk, "r", orders.pause, ANN, Desk.write)
        lines = len(desk.ledger.lines())
        for _ in range(3):
            with pytest.raises(ClockBehind, match=r"^the last timestamp was signed at .*: set this clock"):
                fleet.turn(desk)
        assert (fleet.plan(), len(desk.ledger.lines())) == (plan, lines)
        fleet.clock.set(before)
        fleet.turn(desk)
        assert (fleet.plan().serial, fleet.plan().paused) == (plan.serial + 1, True)
        assert len(entries(desk, Steered)) == 2


def test_a_turn_that_waited_for_its_broker_is_followed_by_no_long_rest(fleet):
    began, stop = [], Event()

    class Waiting(Controller):
        def turn(self):
            began.append(time.monotonic())
            if len(began) == 2:
                stop.set()
            Event().wait(1.0)

    with fleet.desk() as desk:
        Waiting(desk, stop, pace=Pace(turn_s=0.0, busy_s=0.0)).run()
    assert began[1] - began[0] < 6.0


@pytest.mark.parametrize(("spent_s", "rest_s"), [(0.0, 1.0), (0.1, 1.0), (2.0, 18.0)])
def test_a_controller_takes_no_more_than_a_tenth_of_a_processor(spent_s, rest_s):
    assert Pace(busy_s=1.0).rest_s(spent_s) == rest_s
