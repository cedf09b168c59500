"""Rollouts and pictures of fleets, as a gate is given them."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from agent.core.telemetry.latency import Sketch
from agent.core.update.cohort import EVERYBODY, OTHERS
from agent.wire.documents import Plan, ReleaseRef
from agent.wire.reasons import Reason
from agent.wire.reports import BINS, Capabilities, Ended, Evidence, Outcome, Phase, Progress, Report, Running
from agent.wire.topics import DeviceId, sha256
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.state import Rollout, fold
from deploy.core.rollouts.words import GatePolicy, Line, Order, Policy, Started, Steered

BEGUN = datetime(2026, 6, 2, 9, 0, tzinfo=UTC)


def ref(version):
    return ReleaseRef(name="birds", version=version, manifest=sha256(f"birds {version}".encode()))


STABLE, CANDIDATE = ref("1"), ref("2")
VARIANT, EDGETPU_VARIANT = sha256(b"birds 2 cpu"), sha256(b"birds 2 edgetpu")
SERIAL = 7


def after(seconds):
    return BEGUN + timedelta(seconds=seconds)


def order(*of_waves, match=(), bytes_each=0, salt="salt", gate=None, **policy):
    return Order(
        rollout="birds-2",
        stream="main",
        release=CANDIDATE,
        stable=STABLE,
        files=(CANDIDATE.manifest, VARIANT, EDGETPU_VARIANT),
        waves=of_waves or ("100%",),
        salt=salt,
        match=match,
        policy=Policy(gate=gate or GatePolicy(), **policy),
        bytes_each=bytes_each,
    )


def lines(*entries):
    """Pairs of seconds after the beginning and an entry."""
    return tuple(
        Line(number=n, at=after(seconds), entry=entry, chain=sha256(b""))
        for n, (seconds, entry) in enumerate(entries, start=1)
    )


def plan(serial=SERIAL, cut=EVERYBODY, **changes):
    cuts = cut if isinstance(cut, dict) else {OTHERS: cut}
    return replace(
        Plan(stream="main", serial=serial, stable=STABLE, candidate=CANDIDATE, cut=cuts, salt="salt"),
        **changes,
    )


def steered(of_plan, wave=0):
    return Steered(rollout="birds-2", plan=of_plan, wave=wave, why="")


def rollout(of_order=None, *entries, **gate) -> Rollout:
    """One whose only wave lets everybody in, unless entries say otherwise."""
    ordered = of_order or order(gate=GatePolicy(**gate))
    happened = entries or ((0, steered(plan())),)
    return fold(lines((0, Started(order=ordered)), *happened)).rollouts["birds-2"]


def running(of):
    return Running(name=of.name, version=of.version, manifest=of.manifest, digest=VARIANT)


def report(name, **changes):
    told = Report(
        device=DeviceId(name), at=BEGUN, phase=Phase.IDLE, active=running(STABLE), plan_serial=SERIAL
    )
    return replace(told, **changes)


def seen(name, told=None, **changes):
    device = Seen(
        id=DeviceId(name), hardware="cpu", online=True, report=told or report(name), heard_at=after(60)
    )
    return replace(device, **changes)


def picture(*devices, at=60.0, **changes):
    ordered = tuple(sorted(devices, key=lambda each: each.id))
    return Picture(at=after(at), devices=ordered, **changes)


COMMITTED = {
    "active": running(CANDIDATE),
    "last": Ended(name="birds", version="2", manifest=CANDIDATE.manifest, outcome=Outcome.COMMITTED),
}
ON_PROBATION = {"active": running(CANDIDATE), "phase": Phase.PROBATION}
UNDER_WAY = Progress(name="birds", version="2", manifest=CANDIDATE.manifest)
FETCHING = {"candidate": UNDER_WAY, "phase": Phase.FETCHING}
ON_TRIAL = {"candidate": UNDER_WAY, "phase": Phase.TRIAL}
UNREACHED = {"plan_serial": SERIAL - 1}


def ended(outcome, reason, of=CANDIDATE):
    return Ended(name=of.name, version=of.version, manifest=of.manifest, outcome=outcome, reason=reason)


REFUSED = {"last": ended(Outcome.REFUSED, Reason.TOO_SLOW)}
REVERTED = {"last": ended(Outcome.REVERTED, Reason.WORKER_CRASHED)}
SUPERSEDED = {"last": ended(Outcome.REVERTED, Reason.SUPERSEDED)}


def held(reason):
    return {"phase": Phase.HELD, "reason": reason}


def healthy(name, **changes):
    return seen(name, report(name, **COMMITTED), **changes)


def failed(name, **changes):
    return seen(name, report(name, **REVERTED), **changes)


def pending(name, **changes):
    return seen(name, report(name, **FETCHING), **changes)


def dead(name, **changes):
    """Gone while it ran the candidate."""
    gone = {"online": False, "gone_at": after(10)} | changes
    return seen(name, report(name, **ON_PROBATION), **gone)


def away(name, **changes):
    """Gone before the rollout began."""
    return seen(name, report(name, **UNREACHED), online=False, **changes)


def histogram(*invoke_ms):
    sketch = Sketch()
    for one in invoke_ms:
        sketch.add(one)
    return sketch.to_document()


def confidence(score, frames=100):
    bins = [0] * BINS
    bins[min(int(score * BINS), BINS - 1)] = frames
    return tuple(bins)


def evidence(of, *, invoke_ms=10.0, frames=100, score=0.9, **changes):
    shown = Evidence(
        manifest=of.manifest,
        digest=VARIANT,
        frames=frames,
        invoke_ms=histogram(*[invoke_ms] * frames),
        confidence=confidence(score, frames),
        classes={"wren": frames // 2, "robin": frames - frames // 2},
        soc_c_max=60.0,
    )
    return replace(shown, **changes)


def shows(name, now=None, before=None, **changes):
    """Healthy, with evidence of both releases."""
    told = report(
        name,
        **COMMITTED,
        serving=now or evidence(CANDIDATE),
        before=before or evidence(STABLE),
        capabilities=Capabilities(),
    )
    return seen(name, told, **changes)
