"""The fleet as a table: a row for each pipeline, filtered, sorted and counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec.structs import replace

from agent.core.update.matching import Term
from agent.wire.reports import Phase, Presence
from agent.wire.topics import MAIN, DeviceId
from deploy.core import fleet, why
from deploy.core.causes import AS_MEANT
from deploy.core.fleet import Device, Row
from deploy.core.rollouts import matching
from deploy.core.rollouts.picture import Seen
from deploy.core.rollouts.tally import Standing
from deploy.core.why import Case


class SortBy(StrEnum):
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


def rows(ids: Iterable[str], devices: Iterable[Device], case_of: Callable[[str], Case]) -> tuple[Row, ...]:
    """Sorted by id, a device's main pipeline first."""
    known = {str(device.id): device for device in devices}
    return tuple(
        row for name in ids for row in _rows(known.get(name) or Device(DeviceId(name)), case_of(name))
    )


def _rows(device: Device, case: Case) -> Iterable[Row]:
    for row in fleet.rows(device, case.at):
        yield _explained(row, device, case) if row.pipeline == MAIN else row


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
        and (wanted.presence is None or row.online is (wanted.presence is Presence.ONLINE))
        and matching.unmatched(wanted.match, facts) is None
    )


def ordered(every: Iterable[Row], by: SortBy) -> tuple[Row, ...]:
    """Rows that are equal in this stay in the order of their ids."""
    match by:
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


def counts(every: Sequence[Row]) -> dict[str, int]:
    """Devices in all, online and offline, and by their cause, the most frequent first."""
    mains = [row for row in every if row.pipeline == MAIN]
    online = sum(row.online for row in mains)
    causes = Counter(row.code for row in mains).most_common()
    return {"devices": len(mains), "online": online, "offline": len(mains) - online, **dict(causes)}
