"""Who belongs to a wave: exact cuts, class by class, over the devices that are known.

A wave of k devices has exactly k of the known ones that match and are online; those that are away are let
in beside them, and counted when they are back. They are dealt out among the hardware classes by the divisor
method that rounds up (Adams, 1832): the next place goes to the class with the most devices for each place it
has, and first of all to a class that has none. So no class gets a second canary before every class has one,
no class gets more places than devices, and a larger k never takes a place from anybody: waves nest. (The
method of largest remainders would not do: a class can lose a place when k grows.)
Source: M. L. Balinski, H. P. Young: Fair Representation, 2nd edition, Brookings 2001, chapters 5 and 9.

Whoever is not counted (an id that joins later, a class that nobody has seen) is cut at the share that the
wave is of the counted ones. Cuts only grow within a rollout, whatever became of the fleet meanwhile.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import heapify, heapreplace
from typing import Final

from msgspec.structs import replace

from agent.core.update import cohort
from agent.core.update.cohort import EVERYBODY, NOBODY, OTHERS
from agent.wire.codec import decode, encode
from agent.wire.documents import Plan
from agent.wire.errors import TooLarge, WireError
from agent.wire.topics import DeviceId
from deploy.core.refusal import Refused
from deploy.core.rollouts import matching, sizes
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.sizes import Everybody
from deploy.core.rollouts.state import Rollout
from deploy.core.rollouts.words import Order

CLASSES_MAX: Final = 32
"""Hardware classes that get a cut of their own. What devices call themselves is theirs to say, and a plan has
16 KiB: the smaller classes, and those with names that are none, are counted together."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def plan(rollout: Rollout, wave: int, picture: Picture, previous: Plan | None) -> Plan:
    """The plan that lets this wave in.

    Args:
        rollout: what was ordered, and what became of it.
        wave: of the order, from 0.
        picture: the devices that are counted.
        previous: the newest plan of the stream, if there is one.

    Raises:
        Refused: devices would not accept the plan.
    """
    order, before = rollout.order, previous or Plan(stream=rollout.order.stream, serial=0)
    standing = before.cut if before.rollout == order.rollout and before.candidate == order.release else {}
    cut = _cuts(order, wave, picture, rollout.withdrawn)
    return checked(
        replace(
            before,
            serial=before.serial + 1,
            stable=order.stable,
            candidate=order.release,
            cut=_without(_grown(cut, standing), rollout.withdrawn),
            salt=order.salt,
            match=order.match,
            rollout=order.rollout,
            paused=rollout.paused,
            windows=order.policy.windows,
            urgent=order.policy.urgent,
            rate_bytes_s=order.policy.rate_bytes_s,
            spread_s=order.policy.spread_s,
            trial=order.policy.trial,
            probation=order.policy.probation,
        )
    )


def taken_back(rollout: Rollout, previous: Plan, classes: Sequence[str] = ()) -> Plan:
    """The plan that brings the devices back to what was stable when the rollout began.

    It is urgent and has no spread: a device goes back at once, whatever window is closed.

    Args:
        rollout: the one that is taken back; whether its files are refused for ever is its own to say.
        previous: the newest plan of the stream.
        classes: these hardware classes alone, and those that were taken back before; none: every device.

    Raises:
        Refused: devices would not accept the plan.
    """
    serial = previous.serial + 1
    if classes:
        cut = _without(previous.cut, (*rollout.withdrawn, *classes))
        return checked(replace(previous, serial=serial, cut=cut))
    revoked = dict.fromkeys((*previous.revoked, *(rollout.order.files if rollout.revoke else ())))
    return checked(
        replace(
            previous,
            serial=serial,
            stable=rollout.order.stable,
            candidate=None,
            cut={},
            salt="",
            paused=False,
            windows=(),
            urgent=True,
            spread_s=0.0,
            revoked=tuple(revoked),
        )
    )


