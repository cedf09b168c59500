"""Who of a rollout is where: each device that the waves so far let in is in exactly one state.

Membership is counted here from the signed plan and what is known of the device, never from what the device
says of its membership. How it fares can only be told by the device itself, and what it leaves unsaid:

    offline     gone before it began the release, or with a goodbye after it has committed it: outside the
                denominator
    vanished    online when its wave began, and gone before it said that it saw the plan, or with a goodbye
                before the release was committed
    held        it has seen the plan and names something that is not of the release's making
    pending     on its way, within its deadline
    away        gone without a goodbye after it had begun to run the release: nobody knows yet why
    silent      past its deadline without an end, or away for so long, or with so many, that it died of it
    failed      it refused the release or took it back
    healthy     it has committed the release, and was heard since
    degraded    healthy, on less than the release promises

A download that breaks off has run nothing yet: such a device is pending until its deadline. A deadline counts
from the last thing that kept the device from beginning: its wave, a pause, an absence, a closed window; and
never from before the instant from which devices could be heard.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf
from typing import Final

from agent.core.update.cohort import cut_of, position
from agent.wire.documents import Plan
from agent.wire.reasons import Reason
from agent.wire.reports import CAMERA_OUT, RETOLD_SETTLED_S, RETOLD_UNDER_WAY_S, Outcome, Phase, Report
from agent.wire.topics import DeviceId, Digest
from deploy.core.rollouts import matching
from deploy.core.rollouts.absence import Share, beyond_chance, of_the_house
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.state import Rollout, Turn
from deploy.core.rollouts.words import GatePolicy, Tally

RETOLD_MISSED: Final = 3
"""A device that stays silent for so many of its reports is not heard from."""

ITS_OWN: Final = frozenset(
    {
        Reason.WINDOW, Reason.VETO, Reason.UNACCEPTED, Reason.PAUSED, Reason.LOW_DISK, Reason.STORE_FAILED,
        Reason.CLOCK, Reason.STALE_METADATA, Reason.UNTRUSTED, Reason.UNREADABLE, Reason.NO_PLAN,
        Reason.NOT_MATCHED, Reason.OUTSIDE_CUT,
    }
)  # fmt: skip
"""What holds a device and is not of the release's making."""
UNSEEING: Final = frozenset(
    {Reason.STALE_METADATA, Reason.UNTRUSTED, Reason.UNREADABLE, Reason.CLOCK, Reason.STORE_FAILED}
)
"""What may keep it from saying that it has seen the plan."""


class Standing(StrEnum):
    """The fields of a `Tally`."""

    HEALTHY = "healthy"
    PENDING = "pending"
    FAILED = "failed"
    SILENT = "silent"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    VANISHED = "vanished"
    HELD = "held"
    AWAY = "away"


COUNTED: Final = frozenset(
    {
        Standing.HEALTHY, Standing.PENDING, Standing.FAILED, Standing.SILENT, Standing.DEGRADED,
        Standing.AWAY,
    }
)  # fmt: skip
"""The denominator."""
BAD: Final = frozenset({Standing.FAILED, Standing.SILENT})


@dataclass(frozen=True, slots=True)
class Counted:
    """A device that the waves so far let in, and how it stands. `until` is its deadline."""

    seen: Seen
    standing: Standing
    until: datetime

    @property
    def hold(self) -> Reason | None:
        """What it says holds it."""
        report = self.seen.report
        return report.reason if self.standing is Standing.HELD and report is not None else None


def count(rollout: Rollout, picture: Picture) -> tuple[Counted, ...]:
    """Every device of the waves so far, in the order of the picture.

    Devices that nobody has counted beforehand are left out, for anybody could invent them; only where there
    is no other device at all they are what there is.
    """
    members = tuple(inside(rollout, picture.devices))
    known = tuple((seen, turn) for seen, turn in members if seen.known)
    look = Look(picture.at, picture.since)
    return _settled(
        rollout, picture, tuple(_counted(rollout, seen, turn, look) for seen, turn in known or members)
    )


def strangers(rollout: Rollout, picture: Picture) -> int:
    """How many devices inside the cut were left out."""
    known = [seen.known for seen, _ in inside(rollout, picture.devices)]
    return known.count(False) if any(known) else 0


def tally(counted: Sequence[Counted]) -> Tally:
    by_standing = defaultdict(list)
    for each in counted:
        by_standing[each.standing.value].append(each.seen.id)
    return Tally(**{standing: tuple(sorted(ids)) for standing, ids in by_standing.items()})


def standing(rollout: Rollout, seen: Seen, at: datetime) -> Standing | None:
    """How this one device stands; None: no wave so far lets it in."""
    look = Look(at)
    return next((_counted(rollout, seen, turn, look).standing for _, turn in inside(rollout, [seen])), None)


