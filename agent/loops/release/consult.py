"""From what the operator signed to what this device should run."""

from dataclasses import dataclass, replace
from typing import Final

from agent.core.serving import delegate
from agent.core.serving.delegate import DelegateChoice
from agent.core.update import admission, consent, lifecycle
from agent.core.update.admission import Admitted, Device, Role
from agent.core.update.consent import Moment
from agent.core.update.lifecycle import Fitted, Record
from agent.ports.trust import Trust
from agent.wire.documents import Delegate, Manifest, Plan, ReleaseRef, Variant
from agent.wire.errors import Stale, Untrusted, WireError
from agent.wire.reasons import Reason

NOT_NOW: Final = frozenset({Reason.WINDOW, Reason.VETO})
"""These hold the stable release as well."""


@dataclass(frozen=True, slots=True)
class Desired:
    """A release that the plan gives this device, fitted to it."""

    plan: Plan
    release: Fitted
    content: bytes
    """The manifest's bytes, as signed."""
    passed_over: "Hold | None" = None
    """Why it is the stable release although the plan offers this device the candidate."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing new is begun, and why."""

    reason: Reason
    detail: str = ""
    plan: Plan | None = None
    again_s: float | None = None
    """When it is worth asking again."""
    release: Fitted | None = None
    """What would be begun but for this, where it may not be begun yet."""


@dataclass(frozen=True, slots=True)
class Host:
    """What the choice of a variant depends on."""

    device: Device
    edgetpu: bool
    runtime_version: str
    wanted: DelegateChoice = DelegateChoice.AUTO


def consult(
    trust: Trust, stream: str, host: Host, record: Record, moment: Moment, *, clock_trusted: bool
) -> Desired | Hold:
    """Read the signed plan and decide; unknown means hold. Blocks on the network.

    A candidate that failed here before, does not fit, or is paused leaves the device with the stable release.

    Raises:
        PortError: the broker did not deliver; ask again later.
    """
    try:
        trust.refresh()
        plan = trust.plan(stream)
        if plan is None:
            return Hold(Reason.NO_PLAN, f"stream {stream}")
        return _decide(trust, plan, host, record, moment, clock_trusted=clock_trusted)
    except Stale as error:
        return Hold(Reason.STALE_METADATA, str(error))
    except Untrusted as error:
        return Hold(Reason.UNTRUSTED, str(error))
    except WireError as error:
        return Hold(Reason.UNREADABLE, str(error))


def _decide(
    trust: Trust, plan: Plan, host: Host, record: Record, moment: Moment, *, clock_trusted: bool
) -> Desired | Hold:
    match admission.admit(plan, record.plan_serial, host.device, clock_trusted=clock_trusted):
        case admission.HeldBy(reason, detail):
            return Hold(reason, detail, None if reason is Reason.UNTRUSTED else plan)
        case Admitted(ref) as admitted:
            first = _now(_offer(trust, plan, ref, host, record), admitted.role, record, moment)
            if isinstance(first, Desired) or plan.stable in {None, ref} or first.reason in NOT_NOW:
                return first
            assert plan.stable is not None
            second = _now(_offer(trust, plan, plan.stable, host, record), Role.STABLE, record, moment)
            if isinstance(second, Desired):
                return replace(second, passed_over=first)
            return replace(first, again_s=second.again_s)


def _now(offered: Desired | Hold, role: Role, record: Record, moment: Moment) -> Desired | Hold:
    """What is offered, unless it would be begun and may not yet."""
    if isinstance(offered, Hold) or _has_begun(record, offered.release):
        return offered
    active = record.state.active
    release = offered.release
    ref = ReleaseRef(name=release.name, version=release.version, manifest=release.manifest)
    moment = replace(moment, accepted=record.accepted)
    later = consent.held(offered.plan, role, ref, active.manifest if active else None, moment)
    if later is None:
        return offered
    opens_s = (later.opens_at - moment.at).total_seconds() if later.opens_at else None
    return Hold(later.held.reason, later.held.detail, offered.plan, opens_s, release)


def _has_begun(record: Record, release: Fitted) -> bool:
    """A release that is fitted anew to other hardware is the same release."""
    pursued = lifecycle.pursued(record.state)
    return pursued is not None and pursued.manifest == release.manifest


def _offer(trust: Trust, plan: Plan, ref: ReleaseRef, host: Host, record: Record) -> Desired | Hold:
    manifest, content = trust.manifest(ref)
    match delegate.choose(
        manifest.variants,
        edgetpu_present=host.edgetpu or _fitted_before(record, ref),
        runtime_version=host.runtime_version,
        wanted=host.wanted,
        bad={bad.digest for bad in record.known_bad},
    ):
        case delegate.Refused(reason, detail):
            return Hold(reason, detail, plan)
        case delegate.Choice(variant=variant, twin=twin):
            release = _fitted(ref, manifest, variant, twin)
            bad = lifecycle.why_bad(record, release)
            if bad is not None:
                return Hold(bad, f"{ref.name} {ref.version}", plan)
            return Desired(plan, release, content)


def _fitted_before(record: Record, ref: ReleaseRef) -> bool:
    """A release that has found its Edge TPU here keeps its fit while that is away."""
    held = lifecycle.pursued(record.state)
    return held is not None and held.manifest == ref.manifest and held.delegate is Delegate.EDGETPU


def _fitted(ref: ReleaseRef, manifest: Manifest, variant: Variant, twin: Variant | None) -> Fitted:
    files = [ref.manifest, variant.artifact.digest, manifest.golden.artifact.digest]
    if manifest.labels is not None:
        files.append(manifest.labels.digest)
    if twin is not None:
        files.append(twin.artifact.digest)
    return Fitted(
        name=manifest.name,
        version=manifest.version,
        manifest=ref.manifest,
        variant=variant.artifact.digest,
        delegate=variant.delegate,
        files=tuple(files),
        twin=None if twin is None else twin.artifact.digest,
    )


def waiting(decision: Desired | Hold) -> Fitted | None:
    """What somebody has to accept first."""
    held = _held(decision)
    return held.release if held is not None and held.reason is Reason.UNACCEPTED else None


def put_off(decision: Desired | Hold) -> Fitted | None:
    """What would be begun but for something that holds it."""
    held = _held(decision)
    return None if held is None else held.release


def _held(decision: Desired | Hold) -> Hold | None:
    return decision if isinstance(decision, Hold) else decision.passed_over
