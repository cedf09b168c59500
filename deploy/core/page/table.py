"""The fleet's table: rows made from what is believed, and what changed between two tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.wire.reports import Phase, Presence, Report, Status
from agent.wire.topics import MAIN, DeviceId
from deploy.core.devices import roster
from deploy.core.devices.fleet import Device
from deploy.core.devices.fleet import Row as Judged
from deploy.core.devices.roster import CaseOf
from deploy.core.page.words import Row
from deploy.core.rollouts.picture import Picture, Seen

Rows = Mapping[str, tuple[Judged, ...]]
"""By device: every pipeline with the cause that counts for it."""


@dataclass(frozen=True, slots=True)
class Difference:
    rows: tuple[Row, ...]
    gone: tuple[str, ...]


def ids(picture: Picture, members: Iterable[DeviceId]) -> tuple[str, ...]:
    """Every device that was enrolled or is believed to have spoken, sorted."""
    return tuple(sorted({*members, *(seen.id for seen in picture.devices)}))


def moved(before: Mapping[str, Seen], picture: Picture) -> tuple[str, ...]:
    """Devices of which something else is known than before; what is not known of them anew is the same
    object, so nothing is compared.
    """
    return tuple(seen.id for seen in picture.devices if before.get(seen.id) is not seen)


def judge(wanted: Iterable[str], seen: Mapping[str, Seen], case_of: CaseOf) -> dict[str, tuple[Judged, ...]]:
    """What is to be shown of these devices."""
    return {
        name: roster.rows((name,), (device_of(DeviceId(name), seen.get(name)),), case_of) for name in wanted
    }


def device_of(name: DeviceId, seen: Seen | None) -> Device:
    """As its own documents would tell it. Whether it is there was judged by our clock already."""
    if seen is None:
        return Device(name)
    presence = Presence.ONLINE if seen.online else Presence.OFFLINE
    return Device(
        name,
        Status(state=presence, session=""),
        seen.report,
        further=tuple(told.report for told in seen.further),
    )


def shown(judged: Judged, seen: Seen | None) -> Row:
    """The row as the page draws it: an instant in the place of an age, which would change all the time."""
    report = None if seen is None else _report(seen, judged.pipeline)
    return Row(
        device=judged.device,
        pipeline=judged.pipeline,
        online=judged.online,
        running=judged.running,
        delegate=judged.delegate,
        phase=judged.phase,
        candidate=judged.candidate,
        done_share=None if report is None else _done_share(report),
        code=judged.code,
        why=judged.why,
        standing=judged.standing,
        urgency=roster.urgency(judged),
        hardware=judged.hardware,
        tags=judged.tags,
        plan=judged.plan_serial,
        at=None if report is None else report.at,
        degraded=judged.degraded,
        camera=judged.camera,
        paused=judged.paused,
        stream=judged.stream,
    )


def difference(before: Mapping[str, Row], now: Mapping[str, Row]) -> Difference:
    """By `Row.key`."""
    rows = tuple(row for key, row in now.items() if before.get(key) != row)
    return Difference(rows, tuple(key for key in before if key not in now))


def _report(seen: Seen, pipeline: str) -> Report | None:
    if pipeline == MAIN:
        return seen.report
    return next((told.report for told in seen.further if told.report.pipeline == pipeline), None)


def _done_share(report: Report) -> float | None:
    coming = report.candidate
    if report.phase is not Phase.FETCHING or coming is None or not coming.bytes_total:
        return None
    return round(coming.bytes_done / coming.bytes_total, 3)
