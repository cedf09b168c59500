"""A picture as the ledger keeps it: just what a judgement reads, so that it can be judged again.

    judge(rollout, expand(condense(picture, rollout))) == judge(rollout, picture)

A device that no wave lets in keeps what the next wave's plan is made of; what it reports decides nothing.
"""

from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agent.core.telemetry.latency import RELATIVE_ACCURACY
from agent.wire.documents import Instant
from agent.wire.errors import Malformed
from agent.wire.reasons import Reason
from agent.wire.reports import (
    CameraReport,
    CameraState,
    Ended,
    Evidence,
    Histogram,
    Outcome,
    Phase,
    Progress,
    Report,
    Running,
)
from agent.wire.topics import DeviceId, Digest
from deploy.core.rollouts import tally
from deploy.core.rollouts.picture import Picture, Seen, of_stream
from deploy.core.rollouts.state import Rollout

NOWHERE: Final = Digest("")


class _Shown(Struct, frozen=True, array_like=True):
    """Of an `Evidence`."""

    manifest: Digest
    frames: int
    errors: int
    restarts: int
    zeros: int | None
    """None: no histogram that could be merged."""
    bins: dict[int, int]
    confidence: tuple[int, ...]
    classes: dict[str, int]
    shadow_frames: int
    agreed_frames: int
    soc_c_max: float | None


class _Told(Struct, frozen=True, array_like=True):
    """Of a `Report`."""

    at: Instant
    phase: Phase
    reason: Reason | None
    active: Digest | None
    candidate: Digest | None
    last: tuple[Digest, Outcome, Reason | None] | None
    plan_serial: int
    known_bad: dict[Digest, Reason]
    degraded: bool
    camera: CameraState | None
    paused: bool
    serving: _Shown | None
    before: _Shown | None


class _Device(Struct, frozen=True, array_like=True):
    """Of a `Seen`."""

    id: DeviceId
    hardware: str
    tags: tuple[str, ...]
    online: bool
    known: bool
    gone_at: Instant | None = None
    free_at: Instant | None = None
    heard_at: Instant | None = None
    told: _Told | None = None
    left: bool = False


class _Kept(Struct, frozen=True, array_like=True):
    at: Instant
    missing: tuple[str, ...]
    devices: tuple[_Device, ...]
    since: Instant | None = None


def condense(picture: Picture, rollout: Rollout) -> bytes:
    """What a judgement of this rollout reads of the picture; MessagePack."""
    picture = of_stream(picture, rollout.order.stream)
    inside = {seen.id for seen, _ in tally.inside(rollout, picture.devices)}
    files = frozenset((rollout.order.release.manifest, *rollout.order.files))
    devices = tuple(_device(seen, files) if seen.id in inside else _outside(seen) for seen in picture.devices)
    return msgspec.msgpack.encode(_Kept(picture.at, picture.missing, devices, picture.since))


def expand(content: bytes) -> Picture:
    """The picture again, without what no judgement reads.

    Raises:
        Malformed: the content is none that `condense` made.
    """
    try:
        kept = msgspec.msgpack.decode(content, type=_Kept)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"a picture of the fleet: {error}") from error
    devices = tuple(map(_seen, kept.devices))
    return Picture(at=kept.at, missing=kept.missing, devices=devices, since=kept.since)


def _outside(seen: Seen) -> _Device:
    return _Device(
        seen.id, seen.hardware, seen.tags, seen.online, seen.known, gone_at=seen.gone_at, left=seen.left
    )


def _device(seen: Seen, files: frozenset[Digest]) -> _Device:
    told = None if seen.report is None else _told(seen.report, files)
    return _Device(
        seen.id,
        seen.hardware,
        seen.tags,
        seen.online,
        seen.known,
        seen.gone_at,
        seen.free_at,
        seen.heard_at,
        told,
        seen.left,
    )


def _told(report: Report, files: frozenset[Digest]) -> _Told:
    last = report.last
    return _Told(
        at=report.at,
        phase=report.phase,
        reason=report.reason,
        active=None if report.active is None else report.active.manifest,
        candidate=None if report.candidate is None else report.candidate.manifest,
        last=None if last is None else (last.manifest, last.outcome, last.reason),
        plan_serial=report.plan_serial,
        known_bad={Digest(bad): why for bad, why in report.known_bad.items() if bad in files},
        degraded=bool(report.degraded),
        camera=None if report.camera is None else report.camera.state,
        paused=report.paused,
        serving=_shown(report.serving),
        before=_shown(report.before),
    )


def _shown(evidence: Evidence | None) -> _Shown | None:
    if evidence is None:
        return None
    invoke = evidence.invoke_ms
    mergeable = invoke is not None and invoke.relative_accuracy == RELATIVE_ACCURACY
    return _Shown(
        manifest=evidence.manifest,
        frames=evidence.frames,
        errors=evidence.errors,
        restarts=evidence.restarts,
        zeros=invoke.zeros if invoke is not None and mergeable else None,
        bins=invoke.bins if invoke is not None and mergeable else {},
        confidence=evidence.confidence,
        classes=evidence.classes,
        shadow_frames=evidence.shadow_frames,
        agreed_frames=evidence.agreed_frames,
        soc_c_max=evidence.soc_c_max,
    )


def _seen(device: _Device) -> Seen:
    return Seen(
        id=device.id,
        hardware=device.hardware,
        tags=device.tags,
        online=device.online,
        known=device.known,
        gone_at=device.gone_at,
        free_at=device.free_at,
        heard_at=device.heard_at,
        left=device.left,
        report=None if device.told is None else _report(device.id, device.told),
    )


def _report(device: DeviceId, told: _Told) -> Report:
    return Report(
        device=device,
        at=told.at,
        phase=told.phase,
        reason=told.reason,
        active=None if told.active is None else _running(told.active),
        candidate=None if told.candidate is None else Progress(name="", version="", manifest=told.candidate),
        last=None if told.last is None else _ended(*told.last),
        plan_serial=told.plan_serial,
        known_bad={str(bad): why for bad, why in told.known_bad.items()},
        degraded="degraded" if told.degraded else "",
        camera=None if told.camera is None else CameraReport(state=told.camera),
        paused=told.paused,
        serving=_evidence(told.serving),
        before=_evidence(told.before),
    )


def _running(manifest: Digest) -> Running:
    return Running(name="", version="", manifest=manifest, digest=NOWHERE)


def _ended(manifest: Digest, outcome: Outcome, reason: Reason | None) -> Ended:
    return Ended(name="", version="", manifest=manifest, outcome=outcome, reason=reason)


def _evidence(shown: _Shown | None) -> Evidence | None:
    if shown is None:
        return None
    evidence = Evidence(
        manifest=shown.manifest,
        digest=NOWHERE,
        frames=shown.frames,
        errors=shown.errors,
        restarts=shown.restarts,
        confidence=shown.confidence,
        classes=shown.classes,
        shadow_frames=shown.shadow_frames,
        agreed_frames=shown.agreed_frames,
        soc_c_max=shown.soc_c_max,
    )
    return (
        evidence if shown.zeros is None else replace(evidence, invoke_ms=_histogram(shown.zeros, shown.bins))
    )


def _histogram(zeros: int, bins: dict[int, int]) -> Histogram:
    return Histogram(
        relative_accuracy=RELATIVE_ACCURACY,
        count=zeros + sum(bins.values()),
        zeros=zeros,
        sum=0.0,
        min=0.0,
        max=0.0,
        bins=bins,
    )
