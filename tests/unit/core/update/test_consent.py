from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from agent.core.update import consent, windows
from agent.core.update.admission import Role
from agent.core.update.cohort import EVERYBODY
from agent.core.update.consent import Moment
from agent.wire.documents import Plan, ReleaseRef
from agent.wire.reasons import Reason
from agent.wire.topics import sha256

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
NIGHT = (windows.parse("daily 02:00-05:00"),)
DAY = (windows.parse("daily 08:00-18:00"),)


def ref(version: str) -> ReleaseRef:
    return ReleaseRef(name="birds", version=version, manifest=sha256(version.encode()))


OLD, STABLE, CANDIDATE = ref("0"), ref("1"), ref("2")
PLAN = Plan(
    stream="main", serial=7, stable=STABLE, candidate=CANDIDATE, cut={"*": EVERYBODY}, rollout="birds-2"
)
BACK = replace(PLAN, candidate=None, cut={}, urgent=True)
C, S = Role.CANDIDATE, Role.STABLE


@pytest.mark.parametrize(
    ("change", "role", "runs", "own", "veto", "reason"),
    [
        ({}, C, STABLE, (), None, None),
        ({"paused": True}, C, STABLE, (), None, Reason.PAUSED),
        ({"paused": True, "urgent": True}, C, STABLE, (), None, Reason.PAUSED),
        ({"paused": True}, S, OLD, (), None, None),
        ({"windows": NIGHT}, C, STABLE, (), None, Reason.WINDOW),
        ({"windows": NIGHT}, S, OLD, (), None, Reason.WINDOW),
        ({"windows": DAY}, C, STABLE, (), None, None),
        ({"windows": DAY}, C, STABLE, NIGHT, None, Reason.WINDOW),
        ({}, C, STABLE, NIGHT, None, Reason.WINDOW),
        ({"windows": NIGHT, "urgent": True}, C, STABLE, NIGHT, None, None),
        ({}, C, STABLE, (), "", Reason.VETO),
        ({"urgent": True}, C, STABLE, (), "exam", Reason.VETO),
        ({"paused": True}, C, STABLE, NIGHT, "exam", Reason.VETO),
        ({"paused": True}, C, STABLE, NIGHT, None, Reason.PAUSED),
        # taking back
        ({"windows": NIGHT}, S, CANDIDATE, NIGHT, "exam", None),
        ({"revoked": (OLD.manifest,)}, S, OLD, NIGHT, "exam", None),
        ({"revoked": (OLD.manifest,)}, C, OLD, NIGHT, None, Reason.WINDOW),
    ],
)
def test_what_is_begun_now_and_what_waits(change, role, runs, own, veto, reason):
    release = CANDIDATE if role is C else STABLE
    later = consent.held(replace(PLAN, **change), role, release, runs.manifest, Moment(NOON, own, veto))
    assert (later.held.reason if later else None) is reason


def test_what_is_taken_back_from_everybody_waits_for_nothing():
    assert consent.held(BACK, S, STABLE, CANDIDATE.manifest, Moment(NOON, NIGHT, "exam")) is None


def test_a_device_with_nothing_to_take_back_honours_a_veto():
    later = consent.held(BACK, S, STABLE, None, Moment(NOON, (), "exam"))
    assert later is not None
    assert later.held.reason is Reason.VETO


def test_a_closed_window_says_when_the_next_one_opens():
    later = consent.held(PLAN, C, CANDIDATE, STABLE.manifest, Moment(NOON, NIGHT))
    assert later is not None
    assert later.held.detail == "the next one opens at 2026-06-02 02:00 UTC"
    assert later.opens_at == datetime(2026, 6, 2, 2, 0, tzinfo=UTC)


def test_windows_that_never_meet_are_told_as_such():
    later = consent.held(replace(PLAN, windows=DAY), C, CANDIDATE, None, Moment(NOON, NIGHT))
    assert later is not None
    assert "never open together" in later.held.detail
    assert later.opens_at is None


@pytest.mark.parametrize(
    ("change", "role", "runs", "veto", "accepted", "reason"),
    [
        ({}, C, STABLE, None, None, Reason.UNACCEPTED),
        ({"urgent": True}, C, STABLE, None, STABLE, Reason.UNACCEPTED),
        ({"windows": NIGHT}, C, STABLE, None, None, Reason.UNACCEPTED),
        ({"windows": NIGHT}, C, STABLE, None, CANDIDATE, Reason.WINDOW),
        ({"paused": True}, C, STABLE, None, None, Reason.PAUSED),
        ({}, C, STABLE, "exam", None, Reason.VETO),
        ({}, C, STABLE, None, CANDIDATE, None),
        ({}, S, OLD, None, CANDIDATE, Reason.UNACCEPTED),
        ({}, S, OLD, None, STABLE, None),
        # taking back
        ({}, S, CANDIDATE, None, None, None),
        ({"revoked": (OLD.manifest,)}, S, OLD, None, None, None),
        ({"candidate": None, "urgent": True}, S, OLD, None, None, None),
    ],
)
def test_where_updates_are_asked_for_only_what_was_accepted_is_begun(
    change, role, runs, veto, accepted, reason
):
    release = CANDIDATE if role is C else STABLE
    moment = Moment(NOON, veto=veto, asks=True, accepted=accepted and accepted.manifest)
    later = consent.held(replace(PLAN, **change), role, release, runs.manifest, moment)
    assert (later.held.reason if later else None) is reason
