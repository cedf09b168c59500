"""The fleet as its devices describe it: retained messages folded into one row a device."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from agent.wire import codec
from agent.wire.errors import Malformed, WireError
from agent.wire.reasons import IN_WORDS
from agent.wire.reports import CameraState, Ended, Outcome, Phase, Presence, Report, Status
from agent.wire.topics import MAIN, REPORT, STATUS, Address, DeviceId, Root
from deploy.core.rollouts.picture import BEATS_MISSED
from deploy.core.rollouts.tally import Standing

_CLOCK_NEVER_SET = datetime(2024, 1, 1, tzinfo=UTC)
"""What a device without a clock says before this tells nothing of when it was."""


@dataclass(frozen=True, slots=True)
class Device:
    """What is known of one device; `fault` says which of its documents could not be read."""

    id: DeviceId
    status: Status | None = None
    report: Report | None = None
    fault: str = ""
    further: tuple[Report, ...] = ()
    """Of its pipelines besides `main`, by their names."""

    @property
    def reports(self) -> tuple[Report, ...]:
        return self.further if self.report is None else (self.report, *self.further)


class Row(Struct, frozen=True, kw_only=True):
    """One pipeline of a device in the operator's table."""

    device: str
    online: bool
    pipeline: str = MAIN
    stream: str = ""
    """Whose plans the pipeline follows, as far as it tells."""
    running: str = ""
    delegate: str = ""
    phase: Phase | None = None
    candidate: str = ""
    reason: str = ""
    why: str = ""
    plan_serial: int | None = None
    report_age_s: float | None = None
    degraded: str = ""
    camera: CameraState | None = None
    camera_detail: str = ""
    paused: bool = False
    hardware: str = ""
    tags: tuple[str, ...] = ()
    code: str = ""
    """The cause, as `shoal why` gives it; `reason` is the device's own word."""
    standing: Standing | None = None
    """How the gate of the rollout counts the device."""


@dataclass(slots=True)
class Fold:
    """Takes messages in any order, the newest of a topic last."""

    _devices: dict[DeviceId, Device] = field(default_factory=dict)

    def add(self, address: Address, content: bytes) -> None:
        if address.device is None or address.channel not in (STATUS, REPORT):
            return
        known = self._devices.get(address.device) or Device(address.device)
        self._devices[address.device] = _with(known, address, content)

    def devices(self) -> tuple[Device, ...]:
        """Sorted by id."""
        return tuple(self._devices[device] for device in sorted(self._devices))


def fold(root: Root, messages: Iterable[tuple[str, bytes]]) -> tuple[Device, ...]:
    """The devices that these topics and contents tell of, the newest of a topic last.

    Topics that are not Shoal's are none of ours to judge; a cleared one says nothing.
    """
    told = Fold()
    for topic, content in messages:
        try:
            address = root.parse(topic)
        except Malformed:
            continue
        if content:
            told.add(address, content)
    return told.devices()


def _with(known: Device, address: Address, content: bytes) -> Device:
    try:
        if address.channel is STATUS:
            return replace(known, status=codec.decode(content, Status))
        # The topic says which pipeline it is; what the report says of itself must not hide another one.
        told = msgspec.structs.replace(codec.decode(content, Report), pipeline=address.pipeline)
        if address.pipeline == MAIN:
            return replace(known, report=told)
        others = [each for each in known.further if each.pipeline != address.pipeline]
        return replace(known, further=tuple(sorted([*others, told], key=lambda each: each.pipeline)))
    except WireError as error:
        return replace(known, fault=str(error))


def _online(status: Status, now: datetime) -> bool:
    """A killed broker keeps the word `online` of those that were on it; they say it again elsewhere."""
    if status.state is not Presence.ONLINE:
        return False
    if status.at is None or not status.beat_s or status.at < _CLOCK_NEVER_SET:
        return True
    return (now - status.at).total_seconds() <= BEATS_MISSED * status.beat_s


def rows(device: Device, now: datetime) -> tuple[Row, ...]:
    """The device as the operator reads it, a row for each pipeline, `main` first; ages are by the operator's
    clock and never negative.
    """
    online = device.status is not None and _online(device.status, now)
    told = tuple(_row(report, device, now, online=online) for report in device.reports)
    if device.report is not None:
        return told
    return Row(device=device.id, online=online, why=device.fault or "it has not reported yet"), *told


def _row(report: Report, device: Device, now: datetime, *, online: bool) -> Row:
    active, candidate, camera = report.active, report.candidate, report.camera
    reason, why = _reason(report)
    return Row(
        device=device.id,
        online=online,
        pipeline=report.pipeline,
        stream=report.stream,
        running=f"{active.name}@{active.version}" if active else "",
        delegate=active.delegate if active else "",
        phase=report.phase,
        candidate=f"{candidate.name}@{candidate.version}" if candidate else "",
        reason=reason,
        why=device.fault or why,
        plan_serial=report.plan_serial if report.plan_serial >= 0 else None,
        report_age_s=max((now - report.at).total_seconds(), 0.0),
        degraded=report.degraded,
        camera=camera.state if camera else None,
        camera_detail=camera.detail if camera else "",
        paused=report.paused,
        hardware=report.capabilities.hardware,
        tags=report.capabilities.tags,
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
