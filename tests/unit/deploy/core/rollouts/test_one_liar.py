"""What one device can do to a rollout by what it says of itself, sealed and in order."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.wire import codec
from agent.wire.seal import seal
from agent.wire.topics import REPORT, STATUS, DeviceId, Root
from deploy.core.devices import why
from deploy.core.devices.why import Case
from deploy.core.rollouts import gate, waves
from deploy.core.rollouts.believing import Believer
from deploy.core.rollouts.condensed import condense, expand
from deploy.core.rollouts.picture import of_stream
from deploy.core.rollouts.state import Member
from deploy.core.rollouts.words import Verdict
from tests.fakes.rollouts import (
    CANDIDATE,
    STABLE,
    after,
    evidence,
    failed,
    pending,
    picture,
    report,
    rollout,
    shows,
)

ROOT, LIAR, KEY = Root("shoal/test"), DeviceId("liar"), b"k" * 32
HEARD, LATE = 1_800.0, 1_900.0
HONEST = [f"pi-{number:02}" for number in range(60)]
GOING = rollout()

FULL = json.loads(
    codec.encode(report("liar", serving=evidence(CANDIDATE), before=evidence(STABLE), boot=1, number=1))
)


def _paths(document, path=()):
    """Every place in it that can hold another value."""
    children = document.items() if isinstance(document, dict) else enumerate(document[:1])
    for key, value in children:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from _paths(value, (*path, key))


def _told(path, value):
    """The whole report with this in that place."""
    told = json.loads(json.dumps(FULL))
    place = told
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return told


PATHS = sorted(_paths(FULL), key=str)
ODD = [
    -1, 0, 2**53, 2**53 + 1, 2**63, 2**64, 10**40, 10**400, 1e308, -1e308, None, True, [], {}, "", "*",
    "main", "cpu", "edgetpu", "x" * 3_000, "a\x00b", "../../x", "+/#", "1970-01-01T00:00:00+23:59",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", {"x": 1}, {"1" + "0" * 30: 5}, {"-5": 3},
    {"1" + "0" * 310: 100}, [9] * 20, [2**53] * 20, "healthy", "failed", "idle", "held", "trial", "probation",
    CANDIDATE.manifest, STABLE.manifest, {CANDIDATE.manifest: "too-slow"},
]  # fmt: skip


def _seen(told, presence):
    """What is believed of the liar."""
    believer = Believer(ROOT, lambda _: KEY, {LIAR: Member(LIAR, sealed=True)})
    for channel, document in ((STATUS, presence), (REPORT, told)):
        topic = ROOT.device(channel, LIAR)
        believer.take(topic, seal(topic, json.dumps(document).encode(), KEY), after(HEARD))
    return believer.picture(after(LATE)).devices


ONLINE = {"schema": 1, "state": "online", "session": "s", "boot": 1}
PRESENCES = st.sampled_from(
    [ONLINE, ONLINE | {"state": "offline"}, ONLINE | {"beat_s": 1e308, "at": "1970-01-01T00:00:00+23:59"}]
)
STORIES = st.builds(_told, st.sampled_from(PATHS), st.sampled_from(ODD))
LIES = st.builds(_seen, STORIES, PRESENCES)
HEALTHY = tuple(shows(name, heard_at=after(HEARD)) for name in HONEST)
FAILED, PENDING = tuple(map(failed, HONEST)), tuple(map(pending, HONEST))


@settings(max_examples=60, deadline=None)
@given(STORIES, PRESENCES)
@example(_told(("at",), "0001-01-01T00:00:00+23:59"), ONLINE)
@example(_told(("plan_serial",), 2**64), ONLINE)
@example(_told(("serving", "invoke_ms", "bins"), {"1" + "0" * 30: 60}), ONLINE)
@example(_told(("before", "invoke_ms", "bins"), {"1" + "0" * 310: 60}), ONLINE)
def test_whatever_it_says_is_refused_or_can_be_judged_kept_planned_with_and_explained(told, presence):
    liar = _seen(told, presence)
    of = of_stream(picture(HEALTHY[0], *liar, at=LATE), GOING.order.stream)
    judgement = gate.judge(GOING, of)
    assert gate.judge(GOING, expand(condense(of, GOING))).verdict is judgement.verdict
    waves.plan(GOING, 0, of, GOING.plan)
    why.explain(LIAR, Case(at=of.at, seen=liar[0] if liar else None, plan=GOING.plan, rollout=GOING))


@settings(max_examples=40, deadline=None)
@given(LIES)
def test_one_device_of_sixty_stops_nobody_but_its_own_class(liar):
    judgement = gate.judge(GOING, picture(*HEALTHY, *liar, at=LATE))
    if judgement.verdict is Verdict.ABORT:
        (own,) = liar
        assert judgement.classes == (own.hardware,)
        assert own.hardware != "cpu"


@settings(max_examples=20, deadline=None)
@given(LIES)
def test_one_device_saves_no_release_that_fails_on_the_others(liar):
    assert gate.judge(GOING, picture(*FAILED, *liar, at=LATE)).verdict is Verdict.ABORT


@settings(max_examples=20, deadline=None)
@given(LIES)
def test_one_device_lets_nobody_go_on_before_the_others_have_ended(liar):
    assert gate.judge(GOING, picture(*PENDING, *liar, at=300.0)).verdict is not Verdict.PROMOTE


def test_a_class_with_few_devices_goes_alone_where_one_of_it_fails():
    corals = [shows(f"coral-{number}", heard_at=after(HEARD), hardware="edgetpu") for number in range(8)]
    of = picture(*HEALTHY, *corals, failed("liar", hardware="edgetpu"), at=LATE)
    judgement = gate.judge(GOING, of)
    assert (judgement.verdict, judgement.classes) == (Verdict.ABORT, ("edgetpu",))
