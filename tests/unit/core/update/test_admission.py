import pytest
from msgspec.structs import replace

from agent.core.update.admission import Admitted, Device, HeldBy, Role, admit
from agent.core.update.cohort import EVERYBODY, NOBODY, position
from agent.wire.documents import Plan, ReleaseRef
from agent.wire.reasons import Reason
from agent.wire.topics import DeviceId, sha256


def ref(version: str) -> ReleaseRef:
    return ReleaseRef(name="birds", version=version, manifest=sha256(version.encode()))


STABLE, CANDIDATE = ref("1.0"), ref("1.1")
DEVICE = Device(id=DeviceId("pi-1"), hardware="edgetpu", agent="0.10.2", tags=frozenset({"line-3", "north"}))
PLAN = Plan(
    stream="main", serial=7, stable=STABLE, candidate=CANDIDATE, cut={"edgetpu": EVERYBODY}, salt="salt"
)


def decide(plan: Plan, known_serial: int = 7):
    return admit(plan, known_serial, DEVICE, clock_trusted=True)


@pytest.mark.parametrize(
    ("change", "admitted"),
    [
        ({}, Admitted(CANDIDATE, Role.CANDIDATE)),
        ({"cut": {"*": EVERYBODY}}, Admitted(CANDIDATE, Role.CANDIDATE)),
        ({"cut": {"edgetpu": NOBODY, "*": EVERYBODY}}, Admitted(STABLE, Role.STABLE)),
        ({"cut": {"cpu": EVERYBODY}}, Admitted(STABLE, Role.STABLE)),
        ({"cut": {}}, Admitted(STABLE, Role.STABLE)),
        ({"cut": {"edgetpu": f"{position('salt', DEVICE.id):016x}"}}, Admitted(STABLE, Role.STABLE)),
        ({"candidate": None}, Admitted(STABLE, Role.STABLE)),
        ({"revoked": (CANDIDATE.manifest,)}, Admitted(STABLE, Role.STABLE)),
        ({"revoked": (STABLE.manifest,)}, Admitted(CANDIDATE, Role.CANDIDATE)),
        ({"stable": None}, Admitted(CANDIDATE, Role.CANDIDATE)),
        ({"match": ("hardware=edgetpu", "tag=line-3", "id=pi-1")}, Admitted(CANDIDATE, Role.CANDIDATE)),
        ({"match": ("tag=line-3", "tag=north")}, Admitted(CANDIDATE, Role.CANDIDATE)),
        ({"match": ("tag=line-9,north", "hardware!=cpu,none")}, Admitted(CANDIDATE, Role.CANDIDATE)),
    ],
)
def test_a_device_gets_the_candidate_inside_the_cut_and_else_what_is_stable(change, admitted):
    assert decide(replace(PLAN, **change)) == admitted