def inside(rollout: Rollout, devices: Sequence[Seen]) -> Iterator[tuple[Seen, Turn]]:
    """Those that the newest plan lets in, each with the first wave that did. Of what hardware a device is, it
    says when it is first heard: until then it is in no wave.
    """
    plan, turns = rollout.plan, rollout.turns
    if plan is None or plan.candidate is None or not turns:
        return
    match, reached = matching.terms(plan.match), _Reach(plan, turns, {})
    for seen in devices:
        if not seen.hardware or seen.hardware in rollout.withdrawn:
            continue
        turn = reached.turn(seen.hardware, position(plan.salt, seen.id))
        if turn is not None and (not match or matching.unmatched(match, seen) is None):
            yield seen, turn


@dataclass(frozen=True, slots=True)
class _Reach:
    """Which wave lets a place in. Cuts are read once a hardware class."""

    plan: Plan
    turns: tuple[Turn, ...]
    cuts: dict[str, tuple[int, ...]]
    """By class: of the newest plan, then of each wave."""

    def turn(self, hardware: str, place: int) -> Turn | None:
        newest, *waves = self.cuts.get(hardware) or self._read(hardware)
        if place >= newest:
            return None
        found = (turn for turn, cut in zip(self.turns, waves, strict=True) if place < cut)
        return next(found, self.turns[-1])

    def _read(self, hardware: str) -> tuple[int, ...]:
        plans = (self.plan, *(turn.plan for turn in self.turns))
        self.cuts[hardware] = tuple(cut_of(plan.cut, hardware) for plan in plans)
        return self.cuts[hardware]


@dataclass(frozen=True, slots=True)
class Look:
    """Of a `Picture`."""

    at: datetime
    since: datetime | None = None

    def gone_s(self, at: datetime | None) -> float:
        """How long something is over, as far as it could have been noticed; of what nobody saw: for ever."""
        if at is None:
            return inf
        return (self.at - (at if self.since is None else max(at, self.since))).total_seconds()


def _settled(rollout: Rollout, picture: Picture, counted: tuple[Counted, ...]) -> tuple[Counted, ...]:
    """Who is away has failed where the fleet around it does not say otherwise."""
    away = [each for each in counted if each.standing is Standing.AWAY]
    if not away:
        return counted
    gate, look = rollout.order.policy.gate, Look(picture.at, picture.since)
    running = len(_exposed(rollout, counted))
    others = _others(rollout, picture, counted)
    soon_s = min(gate.absence_s, gate.deadline_s)
    if beyond_chance(Share(len(away), running), _gone(others, look, soon_s), gate.vanished_share_max):
        return _silenced(counted, {each.seen.id for each in away})
    long = {each.seen.id for each in away if look.gone_s(_last_sign(each.seen)) > gate.deadline_s}
    if of_the_house(Share(len(long), running), _gone(others, look, gate.deadline_s)):
        return counted
    return _silenced(counted, long)


def elsewhere(rollout: Rollout, picture: Picture, counted: Sequence[Counted]) -> Share:
    """Of the devices that do not run the release, how many have been away for as long as matters."""
    gate = rollout.order.policy.gate
    soon_s = min(gate.absence_s, gate.deadline_s)
    return _gone(_others(rollout, picture, counted), Look(picture.at, picture.since), soon_s)


def _exposed(rollout: Rollout, counted: Sequence[Counted]) -> frozenset[DeviceId]:
    """Those that run the release, or did when they were heard last."""
    release = rollout.order.release.manifest
    return frozenset(
        each.seen.id
        for each in counted
        if each.standing is Standing.AWAY
        or (each.seen.report is not None and _runs(each.seen.report, release))
    )


def _others(rollout: Rollout, picture: Picture, counted: Sequence[Counted]) -> list[Seen]:
    """Those that do not run the release, were there when it began, and said no goodbye since."""
    began, exposed = rollout.turns[0].at, _exposed(rollout, counted)
    return [
        seen
        for seen in picture.devices
        if seen.known
        and seen.id not in exposed
        and seen.hardware
        and seen.hardware not in rollout.withdrawn
        and (seen.online or (seen.gone_at is not None and seen.gone_at >= began and not seen.left))
    ]


def _gone(seen: Sequence[Seen], look: Look, longer_s: float) -> Share:
    gone = (not each.online and look.gone_s(each.gone_at) > longer_s for each in seen)
    return Share(sum(gone), len(seen))


def _silenced(counted: Sequence[Counted], ids: Collection[DeviceId]) -> tuple[Counted, ...]:
    return tuple(replace(each, standing=Standing.SILENT) if each.seen.id in ids else each for each in counted)


def _last_sign(seen: Seen) -> datetime | None:
    return seen.heard_at if seen.online else seen.gone_at or seen.heard_at


def _counted(rollout: Rollout, seen: Seen, turn: Turn, look: Look) -> Counted:
    until = deadline(rollout, seen, turn, look.since)
    return Counted(seen, _standing(rollout, seen, turn, look, late=look.at > until), until)


def deadline(rollout: Rollout, seen: Seen, turn: Turn, since: datetime | None = None) -> datetime:
    """When the device must have ended the update: `deadline_s` after the last instant at which its turn
    within the spread and the whole download at the rate cap could have ended.

    Args:
        rollout: its policy counts.
        seen: the device.
        turn: the first that let it in.
        since: from when on devices could be heard.
    """
    policy = rollout.order.policy
    download_s = rollout.order.bytes_each / policy.rate_bytes_s if policy.rate_bytes_s else 0.0
    begun = max(filter(None, (turn.at, rollout.resumed_at, seen.free_at, since)))
    return begun + timedelta(seconds=policy.gate.deadline_s + policy.spread_s + download_s)


