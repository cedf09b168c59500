from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from agent.core.update import cohort
from agent.wire.documents import Plan, ReleaseRef
from agent.wire.reasons import Reason
from agent.wire.reports import (
    CameraReport,
    CameraState,
    Capabilities,
    Ended,
    Evidence,
    Outcome,
    Phase,
    Progress,
    Report,
    Running,
)
from agent.wire.topics import DeviceId
from deploy.core.devices import causes, why
from deploy.core.devices.causes import Cause
from deploy.core.devices.why import Case
from deploy.core.rollouts import words
from deploy.core.rollouts.picture import Seen
from deploy.core.rollouts.state import Member, Rollout, Turn
from deploy.core.rollouts.tally import Standing
from deploy.core.rollouts.words import Order

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
CAM = DeviceId("cam")
SALT = "salt"
PLACE = cohort.position(SALT, CAM)
HERE = f"{PLACE / 2**64:.4f}"
LAST = "it comes in wave 3 of 3 (100%)"
INSIDE, OUTSIDE = {"*": f"{PLACE + 1:016x}"}, {"*": f"{PLACE:016x}"}
STABLE = ReleaseRef(name="birds", version="1", manifest="1" * 64)
NEW = ReleaseRef(name="birds", version="2", manifest="2" * 64)
ON_STABLE = Running(name="birds", version="1", manifest="1" * 64, digest="a" * 64, delegate="xnnpack")
ON_NEW = replace(ON_STABLE, version="2", manifest="2" * 64, digest="b" * 64)
COMING = Progress(name="birds", version="2", manifest="2" * 64, bytes_done=1_048_576, bytes_total=4_194_304)
PLAN = Plan(stream="main", serial=7, stable=STABLE, candidate=NEW, cut=INSIDE, salt=SALT, rollout="r")
LEFT_OUT = replace(PLAN, cut=OUTSIDE)
BACK = replace(PLAN, candidate=None, cut={}, salt="")
ORDER = Order(
    rollout="r",
    stream="main",
    release=NEW,
    files=("2" * 64, "b" * 64),
    stable=STABLE,
    waves=("1", "5%", "100%"),
    salt=SALT,
)
ROLLOUT = Rollout(ORDER, NOW, wave=1)
WITHOUT_CPU = Rollout(ORDER, NOW, withdrawn=("cpu",))
MEMBER = Member(CAM, sealed=True)


def told(**fields):
    capabilities = Capabilities(hardware="cpu", agent="1.0", tags=("garden",))
    ours = {
        "device": CAM,
        "at": NOW - timedelta(seconds=90),
        "phase": Phase.IDLE,
        "active": ON_STABLE,
        "plan_serial": 7,
        "capabilities": capabilities,
    }
    return Report(**(ours | fields))


def held(reason, detail=""):
    return told(phase=Phase.HELD, reason=reason, detail=detail)


def case(report, *, plan=PLAN, rollout=ROLLOUT, **fields):
    seen = {"id": CAM, "hardware": "cpu", "tags": ("garden",), "online": True, "report": report}
    seen |= fields.pop("seen", {})
    return Case(NOW, Seen(**seen), plan=plan, rollout=rollout, **fields)


def ended(outcome, reason, detail=""):
    return Ended(name="birds", version="2", manifest="2" * 64, outcome=outcome, reason=reason, detail=detail)


