"""The fleet as a table: a row for each pipeline, filtered, sorted and counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.core.update.matching import Term
from agent.wire.reasons import Reason
from agent.wire.reports import CameraState, Phase, Presence
from agent.wire.topics import MAIN, DeviceId
from deploy.core.devices import fleet, why
from deploy.core.devices.causes import AS_MEANT, ON_ITS_WAY, Cause
from deploy.core.devices.fleet import Device, Row
from deploy.core.devices.why import Case
from deploy.core.rollouts import matching
from deploy.core.rollouts.picture import Seen
from deploy.core.rollouts.tally import BAD, Standing

UNBLAMED: Final = frozenset(
    {
        *AS_MEANT, *ON_ITS_WAY, Reason.OUTSIDE_CUT, Reason.NOT_MATCHED, Reason.NO_PLAN, Reason.PAUSED,
        Reason.WINDOW, Cause.OFFLINE, Cause.NEVER_SEEN, Cause.EXPELLED,
    }
)  # fmt: skip
"""Causes that are no fault of anything on the device."""


class SortBy(StrEnum):
    WORST = "worst"
    """Those that a person should look at first."""
    DEVICE = "device"
    RUNNING = "running"
    PHASE = "phase"
    REASON = "reason"
    PLAN = "plan"
    SEEN = "seen"
    """The longest silent first."""
    HARDWARE = "hardware"
    ONLINE = "online"
    """Those that are not first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """All must hold; what is empty holds of every row."""

    match: tuple[Term, ...] = ()
    phases: frozenset[Phase] = frozenset()
    reasons: frozenset[str] = frozenset()
    standings: frozenset[Standing] = frozenset()
    release: str = ""
    """`NAME` or `NAME@VERSION`, of what runs."""
    presence: Presence | None = None
    stream: str = ""
    """That the pipeline follows; of one that does not tell, nobody knows."""


CaseOf = Callable[[str, str], Case]
"""What is known of a device by one of its pipelines."""


def rows(ids: Iterable[str], devices: Iterable[Device], case_of: CaseOf) -> tuple[Row, ...]:
    """Sorted by id, a device's main pipeline first."""
    known = {str(device.id): device for device in devices}
    return tuple(row for name in ids for row in _rows(known.get(name) or Device(DeviceId(name)), case_of))


def _rows(device: Device, case_of: CaseOf) -> Iterable[Row]:
    at = case_of(device.id, MAIN).at
    for row in fleet.rows(device, at):
        yield _explained(row, device, case_of(device.id, row.pipeline))


def _explained(row: Row, device: Device, case: Case) -> Row:
    """Tags and hardware as they are believed; the cause, with its words where it is not as it should be."""
    found, seen = why.explain(device.id, case), case.seen
    words = "" if found.code in AS_MEANT else found.why
    return replace(
        row,
        code=str(found.code),
        standing=found.standing,
        why=device.fault or words,
        hardware=row.hardware if seen is None else seen.hardware,
        tags=row.tags if seen is None else seen.tags,
    )


def chosen(every: Iterable[Row], wanted: Wanted) -> tuple[Row, ...]:
    return tuple(row for row in every if _is_wanted(row, wanted))


def _is_wanted(row: Row, wanted: Wanted) -> bool:
    name, _, _ = row.running.partition("@")
    facts = Seen(id=DeviceId(row.device), hardware=row.hardware, tags=row.tags)
    return (
        (not wanted.phases or row.phase in wanted.phases)
        and (not wanted.reasons or (row.code or row.reason) in wanted.reasons)
        and (not wanted.standings or row.standing in wanted.standings)
        and (not wanted.release or wanted.release in {row.running, name})
        and (not wanted.stream or row.stream in {"", wanted.stream})
        and (wanted.presence is None or row.online is (wanted.presence is Presence.ONLINE))
        and matching.unmatched(wanted.match, facts) is None
    )


def ordered(every: Iterable[Row], by: SortBy) -> tuple[Row, ...]:
    """Rows that are equal in this stay in the order of their ids."""
    match by:
        case SortBy.WORST:
            return tuple(sorted(every, key=urgency))
        case SortBy.DEVICE:
            return tuple(every)
        case SortBy.RUNNING:
            return tuple(sorted(every, key=lambda row: row.running))
        case SortBy.PHASE:
            return tuple(sorted(every, key=lambda row: row.phase or ""))
        case SortBy.REASON:
            return tuple(sorted(every, key=lambda row: row.code or row.reason))
        case SortBy.PLAN:
            return tuple(sorted(every, key=lambda row: -1 if row.plan_serial is None else row.plan_serial))
        case SortBy.SEEN:
            return tuple(sorted(every, key=lambda row: -(row.report_age_s or 0.0)))
        case SortBy.HARDWARE:
            return tuple(sorted(every, key=lambda row: row.hardware))
        case SortBy.ONLINE:
            return tuple(sorted(every, key=lambda row: row.online))


def urgency(row: Row) -> int:
    """Failed before gone without a word, before hindered, before offline, before on its way, before well."""
    code = row.code or row.reason
    if row.standing in BAD:
        return 0
    if row.standing is Standing.VANISHED or code == Cause.NOT_BELIEVED:
        return 1
    if code and code not in UNBLAMED:
        return 2
    if row.degraded or row.paused or row.camera not in {None, CameraState.LIVE}:
        return 3
    if not row.online:
        return 6 if code == Cause.EXPELLED else 4
    return 5 if code in ON_ITS_WAY else 6


class Counts(Struct, frozen=True, kw_only=True):
    """Of devices; one whose pipelines stand differently or have several causes counts for each of them."""

    devices: int
    online: int
    offline: int
    standings: dict[str, int]
    """How the gate of the rollout counts them, in the order of `Standing`."""
    codes: dict[str, int]
    """By their cause, the most frequent first."""


def counts(every: Sequence[Row]) -> Counts:
    online = {row.device: row.online for row in every}
    standings = {(row.device, row.pipeline): row.standing for row in every if row.standing is not None}
    codes = dict.fromkeys((row.device, row.code or row.reason) for row in every)
    by_standing = Counter(standings.values())
    return Counts(
        devices=len(online),
        online=sum(online.values()),
        offline=len(online) - sum(online.values()),
        standings={str(each): by_standing[each] for each in Standing if by_standing[each]},
        codes=dict(Counter(code for _, code in codes if code).most_common()),
    )