def counted(
    order: Order, picture: Picture, withdrawn: Collection[str] = ()
) -> dict[str, tuple[DeviceId, ...]]:
    """The known devices that match, by the hardware class whose cut counts for them."""
    match, classes = matching.terms(order.match), defaultdict[str, list[DeviceId]](list)
    for seen in picture.devices:
        if (
            seen.known
            and seen.hardware
            and seen.hardware not in withdrawn
            and not matching.unmatched(match, seen)
        ):
            classes[seen.hardware].append(seen.id)
    named = _named({hardware: len(devices) for hardware, devices in classes.items()})
    merged = defaultdict[str, list[DeviceId]](list)
    for hardware, devices in classes.items():
        merged[hardware if hardware in named else OTHERS] += devices
    return {hardware: tuple(sorted(devices)) for hardware, devices in sorted(merged.items())}


def _named(sizes_of: Mapping[str, int]) -> frozenset[str]:
    names = (name for name in sizes_of if _NAME.fullmatch(name))
    return frozenset(sorted(names, key=lambda name: (-sizes_of[name], name))[:CLASSES_MAX])


def dealt(k: int, classes: Mapping[str, int]) -> dict[str, int]:
    """How many of `k` places each class gets, by its number of devices. `k` is at most their sum."""
    places = Counter({hardware: min(1, devices) for hardware, devices in classes.items()})
    first = sorted((hardware for hardware in classes if places[hardware]), key=lambda c: (-classes[c], c))
    if k <= len(first):
        return dict.fromkeys(classes, 0) | dict.fromkeys(first[:k], 1)
    heap = [(-classes[hardware] / 1, -classes[hardware], hardware) for hardware in first]
    heapify(heap)
    for _ in range(k - len(first)):
        _, size, hardware = heap[0]
        places[hardware] += 1
        heapreplace(heap, (size / places[hardware], size, hardware))
    return dict(places)


def _cuts(order: Order, wave: int, picture: Picture, withdrawn: Collection[str]) -> dict[str, str]:
    """A wave is never smaller than one before it, whatever mixture of numbers and shares was ordered."""
    wanted = [sizes.parse(text) for text in order.waves[: wave + 1]]
    if any(isinstance(size, Everybody) for size in wanted):
        return {OTHERS: EVERYBODY}
    classes = counted(order, picture, withdrawn)
    known = sum(map(len, classes.values()))
    k = max(sizes.count(size, known) for size in wanted)
    shares = [float(size.share) for size in wanted if isinstance(size, sizes.Portion)]
    uncounted = cohort.fraction_cut(max([k / known if known else 0.0, *shares]))
    places = dealt(k, {hardware: len(devices) for hardware, devices in classes.items()})
    online = {seen.id for seen in picture.devices if seen.online}
    return {OTHERS: uncounted} | {
        hardware: cohort.exact_cut(order.salt, _there(devices, online), places[hardware])
        for hardware, devices in classes.items()
    }


def _there(devices: Collection[DeviceId], online: Collection[DeviceId]) -> Collection[DeviceId]:
    """Those that can be asked now: a wave whose only device is away would be waited for until it is back."""
    return [device for device in devices if device in online] or devices


def _grown(cut: Mapping[str, str], standing: Mapping[str, str]) -> dict[str, str]:
    """Each class as far as it is let in now or was before."""
    return {
        hardware: max(
            cut.get(hardware) or cut[OTHERS],
            standing.get(hardware) or standing.get(OTHERS) or NOBODY,
            key=lambda text: int(text, base=16),
        )
        for hardware in (cut if cut[OTHERS] == EVERYBODY else {**standing, **cut})
    }


def _without(cut: Mapping[str, str], withdrawn: Iterable[str]) -> dict[str, str]:
    return {**cut, **dict.fromkeys(withdrawn, NOBODY)}


def members(plan: Plan, picture: Picture) -> tuple[Seen, ...]:
    """The devices, counted or not, that find themselves within this plan's wave, sorted by id."""
    match = matching.terms(plan.match)
    return tuple(
        seen
        for seen in picture.devices
        if seen.hardware
        and not matching.unmatched(match, seen)
        and cohort.belongs(plan.cut, seen.hardware, plan.salt, seen.id)
    )


def checked(plan: Plan) -> Plan:
    """The plan as devices will read it.

    Raises:
        Refused: they would not accept it.
    """
    try:
        return decode(encode(plan), Plan)
    except TooLarge as error:
        raise Refused(f"{error}: {len(plan.revoked)} digests are revoked, begin a new stream") from error
    except WireError as error:
        raise Refused(f"devices would not accept this plan: {error}") from error