CASES = {
    "no plan": (case(told(), plan=None), Reason.NO_PLAN, "no rollout plan"),
    "outside the cut, and in which wave it comes": (
        case(told(), plan=LEFT_OUT, coming=(PLAN,)),
        Reason.OUTSIDE_CUT,
        f"its position {HERE} is not below {HERE}, where wave 2 of 3 (5%) ends in hardware class cpu; {LAST}",
    ),
    "outside the cut, and nothing is stable": (
        case(held(Reason.OUTSIDE_CUT), plan=replace(LEFT_OUT, stable=None)),
        Reason.OUTSIDE_CUT,
        "there is no stable release",
    ),
    "not matched, and by which term": (
        case(held(Reason.NOT_MATCHED), plan=replace(PLAN, match=("tag=yard",))),
        Reason.NOT_MATCHED,
        "the plan wants tag=yard, this device has garden",
    ),
    "the agent is too old": (
        case(told(), plan=replace(PLAN, minimum_agent="2.0")),
        Reason.AGENT_TOO_OLD,
        "shoal-agent is 1.0, the plan needs at least 2.0",
    ),
    "everything is revoked": (
        case(told(active=None), plan=replace(PLAN, revoked=("1" * 64, "2" * 64))),
        Reason.REVOKED,
        "birds 2",
    ),
    "a window": (case(held(Reason.WINDOW, "opens Mon 02:00 UTC")), Reason.WINDOW, "opens Mon 02:00 UTC"),
    "a veto": (case(held(Reason.VETO, "harvest")), Reason.VETO, "harvest"),
    "nobody accepts it": (
        case(held(Reason.UNACCEPTED, "birds 2")),
        Reason.UNACCEPTED,
        "waits for somebody on the device to accept it (birds 2)",
    ),
    "paused": (case(held(Reason.PAUSED)), Reason.PAUSED, "has paused the rollout"),
    "low disk": (case(held(Reason.LOW_DISK, "12 MB are free")), Reason.LOW_DISK, "12 MB are free"),
    "the disk fails": (case(held(Reason.STORE_FAILED, "EIO")), Reason.STORE_FAILED, "EIO"),
    "an old runtime": (case(held(Reason.RUNTIME_TOO_OLD, "2.5")), Reason.RUNTIME_TOO_OLD, "2.5"),
    "no Edge TPU": (case(held(Reason.NEEDS_EDGETPU)), Reason.NEEDS_EDGETPU, "compiled for an Edge TPU"),
    "stale metadata, which keeps it from the newest plan": (
        case(replace(held(Reason.STALE_METADATA, "expired on Friday"), plan_serial=5)),
        Reason.STALE_METADATA,
        "expired on Friday",
    ),
    "another root of trust": (
        case(replace(held(Reason.UNTRUSTED), plan_serial=-1)), Reason.UNTRUSTED, "root of trust"
    ),
    "the clock": (case(held(Reason.CLOCK)), Reason.CLOCK, "clock cannot be trusted"),
    "its turn": (case(held(Reason.WAITING, "birds 2 in 40 s")), Reason.WAITING, "birds 2 in 40 s"),
    "known bad, and by which failure": (
        case(replace(held(Reason.KNOWN_BAD), known_bad={"b" * 64: Reason.TOO_SLOW})),
        Reason.KNOWN_BAD,
        "has failed on this device before; too-slow",
    ),
    "refused in its trial": (
        case(told(last=ended(Outcome.REFUSED, Reason.GOLDEN_MISMATCH, "case 3"))),
        Reason.GOLDEN_MISMATCH,
        "refused birds@2: a golden input did not give its known output within the tolerance (case 3)",
    ),
    "reverted on probation": (
        case(told(last=ended(Outcome.REVERTED, Reason.SLOWED_DOWN))), Reason.SLOWED_DOWN, "reverted birds@2"
    ),
    "downloading": (
        case(told(phase=Phase.FETCHING, candidate=COMING)),
        Cause.DOWNLOADING,
        "birds@2: 1048576 of 4194304 bytes (25 %)",
    ),
    "in its trial": (case(told(phase=Phase.TRIAL, candidate=COMING)), Cause.IN_TRIAL, "is being tried"),
    "on probation": (
        case(
            told(
                phase=Phase.PROBATION,
                active=ON_NEW,
                serving=Evidence(manifest="2" * 64, digest="b" * 64, frames=70),
            )
        ),
        Cause.ON_PROBATION,
        "70 of at least 150 frames",
    ),
    "it serves the candidate": (
        case(told(active=ON_NEW)), Cause.SERVING_CANDIDATE, "it serves birds@2 on xnnpack"
    ),
    "the rollout was taken back": (
        case(told(), plan=BACK, rollout=Rollout(ORDER, NOW, aborted="3 of 5 failed")),
        Cause.TAKEN_BACK,
        "birds@2 was taken back (3 of 5 failed)",
    ),
    "its class was taken back": (
        case(told(), plan=replace(PLAN, cut={"cpu": "0" * 16}), rollout=WITHOUT_CPU),
        Cause.TAKEN_BACK,
        "hardware class cpu was taken back",
    ),
    "nothing goes on": (
        case(told(), plan=BACK, rollout=Rollout(ORDER, NOW, outcome=words.Outcome.COMPLETED)),
        Cause.SERVING_STABLE,
        "no candidate is out",
    ),
    "it has not seen the newest plan": (
        case(told(plan_serial=6)), Cause.PLAN_NOT_SEEN, "plan 7 is out, and the device has seen plan 6 so far"
    ),
    "it has seen the plan and does nothing": (case(told()), Cause.PENDING, "it is to run birds@2"),
    "offline on its way": (
        case(
            told(phase=Phase.FETCHING, candidate=COMING),
            seen={"online": False, "gone_at": NOW - timedelta(minutes=5)},
        ),
        Cause.OFFLINE,
        "it went offline 5 min ago; then: birds@2: 1048576 of 4194304",
    ),
    "never heard": (Case(NOW, member=MEMBER, plan=PLAN), Cause.NEVER_SEEN, "was enrolled, and has never"),
    "online without a report": (case(None), Cause.NEVER_SEEN, "has not reported yet"),
    "expelled": (
        Case(NOW, member=Member(CAM, expelled=True), plan=PLAN), Cause.EXPELLED, "expelled from the fleet"
    ),
    "not believed": (
        Case(NOW, member=MEMBER, plan=PLAN, refused=("cam bears a seal that its device did not make",)),
        Cause.NOT_BELIEVED,
        "bears a seal",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("known", "code", "said"), CASES.values(), ids=CASES.keys())
def test_the_one_code_is_the_cause_and_its_words_hold_the_numbers(known, code, said):
    found = why.explain("cam", known)
    assert found.code is code
    assert said in found.why


@pytest.mark.parametrize("report", [held(Reason.LOW_DISK), held(Reason.VETO), held(Reason.CLOCK)])
def test_what_held_a_device_holds_it_still_when_it_is_offline_and_that_is_said_besides(report):
    found = why.explain("cam", case(report, seen={"online": False}))
    assert found.code is report.reason
    assert found.besides == ("it is offline, and reported 1 min ago for the last time",)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"plan_serial": 9}, "it has seen plan 9, and the newest here is 7"),
        ({"plan_serial": 6, "phase": Phase.TRIAL}, "it has seen plan 6 so far, not plan 7"),
        ({"degraded": "the Edge TPU is lost"}, "degraded: the Edge TPU is lost"),
        ({"camera": CameraReport(state=CameraState.FROZEN, detail="6 s")}, "camera frozen (6 s)"),
        ({"paused": True}, "its pipeline is paused"),
    ],
)
def test_what_else_is_not_as_it_should_be_is_told_besides(fields, said):
    assert any(said in each for each in why.explain("cam", case(told(**fields))).besides)