@pytest.mark.parametrize(
    ("change", "held"),
    [
        (
            {"stable": None, "cut": {"edgetpu": "4" + "0" * 15}, "salt": "s"},
            HeldBy(
                Reason.OUTSIDE_CUT,
                f"hash {position('s', DEVICE.id):016x} ({position('s', DEVICE.id) / 2**64:.4f}) is not below "
                "the cut 4000000000000000 (0.2500) of hardware class edgetpu, and the plan has no stable "
                "release",
            ),
        ),
        (
            {"stable": None, "candidate": None},
            HeldBy(Reason.NO_PLAN, "plan main serial 7 names no release"),
        ),
        (
            {"revoked": (CANDIDATE.manifest, STABLE.manifest)},
            HeldBy(Reason.REVOKED, "birds 1.1, and the plan offers nothing else"),
        ),
        (
            {"revoked": (CANDIDATE.manifest,), "stable": None},
            HeldBy(Reason.REVOKED, "birds 1.1, and the plan offers nothing else"),
        ),
        (
            {"revoked": (STABLE.manifest,), "cut": {}},
            HeldBy(Reason.REVOKED, "birds 1.0, and the plan offers nothing else"),
        ),
        (
            {"match": ("hardware=edgetpu", "hardware=cpu")},
            HeldBy(Reason.NOT_MATCHED, "the plan wants hardware=cpu, this device has edgetpu"),
        ),
        (
            {"match": ("tag=line-4",)},
            HeldBy(Reason.NOT_MATCHED, "the plan wants tag=line-4, this device has line-3, north"),
        ),
        (
            {"match": ("id=pi-2",)},
            HeldBy(Reason.NOT_MATCHED, "the plan wants id=pi-2, this device has pi-1"),
        ),
        (
            {"match": ("tag!=line-4,north",)},
            HeldBy(Reason.NOT_MATCHED, "the plan wants tag!=line-4,north, this device has line-3, north"),
        ),
        (
            {"match": ("colour=blue",)},
            HeldBy(
                Reason.NOT_MATCHED,
                "the plan's match 'colour=blue' cannot be judged: write KEY=VALUE, KEY!=VALUE or "
                "KEY=THIS,THAT, where KEY is one of hardware, tag, id",
            ),
        ),
        (
            {"minimum_agent": "0.11"},
            HeldBy(Reason.AGENT_TOO_OLD, "shoal-agent is 0.10.2, the plan needs at least 0.11"),
        ),
        (
            {"minimum_agent": "newest"},
            HeldBy(Reason.UNREADABLE, "minimum_agent 'newest' is no version"),
        ),
    ],
)
def test_a_device_that_gets_nothing_knows_why_with_the_numbers(change, held):
    assert decide(replace(PLAN, **change)) == held


def test_an_older_plan_than_the_newest_accepted_is_a_replay():
    assert decide(PLAN, known_serial=8) == HeldBy(
        Reason.UNTRUSTED,
        "plan main has serial 7, this device has accepted 8 before: "
        "an old plan was replayed, publish the newest again",
    )


@pytest.mark.parametrize("known_serial", [-1, 6, 7])
def test_the_same_plan_and_newer_ones_are_read(known_serial):
    assert decide(PLAN, known_serial) == Admitted(CANDIDATE, Role.CANDIDATE)


def test_without_a_clock_nothing_is_installed():
    held = admit(PLAN, 7, DEVICE, clock_trusted=False)
    assert held == HeldBy(Reason.CLOCK, "set the clock, or let it follow a time server")


@pytest.mark.parametrize(
    ("agent", "minimum", "enough"),
    [
        ("0.10.2", "0.9.9", True),  # by number, not by letter
        ("0.9.9", "0.10", False),
        ("1.0", "1.0.0", True),
        ("1.0.0", "1.0", True),
        ("1.0rc1", "1.0", False),  # a preview comes before
        ("1.0.dev3", "1.0", False),
        ("1.0", "1.0rc1", True),
        ("1.0.post1", "1.0", True),
        ("1.0+pi", "1.0", True),
        ("1.1rc1", "1.0", True),
        ("0.1.0", "0", True),
        ("", "0", False),  # unknown means hold
        ("unknown", "0", False),
    ],
)
def test_agent_versions_are_compared_by_number(agent, minimum, enough):
    device = Device(id=DEVICE.id, hardware="edgetpu", agent=agent)
    decision = admit(replace(PLAN, minimum_agent=minimum), 7, device, clock_trusted=True)
    assert isinstance(decision, Admitted) is enough


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"serial": 6, "minimum_agent": "9"}, Reason.UNTRUSTED),
        ({"minimum_agent": "9", "match": ("id=other",)}, Reason.AGENT_TOO_OLD),
        ({"match": ("id=other",), "revoked": (CANDIDATE.manifest, STABLE.manifest)}, Reason.NOT_MATCHED),
    ],
)
def test_of_several_reasons_the_most_general_is_told(change, reason):
    decision = decide(replace(PLAN, **change))
    assert isinstance(decision, HeldBy)
    assert decision.reason is reason