def _standing(rollout: Rollout, seen: Seen, turn: Turn, look: Look, *, late: bool) -> Standing:
    report, release = seen.report, rollout.order.release.manifest
    files = frozenset(rollout.order.files)
    overdue = Standing.SILENT if late else Standing.PENDING
    if report is None:
        return overdue if seen.online else _absent(seen, turn, late=late)
    reached = report.plan_serial >= turn.serial
    if _failed(report, release, files) and reached:
        return Standing.FAILED
    if reached and _runs(report, release):
        return _running(seen, report, files, rollout.order.policy.gate, look, late=late)
    if not seen.online:
        fetching = reached and report.phase is Phase.FETCHING and _is_under_way(report, release)
        if fetching and not seen.left:
            return Standing.AWAY if late else Standing.PENDING
        return _absent(seen, turn, late=late)
    if _held(report, reached=reached):
        return Standing.HELD
    return overdue if not (late and report.phase is Phase.HELD and reached) else Standing.FAILED


def _running(
    seen: Seen, report: Report, files: frozenset[Digest], gate: GatePolicy, look: Look, *, late: bool
) -> Standing:
    unproven = report.phase in {Phase.TRIAL, Phase.PROBATION}
    if seen.left and unproven:
        return Standing.VANISHED if late else Standing.PENDING
    if seen.left:
        return Standing.OFFLINE
    if _away(seen, report, gate, look):
        return Standing.AWAY
    return _serving(seen, report, files, Standing.SILENT if late and unproven else Standing.PENDING)


def _absent(seen: Seen, turn: Turn, *, late: bool) -> Standing:
    """Gone without a word of the plan. Until its deadline one that was there may still come back."""
    if seen.gone_at is None or seen.gone_at < turn.at:
        return Standing.OFFLINE
    return Standing.VANISHED if late else Standing.PENDING


def _runs(report: Report, release: Digest) -> bool:
    """Whether the release computes there, on trial or in service."""
    if report.phase is Phase.TRIAL and _is_under_way(report, release):
        return True
    return report.active is not None and report.active.manifest == release


def _is_under_way(report: Report, release: Digest) -> bool:
    return report.candidate is not None and report.candidate.manifest == release


def _failed(report: Report, release: Digest, files: frozenset[Digest]) -> bool:
    """It has ended the release here. What made way for another release has not failed; and where one variant
    failed and the other serves, the release has not.
    """
    if report.active is not None and report.active.manifest == release:
        return False
    last = report.last
    ended = last is not None and last.manifest == release and last.outcome is not Outcome.COMMITTED
    if ended and last is not None and last.reason is not Reason.SUPERSEDED:
        return not _is_under_way(report, release)
    return release in report.known_bad or (
        report.reason is Reason.KNOWN_BAD and not files.isdisjoint(report.known_bad)
    )


def _away(seen: Seen, report: Report, policy: GatePolicy, look: Look) -> bool:
    """Whether it has been gone, or silent, for too long. The word of one that lies dead may say online for
    ever: a broker that died itself speaks no last wills.
    """
    retold_s = RETOLD_SETTLED_S if report.phase in {Phase.IDLE, Phase.HELD} else RETOLD_UNDER_WAY_S
    absence_s = min(policy.absence_s, policy.deadline_s)
    bound_s = max(absence_s, RETOLD_MISSED * retold_s) if seen.online else absence_s
    return look.gone_s(_last_sign(seen)) > bound_s


def _serving(seen: Seen, report: Report, files: frozenset[Digest], overdue: Standing) -> Standing:
    """Of a device that runs the release and is not away for good."""
    unproven = report.phase in {Phase.TRIAL, Phase.PROBATION}
    if not seen.online:
        # Away for a while: until it is back, or away for too long.
        return Standing.PENDING
    if unproven:
        watching = report.paused or (report.camera is not None and report.camera.state in CAMERA_OUT)
        return Standing.HELD if watching and overdue is Standing.SILENT else overdue
    if report.degraded or not files.isdisjoint(report.known_bad):
        return Standing.DEGRADED
    return Standing.HEALTHY


def _held(report: Report, *, reached: bool) -> bool:
    """Whether it names something else than the release that keeps it from going on."""
    return _is_held(report) and (reached or report.reason in UNSEEING)


def is_freed(before: Report | None, now: Report) -> bool:
    """Whether what held it, and was not of a release's making, holds it no more: its deadline counts anew."""
    return before is not None and _is_held(before) and not _is_held(now)


def _is_held(report: Report) -> bool:
    return report.phase is Phase.HELD and report.reason in ITS_OWN


def by_hardware(counted: Sequence[Counted]) -> Mapping[str, Sequence[Counted]]:
    """In the order of their names."""
    classes: dict[str, list[Counted]] = defaultdict(list)
    for each in counted:
        classes[each.seen.hardware].append(each)
    return dict(sorted(classes.items()))