def test_a_forged_word_beside_a_genuine_report_is_told_besides():
    found = why.explain("cam", case(told(active=ON_NEW), refused=("cam was replayed",)))
    assert found.code is Cause.SERVING_CANDIDATE
    assert found.besides == ("something came under its name that was not believed: cam was replayed",)


def test_since_when_a_device_counts_as_failed_is_told():
    report = told(last=ended(Outcome.REFUSED, Reason.TOO_SLOW))
    found = why.explain("cam", case(report, failed_at=NOW))
    assert found.besides == ("the gate counts it as failed since 2026-06-01 12:00:00 UTC",)


def test_how_the_gate_counts_a_device_stands_beside_its_cause():
    waiting = Rollout(ORDER, NOW, wave=1, plan=PLAN, turns=(Turn(NOW - timedelta(minutes=5), 7, PLAN),))
    late = Rollout(ORDER, NOW, wave=1, plan=PLAN, turns=(Turn(NOW - timedelta(hours=5), 7, PLAN),))
    assert why.explain("cam", case(told(), rollout=waiting)).standing is Standing.PENDING
    found = why.explain("cam", case(told(), rollout=late))
    assert (found.code, found.standing) == (Cause.PENDING, Standing.SILENT)
    assert found.besides[0].startswith("the gate counts it as silent, which is failed")
    assert why.explain("cam", case(told(), plan=LEFT_OUT, rollout=ROLLOUT)).standing is None


def test_a_misspelt_device_is_guessed():
    assert why.nearest("cma-12", ["cam-1", "cam-12", "door"])[0] == "cam-12"
    assert why.nearest("zebra", ["cam-1"]) == ()


def test_every_reason_and_cause_has_something_to_do_or_needs_nothing():
    for code in (*Reason, *Cause):
        idle = code in {*causes.AS_MEANT, Cause.DOWNLOADING, Cause.IN_TRIAL, Cause.ON_PROBATION}
        assert bool(causes.remedy(code)) is not idle, code
