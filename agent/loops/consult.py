"""From what the operator signed to what this device should run."""

from dataclasses import dataclass, replace

from agent.core import admission, delegate, lifecycle
from agent.core.admission import Device
from agent.core.lifecycle import Fitted, Record
from agent.ports.trust import Trust
from agent.wire.documents import Manifest, Plan, ReleaseRef, Variant
from agent.wire.errors import Stale, Untrusted, WireError
from agent.wire.reasons import Reason


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


@dataclass(frozen=True, slots=True)
class Host:
    """What the choice of a variant depends on."""

    device: Device
    edgetpu: bool
    runtime_version: str


def consult(trust: Trust, stream: str, host: Host, record: Record, *, clock_trusted: bool) -> Desired | Hold:
    """Read the signed plan and decide; unknown means hold. Blocks on the network.

    A candidate that failed here before, or does not fit, leaves the device with the stable release.

    Raises:
        PortError: the broker did not deliver; ask again later.
    """
    try:
        trust.refresh()
        plan = trust.plan(stream)
        if plan is None:
            return Hold(Reason.NO_PLAN, f"stream {stream}")
        return _decide(trust, plan, host, record, clock_trusted=clock_trusted)
    except Stale as error:
        return Hold(Reason.STALE_METADATA, str(error))
    except Untrusted as error:
        return Hold(Reason.UNTRUSTED, str(error))
    except WireError as error:
        return Hold(Reason.UNREADABLE, str(error))


def _decide(trust: Trust, plan: Plan, host: Host, record: Record, *, clock_trusted: bool) -> Desired | Hold:
    match admission.admit(plan, record.plan_serial, host.device, clock_trusted=clock_trusted):
        case admission.HeldBy(reason, detail):
            return Hold(reason, detail, None if reason is Reason.UNTRUSTED else plan)
        case admission.Admitted(ref):
            first = _offer(trust, plan, ref, host, record)
            if isinstance(first, Desired) or plan.stable in {None, ref}:
                return first
            assert plan.stable is not None
            second = _offer(trust, plan, plan.stable, host, record)
            return replace(second, passed_over=first) if isinstance(second, Desired) else first


def _offer(trust: Trust, plan: Plan, ref: ReleaseRef, host: Host, record: Record) -> Desired | Hold:
    manifest, content = trust.manifest(ref)
    match delegate.choose(
        manifest.variants, edgetpu_present=host.edgetpu, runtime_version=host.runtime_version
    ):
        case delegate.Refused(reason, detail):
            return Hold(reason, detail, plan)
        case delegate.Choice(variant=variant):
            release = _fitted(ref, manifest, variant)
            bad = lifecycle.why_bad(record, release)
            if bad is not None:
                return Hold(bad, f"{ref.name} {ref.version}", plan)
            return Desired(plan, release, content)


def _fitted(ref: ReleaseRef, manifest: Manifest, variant: Variant) -> Fitted:
    files = [ref.manifest, variant.artifact.digest, manifest.golden.artifact.digest]
    if manifest.labels is not None:
        files.append(manifest.labels.digest)
    return Fitted(
        name=manifest.name,
        version=manifest.version,
        manifest=ref.manifest,
        variant=variant.artifact.digest,
        delegate=variant.delegate,
        files=tuple(files),
    )
