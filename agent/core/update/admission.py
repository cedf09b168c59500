"""Which release a signed plan means for this device, or why none: unknown means hold."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.core.update import matching
from agent.core.update.cohort import cut_of, position
from agent.core.update.matching import Facts
from agent.wire.documents import Plan, ReleaseRef
from agent.wire.errors import Malformed
from agent.wire.reasons import Reason
from agent.wire.topics import DeviceId


class Role(StrEnum):
    STABLE = "stable"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class Device:
    """What a plan can ask about a device. `agent` is the version of shoal-agent that runs there."""

    id: DeviceId
    hardware: str
    agent: str
    tags: frozenset[str] = frozenset()

    @property
    def facts(self) -> Facts:
        return Facts(self.id, self.hardware, self.tags)


@dataclass(frozen=True, slots=True)
class Admitted:
    ref: ReleaseRef
    role: Role


@dataclass(frozen=True, slots=True)
class HeldBy:
    reason: Reason
    detail: str


Admission = Admitted | HeldBy

_VERSION: Final = re.compile(r"(?P<numbers>\d{1,9}(?:\.\d{1,9}){0,7})(?P<rest>.*)", re.DOTALL)
_FINAL: Final = re.compile(r"(\.post\d+)?(\+.*)?", re.DOTALL)


def admit(plan: Plan, known_serial: int, device: Device, *, clock_trusted: bool) -> Admission:
    """What the device is to run by this plan; the gates that concern everybody come first.

    Args:
        plan: verified and decoded.
        known_serial: the highest serial that this device ever accepted in the plan's stream; -1 for none.
        device: what the device knows about itself.
        clock_trusted: whether the expiry of what was signed could be judged.
    """
    return (
        _downgrade(plan, known_serial)
        or _clock(trusted=clock_trusted)
        or _too_old(plan, device)
        or _unmatched(plan, device)
        or _choose(plan, device)
    )


def _downgrade(plan: Plan, known_serial: int) -> HeldBy | None:
    if plan.serial >= known_serial:
        return None
    return HeldBy(
        Reason.UNTRUSTED,
        f"plan {plan.stream} has serial {plan.serial}, this device has accepted {known_serial} before: "
        "an old plan was replayed, publish the newest again",
    )


def _clock(*, trusted: bool) -> HeldBy | None:
    return None if trusted else HeldBy(Reason.CLOCK, "set the clock, or let it follow a time server")


def _too_old(plan: Plan, device: Device) -> HeldBy | None:
    needed, here = _version(plan.minimum_agent), _version(device.agent)
    if needed is None:
        return HeldBy(Reason.UNREADABLE, f"minimum_agent {plan.minimum_agent[:40]!r} is no version")
    if here is not None and here >= needed:
        return None
    return HeldBy(
        Reason.AGENT_TOO_OLD, f"shoal-agent is {device.agent}, the plan needs at least {plan.minimum_agent}"
    )


def _version(text: str) -> tuple[tuple[int, ...], bool] | None:
    """Comparable: the numbers without trailing zeros, and whether it is no preview of that version."""
    found = _VERSION.fullmatch(text)
    if found is None:
        return None
    numbers = [int(number) for number in found["numbers"].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), _FINAL.fullmatch(found["rest"]) is not None


def _unmatched(plan: Plan, device: Device) -> HeldBy | None:
    """All terms must hold; one that a newer operator writes and this agent cannot judge does not."""
    try:
        failed = matching.unmatched([matching.term(text) for text in plan.match], device.facts)
    except Malformed as error:
        return HeldBy(Reason.NOT_MATCHED, f"the plan's match {error}")
    if failed is None:
        return None
    here = ", ".join(sorted(device.facts.of(failed.key))) or "none"
    return HeldBy(Reason.NOT_MATCHED, f"the plan wants {str(failed)[:80]}, this device has {here}")


def _choose(plan: Plan, device: Device) -> Admission:
    place, cut = position(plan.salt, device.id), cut_of(plan.cut, device.hardware)
    offers = [(plan.stable, Role.STABLE)]
    if place < cut:
        offers.insert(0, (plan.candidate, Role.CANDIDATE))
    offered = [(ref, role) for ref, role in offers if ref is not None]
    for ref, role in offered:
        if ref.manifest not in plan.revoked:
            return Admitted(ref, role)
    if offered:
        ref = offered[0][0]
        return HeldBy(Reason.REVOKED, f"{ref.name} {ref.version}, and the plan offers nothing else")
    if plan.candidate is None:
        return HeldBy(Reason.NO_PLAN, f"plan {plan.stream} serial {plan.serial} names no release")
    return HeldBy(
        Reason.OUTSIDE_CUT,
        f"hash {place:016x} ({place / 2**64:.4f}) is not below the cut {cut:016x} ({cut / 2**64:.4f}) "
        f"of hardware class {device.hardware}, and the plan has no stable release",
    )
