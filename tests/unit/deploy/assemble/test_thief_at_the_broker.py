"""Whoever holds the broker, and what his controller makes of it: enrolled devices, sealed words."""

import dataclasses
import random
import shutil
from threading import Event

import pytest
from msgspec.structs import replace

from agent.wire import codec
from agent.wire.documents import Index
from agent.wire.errors import PortError
from agent.wire.reasons import Reason
from agent.wire.reports import Phase, Presence
from agent.wire.topics import REPORT, STATUS
from deploy.assemble.controller.serving import Controller
from deploy.assemble.enrolment import membership
from deploy.core.enrolment.orders import Identity
from deploy.core.rollouts import starting
from deploy.core.rollouts.words import GatePolicy, Judged, Outcome, Steered, Verdict
from tests.fakes.controlled import ANN, HASTE, POLICY, Controlled

DEVICES = 10
ACTS = 8
PATIENT = replace(POLICY, gate=GatePolicy(deadline_s=1e6))
GARBAGE = (b"", b"{}", b"[" * 5_000, b"\xff" * 300, b"x" * 1_048_576, b'{"signed":{},"signatures":[]}')


@pytest.fixture
def fleet(tmp_path) -> Controlled:
    """Every device is enrolled, and was brought to a release before: much for a thief to replay."""
    fleet = Controlled(tmp_path)
    for device in fleet.ids(DEVICES):
        membership.admit(fleet.workspace, Identity(device, (), "", "password"), "")
        secret = device.encode().ljust(32, b".")
        membership.give_seal(fleet.workspace, device, secret)
        fleet.puppets.keys[device] = secret
    fleet.puppets.appear(fleet.ids(DEVICES))
    return fleet


def told(desk):
    return [line.entry for line in desk.ledger.lines()]


class Thief:
    """He keeps all that ever crossed the broker, and says it again, elsewhere, cut, mixed, or not at all."""

    def __init__(self, fleet: Controlled, seed: int) -> None:
        self.fleet, self.random = fleet, random.Random(seed)
        self.kept = [each for each in fleet.broker.published if each.retain]

    def act(self) -> None:
        draw, broker = self.random, self.fleet.broker
        topic = draw.choice(sorted(broker.retained))
        one, other = draw.choice(self.kept), draw.choice(self.kept)
        deeds = (
            lambda: broker.publish(topic, draw.choice(GARBAGE), retain=True),
            lambda: broker.publish(one.topic, one.payload, retain=True),
            lambda: broker.publish(topic, other.payload, retain=True),
            lambda: broker.publish(one.topic, one.payload[: len(one.payload) // 2], retain=True),
            lambda: broker.publish(one.topic, self._changed(one.payload), retain=True),
            lambda: [broker.publish(each.topic, each.payload, retain=True) for each in self.kept],
            broker.retained.clear,
            lambda: broker.publish(self.fleet.root.index(), codec.encode(Index(root=9, timestamp=2**40))),
        )
        draw.choice(deeds)()

    def _changed(self, content: bytes) -> bytes:
        return content.replace(b'"number":', b'"number":9').replace(b'"boot":', b'"boot":7')


@pytest.mark.parametrize("seed", range(2))
def test_forged_replayed_swapped_and_withheld_messages_move_no_rollout(fleet, seed):
    with fleet.desk() as desk:
        fleet.start(desk, "1", "100%", policy=PATIENT)
        before = fleet.plan()
        thief = Thief(fleet, seed)
        for _ in range(ACTS):
            thief.act()
            try:
                fleet.turn(desk)
            except PortError:
                continue
        entries = told(desk)
        judged = {each.judgement.verdict for each in entries if isinstance(each, Judged)}
        assert judged <= {Verdict.HOLD}
        assert [each.plan for each in entries if isinstance(each, Steered)] == [before]
        assert fleet.plan() == before
        fleet.turn(desk)
        fleet.puppets.follow(before)
        for device in fleet.ids(DEVICES):
            fleet.puppets.says(device, Presence.ONLINE)
        fleet.turn(desk)
        assert fleet.plan().serial == before.serial + 1, "the devices' own words count again at once"


def test_who_replays_a_rollout_that_went_well_brings_the_next_one_no_further(fleet):
    with fleet.desk() as desk:
        fleet.start(desk, "100%")
        fleet.puppets.follow(fleet.plan())
        well = {
            topic: content
            for topic, content in fleet.broker.retained.items()
            if fleet.root.parse(topic).channel in (STATUS, REPORT)
        }
        fleet.turn(desk)
        assert desk.fleet().rollouts["r"].outcome is Outcome.COMPLETED
        fleet.puppets.boot += 1
        fleet.puppets.follow(replace(fleet.plan(), candidate=None, stable=fleet.releases[0]))
    again = replace(_order(fleet), rollout="again", salt="other")
    with fleet.desk() as desk:
        _begin(desk, again)
        for topic, content in well.items():
            fleet.broker.publish(topic, content, retain=True)
        fleet.turn(desk)
        rollout = desk.fleet().rollouts["again"]
        assert (rollout.wave, rollout.outcome, rollout.judgement.verdict) == (0, None, Verdict.HOLD)
        assert len(desk.picture().refused) == DEVICES


def _order(fleet):
    with fleet.desk() as desk:
        return replace(desk.fleet().rollouts["r"].order, waves=("1", "100%"), policy=PATIENT)


def _begin(desk, order):
    desk.decide(lambda known, picture: starting.start(known, picture, order, desk.standing("main"), ANN))


def test_serving_needs_no_offline_key_and_no_authority(fleet):
    with fleet.desk() as desk:
        fleet.start(desk, "1", "100%")
    shutil.rmtree(fleet.workspace.offline_keys)
    shutil.rmtree(fleet.workspace.folder / "keys/ca", ignore_errors=True)
    with fleet.desk() as desk:
        fleet.puppets.follow(fleet.plan())
        fleet.turn(desk)
        fleet.clock.advance(90_000.0)
        fleet.puppets.follow(fleet.plan())
        fleet.turn(desk)
        assert desk.fleet().rollouts["r"].outcome is Outcome.COMPLETED


@pytest.mark.parametrize(("restated_s", "lines"), [(3_600.0, 2), (0.0, 4)])
def test_a_device_that_says_something_else_all_the_time_fills_no_ledger(fleet, restated_s, lines):
    with fleet.desk() as desk:
        fleet.start(desk, "1", "100%", policy=PATIENT)
        plan = fleet.plan()
        controller = Controller(desk, Event(), pace=dataclasses.replace(HASTE, restated_s=restated_s))
        for turn in range(4):
            for report in tuple(fleet.puppets.told.values()):
                held = {"phase": Phase.HELD, "reason": Reason.VETO} if turn % 2 else {"phase": Phase.FETCHING}
                fleet.puppets.report(replace(report, plan_serial=plan.serial, **held))
            controller.turn()
        judged = [each.judgement.verdict for each in told(desk) if isinstance(each, Judged)]
        assert judged == [Verdict.HOLD] * lines
