"""Who belongs to the fleet: what an operator asks, as the entries to write down."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.wire.topics import DeviceId
from deploy.core import names
from deploy.core.enrolment.access import CLAIM, HOME, OPERATOR, SERVER, SITE
from deploy.core.refusal import Refused
from deploy.core.rollouts.state import Fleet, Member
from deploy.core.rollouts.words import AnyEntry, Enrolled, Expelled

RESERVED: Final = frozenset({CLAIM, HOME, OPERATOR, SERVER, SITE})
"""Names on the broker that are allowed more, or less, than a device."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device is known by from now on."""

    device: DeviceId
    tags: tuple[str, ...]
    hardware: str
    credential: str
    """Fingerprint of the certificate, or `password`."""


_CLAIMANT: Final = "claim."


def claimant(token: str) -> str:
    """The name on the broker of whoever has this claim token."""
    return f"{_CLAIMANT}{token}"


def new_id(text: str) -> DeviceId:
    """The text as the id of a device.

    Raises:
        Refused: it would not be one segment of a topic, or is a name with rights of its own.
    """
    if text in RESERVED or text.startswith(_CLAIMANT):
        raise Refused(f"device {text!r}: on the broker that name has rights of its own, choose another")
    return DeviceId(names.segment("device", text))


def tags(texts: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order.

    Raises:
        Refused: one of them could not stand in a rollout's --match.
    """
    return tuple(sorted({names.segment("tag", text) for text in texts}))


def tags_of(known: Member | None, wanted: Iterable[str] | None) -> tuple[str, ...]:
    """Those that are wanted; where nothing is said of them, those that the device has.

    Raises:
        Refused: as `tags`.
    """
    if wanted is not None:
        return tags(wanted)
    return known.tags if known is not None and not known.expelled else ()


def enrol(fleet: Fleet, identity: Identity, by: str, why: str) -> Sequence[AnyEntry]:
    """It belongs to the fleet, whatever it was before."""
    known = fleet.members.get(identity.device)
    hardware = identity.hardware or (known.hardware if known is not None else "")
    return (
        Enrolled(
            device=identity.device,
            tags=identity.tags,
            hardware=hardware,
            sealed=True,
            credential=identity.credential,
            by=by,
            why=why,
        ),
    )


def member(fleet: Fleet, device: DeviceId) -> Member:
    """The device, which belongs to the fleet.

    Raises:
        Refused: it never did, or was expelled.
    """
    known = fleet.members.get(device)
    if known is None:
        enrolled = (each.id for each in fleet.members.values() if not each.expelled)
        near = names.nearest(device, enrolled) or ": shoal enrol takes one in"
        raise Refused(f"device {device!r} was never enrolled{near}")
    if known.expelled:
        raise Refused(f"device {device!r} was expelled before; shoal enrol {device} takes it back")
    return known


def unused(fleet: Fleet, device: DeviceId) -> None:
    """
    Raises:
        Refused: the id is a device's that was enrolled; who claims cannot take its place.
    """
    if device in fleet.members:
        raise Refused(f"device {device!r} was enrolled before: choose another name with --as")


def revoke(fleet: Fleet, device: DeviceId, by: str, why: str) -> Sequence[AnyEntry]:
    """It no longer belongs to the fleet.

    Raises:
        Refused: as `member`.
    """
    member(fleet, device)
    return (Expelled(device=device, by=by, why=why),)


def expelled(fleet: Fleet) -> tuple[DeviceId, ...]:
    return tuple(sorted(each.id for each in fleet.members.values() if each.expelled))
