"""What was decided, line by line, in people's words."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import assert_never

from msgspec import Struct

from agent.wire.documents import ReleaseRef
from agent.wire.topics import DeviceId
from deploy.core.rollouts.words import (
    Aborted,
    AnyEntry,
    Approved,
    ClassWithdrawn,
    Ended,
    Enrolled,
    Entry,
    Expelled,
    Forced,
    Judged,
    Judgement,
    Line,
    Of,
    Order,
    Paused,
    Reasserted,
    Renewed,
    Resumed,
    Started,
    Steered,
    Tally,
    TookOver,
)


class Told(Struct, frozen=True, kw_only=True):
    number: int
    at: datetime
    by: str
    kind: str
    rollout: str = ""
    what: str


def history(
    lines: Iterable[Line],
    stream: str | None = None,
    device: DeviceId | None = None,
    about: Callable[[ReleaseRef], str] = lambda _: "",
) -> Iterator[Told]:
    """The lines of one stream, or about one device, or all. Of judgements, a device has those that changed
    how it stands; what concerns the whole fleet belongs to every stream.

    Args:
        lines: of the ledger.
        stream: only what concerns it.
        device: only what is about it.
        about: what was known of a release when it was begun with.
    """
    orders: dict[str, Order] = {}
    stood = ""
    for line in lines:
        entry = line.entry
        if isinstance(entry, Started):
            orders[entry.order.rollout] = entry.order
        order = _order_of(entry, orders)
        if stream is not None and order is not None and order.stream != stream:
            continue
        what = _what(entry, order)
        if isinstance(entry, Started) and (known := about(entry.order.release)):
            what = f"{what}; {known}"
        if device is not None:
            if (stands := _stands(entry, device)) in {"", stood}:
                continue
            stood = stands if isinstance(entry, Judged) else stood
            what = f"it is {stands} after {_wave(order, entry.wave)}" if isinstance(entry, Judged) else what
        yield Told(
            number=line.number,
            at=line.at,
            by=entry.by,
            kind=str(type(entry).__struct_config__.tag),
            rollout="" if order is None else order.rollout,
            what=what,
        )


def first_failed(lines: Iterable[Line], rollout: str) -> dict[DeviceId, datetime]:
    """When each device that a gate of this rollout counts as failed now was first counted so."""
    failed: dict[DeviceId, datetime] = {}
    for line in lines:
        if isinstance(line.entry, Judged) and line.entry.rollout == rollout:
            failed = failing(failed, line.entry, line.at)
    return failed


def failing(before: Mapping[DeviceId, datetime], judged: Judged, at: datetime) -> dict[DeviceId, datetime]:
    """As `first_failed`, after one judgement more."""
    return {device: before.get(device, at) for device in judged.judgement.tally.failed}


def _order_of(entry: AnyEntry, orders: dict[str, Order]) -> Order | None:
    match entry:
        case Started(order=order):
            return order
        case Of(rollout=rollout):
            return orders.get(rollout)
        case _:
            return None


def _stands(entry: Entry, device: DeviceId) -> str:
    """How the device stands in this line; empty: the line is not about it."""
    match entry:
        case Enrolled(device=named) | Expelled(device=named) if named == device:
            return str(type(entry).__struct_config__.tag)
        case Judged(judgement=judgement):
            tally = judgement.tally
            found = (name for name in Tally.__struct_fields__ if device in getattr(tally, name))
            return next(found, "")
        case _:
            return ""


def _what(entry: AnyEntry, order: Order | None) -> str:
    match entry:
        case Started():
            return _started(entry.order)
        case Steered() | Judged() | Forced() | Approved():
            return _of_a_wave(entry, _wave(order, entry.wave))
        case Paused() | Resumed() | Aborted() | ClassWithdrawn() | Ended():
            return _of_the_rollout(entry)
        case _:
            return _of_the_fleet(entry)


def _of_a_wave(entry: Steered | Judged | Forced | Approved, wave: str) -> str:
    match entry:
        case Steered(plan=plan, why=why):
            return f"plan {plan.serial}: {wave}{_because(why)}"
        case Judged(judgement=judgement):
            return f"{wave}: {judged(judgement)}"
        case Forced(why=why):
            return f"the gate after {wave} is passed by force{_because(why)}"
        case Approved(key=key):
            return f"{wave} was approved with key {key[:12]}"


def _of_the_rollout(entry: Paused | Resumed | Aborted | ClassWithdrawn | Ended) -> str:
    match entry:
        case Paused(why=why):
            return f"paused{_because(why)}"
        case Resumed(why=why):
            return f"resumed{_because(why)}"
        case Aborted(why=why, revoke=revoke):
            return f"aborted{' and revoked' if revoke else ''}{_because(why)}"
        case ClassWithdrawn(hardware=hardware, why=why):
            return f"hardware class {hardware} is taken back{_because(why)}"
        case Ended(outcome=outcome):
            return f"ended: {outcome}"


def _of_the_fleet(entry: Reasserted | Renewed | TookOver | Enrolled | Expelled) -> str:
    match entry:
        case Reasserted(timestamp=timestamp, found=found, why=why):
            held = f"timestamp {found}" if found else "no timestamp"
            return f"the broker had {held}, and was brought to {timestamp}{_because(why)}"
        case Renewed(timestamp=timestamp):
            return f"timestamp {timestamp} was signed"
        case TookOver(controller=controller, why=why):
            return f"controller {controller} takes over{_because(why)}"
        case Enrolled(device=device, tags=tags, sealed=sealed):
            tagged = f" with {', '.join(tags)}" if tags else ""
            seal = ", sealing what it tells" if sealed else ""
            return f"{device} was enrolled{tagged}{seal}{_because(entry.why)}"
        case Expelled(device=device, why=why):
            return f"{device} was expelled{_because(why)}"
        case _:
            assert_never(entry)


def _started(order: Order) -> str:
    release, stable = order.release, order.stable
    back = f", from {stable.name}@{stable.version}" if stable else ", with nothing to go back to"
    match = f", only where {' and '.join(order.match)}" if order.match else ""
    named, waves = f"{release.name}@{release.version}", ", ".join(order.waves)
    return f"{named} to stream {order.stream} in waves {waves}{back}{match}"


def _wave(order: Order | None, wave: int) -> str:
    if wave < 0:
        return "taken back"
    return (
        f"wave {wave + 1}"
        if order is None
        else f"wave {wave + 1} of {len(order.waves)} ({order.waves[wave]})"
    )


def judged(judgement: Judgement) -> str:
    """As in `hold: 3 of 5 devices are on their way (2 healthy, 3 pending)`."""
    counts = ", ".join(f"{count} {name}" for name, count in counted(judgement.tally).items() if count)
    return f"{judgement.verdict}: {judgement.words or 'nothing speaks against it'} ({counts or 'nobody'})"


def counted(tally: Tally) -> dict[str, int]:
    """How many devices stand how, in the order in which people ask."""
    return {name: len(getattr(tally, name)) for name in Tally.__struct_fields__}


def _because(why: str) -> str:
    return f": {why}" if why else ""
