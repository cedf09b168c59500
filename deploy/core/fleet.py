"""The fleet as its devices describe it: retained messages folded into one row a device."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from msgspec import Struct

from agent.wire import codec
from agent.wire.errors import WireError
from agent.wire.reasons import IN_WORDS
from agent.wire.reports import Ended, Outcome, Phase, Presence, Report, Status
from agent.wire.topics import MAIN, REPORT, STATUS, Address, DeviceId, Digest


@dataclass(frozen=True, slots=True)
class Device:
    """What is known of one device; `fault` says which of its documents could not be read."""

    id: DeviceId
    status: Status | None = None
    report: Report | None = None
    fault: str = ""


class Row(Struct, frozen=True, kw_only=True):
    """One device in the operator's table."""

    device: str
    online: bool
    running: str = ""
    delegate: str = ""
    phase: Phase | None = None
    candidate: str = ""
    reason: str = ""
    why: str = ""
    plan_serial: int | None = None
    report_age_s: float | None = None


@dataclass(slots=True)
class Fold:
    """Takes messages in any order, the newest of a topic last."""

    _devices: dict[DeviceId, Device] = field(default_factory=dict)

    def add(self, address: Address, content: bytes) -> None:
        if address.device is None or address.channel not in (STATUS, REPORT) or address.pipeline != MAIN:
            return
        known = self._devices.get(address.device) or Device(address.device)
        self._devices[address.device] = _with(known, address, content)

    def devices(self) -> tuple[Device, ...]:
        """Sorted by id."""
        return tuple(self._devices[device] for device in sorted(self._devices))


def _with(known: Device, address: Address, content: bytes) -> Device:
    try:
        if address.channel is STATUS:
            return replace(known, status=codec.decode(content, Status))
        return replace(known, report=codec.decode(content, Report))
    except WireError as error:
        return replace(known, fault=str(error))


def by_hardware(devices: Iterable[Device]) -> dict[str, tuple[DeviceId, ...]]:
    """The ids of the devices that have reported, by their hardware class."""
    classes: dict[str, tuple[DeviceId, ...]] = {}
    for device in devices:
        if device.report is not None:
            kind = device.report.capabilities.hardware
            classes[kind] = (*classes.get(kind, ()), device.id)
    return classes


def committed(devices: Iterable[Device]) -> frozenset[Digest]:
    """The manifests of releases that some device runs and has no doubt about any more."""
    reports = [device.report for device in devices if device.report is not None]
    return frozenset(
        report.active.manifest
        for report in reports
        if report.active is not None and report.phase is not Phase.PROBATION
    )


def row(device: Device, now: datetime) -> Row:
    """The device as the operator reads it; ages are by the operator's clock and never negative."""
    online = device.status is not None and device.status.state is Presence.ONLINE
    if device.report is None:
        return Row(device=device.id, online=online, why=device.fault or "it has not reported yet")
    report = device.report
    active, candidate = report.active, report.candidate
    reason, why = _reason(report)
    return Row(
        device=device.id,
        online=online,
        running=f"{active.name}@{active.version}" if active else "",
        delegate=active.delegate if active else "",
        phase=report.phase,
        candidate=f"{candidate.name}@{candidate.version}" if candidate else "",
        reason=reason,
        why=device.fault or why,
        plan_serial=report.plan_serial if report.plan_serial >= 0 else None,
        report_age_s=max((now - report.at).total_seconds(), 0.0),
    )


def _reason(report: Report) -> tuple[str, str]:
    """The code and the words: of the hold, of what is under way, or of how the last update ended badly."""
    if report.reason is not None:
        return report.reason.value, _words(IN_WORDS[report.reason], report.detail)
    candidate = report.candidate
    if candidate is not None and candidate.bytes_total and report.phase is Phase.FETCHING:
        done = candidate.bytes_done * 100 // candidate.bytes_total
        return "", f"{candidate.name}@{candidate.version}: {done} % of {candidate.bytes_total} bytes are here"
    if report.last is not None and report.last.outcome is not Outcome.COMMITTED:
        return _ended_badly(report.last)
    return "", report.detail


def _ended_badly(ended: Ended) -> tuple[str, str]:
    said = f"{ended.outcome.value} {ended.name}@{ended.version}"
    if ended.reason is None:
        return "", _words(said, ended.detail)
    return ended.reason.value, _words(f"{said}: {IN_WORDS[ended.reason]}", ended.detail)


def _words(said: str, detail: str) -> str:
    return f"{said} ({detail})" if detail else said
