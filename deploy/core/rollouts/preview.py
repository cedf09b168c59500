"""What a rollout would do, device by device, before it is begun: the very plans that it will publish."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable

from msgspec import Struct
from msgspec.structs import replace

from agent.core.serving import delegate
from agent.core.update import provision
from agent.wire.documents import Manifest, Plan, Variant
from agent.wire.reasons import Reason
from agent.wire.topics import DeviceId, Digest
from deploy.core.rollouts import approvals, detection, matching, waves
from deploy.core.rollouts.gate import Failures
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.state import Rollout
from deploy.core.rollouts.words import Order

Weigh = Callable[[Seen], int]
"""The bytes that a device has to download."""


class Joining(Struct, frozen=True, kw_only=True):
    """A device, and the wave that first lets it in."""

    device: DeviceId
    hardware: str
    online: bool
    download_bytes: int


class WaveAhead(Struct, frozen=True, kw_only=True):
    wave: str
    joining: tuple[Joining, ...]
    """Sorted by id."""
    devices: int
    """Of this wave and those before it."""
    online: int
    """Of these."""
    classes: dict[str, int]
    """Of these, by hardware class."""
    download_bytes: int
    """Of those that join."""
    seconds: float | None
    """Until the last of those that join has downloaded, at the rate cap and with the spread; None: no cap."""
    sees_share: float | None
    """The smallest share of failing devices that the gate sees after it with 95 %; None: none."""
    misses_share: float
    """The largest that it overlooks with 95 %."""
    signatures: int
    """That it needs before it begins."""


class Barred(Struct, frozen=True, kw_only=True):
    """A device that will hold the release, whatever the plan says."""

    device: DeviceId
    reason: Reason
    detail: str


class Preview(Struct, frozen=True, kw_only=True):
    order: Order
    waves: tuple[WaveAhead, ...]
    never: tuple[DeviceId, ...]
    """They match, and no wave lets them in."""
    unmatched: tuple[DeviceId, ...]
    unknown: tuple[DeviceId, ...]
    """They have not told their hardware class yet, so they are not counted."""
    barred: tuple[Barred, ...] = ()
    """Of those that join."""
    evaluation: dict[str, float] = {}
    """Of the release."""


def preview(order: Order, picture: Picture, standing: Plan | None, weigh: Weigh) -> Preview:
    """
    Args:
        order: as it would be begun.
        picture: the devices.
        standing: the newest plan of the stream.
        weigh: what each device would download.

    Raises:
        Refused: devices would not accept a plan of it.
    """
    rollout, previous = Rollout(order, picture.at), standing
    inside: dict[DeviceId, Seen] = {}
    ahead: list[WaveAhead] = []
    for wave in range(len(order.waves)):
        previous = waves.plan(rollout, wave, picture, previous)
        joining = [seen for seen in waves.members(previous, picture) if seen.id not in inside]
        inside |= {seen.id: seen for seen in joining}
        ahead.append(_ahead(order, wave, joining, inside.values(), weigh))
    match = matching.terms(order.match)
    outside = [seen for seen in picture.devices if seen.id not in inside and seen.hardware]
    unmatched = {seen.id for seen in outside if matching.unmatched(match, seen)}
    return Preview(
        order=order,
        waves=tuple(ahead),
        never=tuple(seen.id for seen in outside if seen.id not in unmatched),
        unmatched=tuple(sorted(unmatched)),
        unknown=tuple(seen.id for seen in picture.devices if not seen.hardware),
    )


def _ahead(
    order: Order, wave: int, joining: Iterable[Seen], inside: Collection[Seen], weigh: Weigh
) -> WaveAhead:
    told = tuple(
        Joining(device=s.id, hardware=s.hardware, online=s.online, download_bytes=weigh(s)) for s in joining
    )
    online = sum(seen.online for seen in inside)
    policy = order.policy
    allowed = Failures(0, online).allowed(policy.gate.failed_share_max, policy.gate)
    longest_bytes = max((each.download_bytes for each in told), default=0)
    return WaveAhead(
        wave=order.waves[wave],
        joining=told,
        devices=len(inside),
        online=online,
        classes=dict(sorted(Counter(seen.hardware for seen in inside).items())),
        download_bytes=sum(each.download_bytes for each in told),
        seconds=policy.spread_s + longest_bytes / policy.rate_bytes_s if policy.rate_bytes_s else None,
        sees_share=detection.sees(online, allowed),
        misses_share=detection.misses(online, allowed),
        signatures=approvals.lacking(order, wave, ()),
    )


def of_release(shown: Preview, release: Manifest, picture: Picture) -> Preview:
    """With what the manifest of the release says about it and about the devices that join."""
    joining = {each.device for wave in shown.waves for each in wave.joining}
    found = (_barred(release, seen) for seen in picture.devices if seen.id in joining)
    return replace(
        shown, barred=tuple(each for each in found if each is not None), evaluation=release.evaluation
    )


def _barred(release: Manifest, seen: Seen) -> Barred | None:
    """As the device itself will decide; of one that has not told its runtime nobody knows."""
    here = seen.report.capabilities if seen.report else None
    if here is None or not here.runtime:
        return None
    match delegate.choose(release.variants, edgetpu_present=bool(here.edgetpu), runtime_version=here.runtime):
        case delegate.Refused(reason=reason, detail=detail):
            return Barred(device=seen.id, reason=reason, detail=detail)
        case delegate.Choice():
            return None


def lacking(release: Manifest, seen: Seen, manifest_of: Callable[[Digest], Manifest | None]) -> int:
    """The bytes of the release that the device has to download.

    Args:
        release: that it is to run.
        seen: the device; what it runs now is on its disk.
        manifest_of: the release that has a manifest of this digest, if the repository knows it.
    """
    running = seen.report.active if seen.report else None
    before = manifest_of(running.manifest) if running else None
    held = frozenset[Digest]() if before is None else _held(before, _pulled(before, seen))
    return provision.cost(release, _pulled(release, seen), held)


def full_bytes(release: Manifest) -> int:
    """What the device that has nothing, and needs most, downloads."""
    return max(provision.cost(release, _variants(release, edgetpu=tpu), frozenset()) for tpu in (True, False))


def _pulled(manifest: Manifest, seen: Seen) -> tuple[Variant, ...]:
    there = seen.report.capabilities.edgetpu if seen.report else ()
    return _variants(manifest, edgetpu=bool(there) or seen.hardware == "edgetpu")


def _variants(manifest: Manifest, *, edgetpu: bool) -> tuple[Variant, ...]:
    """As the device chooses, with a runtime that is new enough."""
    able = [replace(variant, minimum_runtime=None) for variant in manifest.variants]
    match delegate.choose(able, edgetpu_present=edgetpu, runtime_version=""):
        case delegate.Choice(variant=variant, twin=twin):
            return (variant,) if twin is None else (variant, twin)
        case delegate.Refused():
            return ()


def _held(manifest: Manifest, variants: Iterable[Variant]) -> frozenset[Digest]:
    return provision.holdings([need.artifact for need in provision.needed(manifest, variants)])
