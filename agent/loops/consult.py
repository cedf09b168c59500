"""From what the operator signed to what this device should run."""

from dataclasses import dataclass

from agent.core import admission, delegate
from agent.core.admission import Device
from agent.core.lifecycle import Fitted
from agent.ports.trust import Trust
from agent.wire.documents import Manifest, Plan, ReleaseRef
from agent.wire.errors import Stale, Untrusted, WireError
from agent.wire.reasons import Reason
from agent.wire.topics import Digest


@dataclass(frozen=True, slots=True)
class Desired:
    """A release that the plan gives this device, fitted to it."""

    plan: Plan
    release: Fitted
    manifest: Manifest
    content: bytes
    """The manifest's bytes, as signed."""


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


def consult(
    trust: Trust, stream: str, host: Host, known_serial: int, *, clock_trusted: bool
) -> Desired | Hold:
    """Read the signed plan and decide; unknown means hold. Blocks on the network.

    Raises:
        PortError: the broker did not deliver; ask again later.
    """
    try:
        trust.refresh()
        plan = trust.plan(stream)
        if plan is None:
            return Hold(Reason.NO_PLAN, f"stream {stream}")
        return _decide(trust, plan, host, known_serial, clock_trusted=clock_trusted)
    except Stale as error:
        return Hold(Reason.STALE_METADATA, str(error))
    except Untrusted as error:
        return Hold(Reason.UNTRUSTED, str(error))
    except WireError as error:
        return Hold(Reason.UNREADABLE, str(error))


def _decide(
    trust: Trust, plan: Plan, host: Host, known_serial: int, *, clock_trusted: bool
) -> Desired | Hold:
    match admission.admit(plan, known_serial, host.device, clock_trusted=clock_trusted):
        case admission.HeldBy(reason, detail):
            return Hold(reason, detail, None if reason is Reason.UNTRUSTED else plan)
        case admission.Admitted(ref):
            manifest, content = trust.manifest(ref)
            return _fit(plan, ref, manifest, content, host)


def _fit(plan: Plan, ref: ReleaseRef, manifest: Manifest, content: bytes, host: Host) -> Desired | Hold:
    match delegate.choose(
        manifest.variants, edgetpu_present=host.edgetpu, runtime_version=host.runtime_version
    ):
        case delegate.Refused(reason, detail):
            return Hold(reason, detail, plan)
        case delegate.Choice(variant, _):
            files = [ref.manifest, variant.artifact.digest, manifest.golden.artifact.digest]
            if manifest.labels is not None:
                files.append(manifest.labels.digest)
            release = Fitted(
                name=manifest.name,
                version=manifest.version,
                manifest=Digest(ref.manifest),
                variant=Digest(variant.artifact.digest),
                delegate=variant.delegate,
                files=tuple(Digest(digest) for digest in files),
            )
            return Desired(plan, release, manifest, content)
