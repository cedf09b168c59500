"""Rollout plans: each is the one before it, changed by one decision of the operator."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from msgspec.structs import replace

from agent.core.update import cohort
from agent.wire.codec import decode, encode
from agent.wire.documents import Plan, ProbationPolicy, ReleaseRef, TrialPolicy
from agent.wire.errors import TooLarge, WireError
from agent.wire.topics import DeviceId, Digest
from deploy.core.refusal import Refused

EVERYONE: Final = Fraction(1)


@dataclass(frozen=True, slots=True)
class Wave:
    """How far a candidate may go, and what it must show there."""

    share: Fraction
    salt: str
    """Fresh randomness; used only where a rollout begins."""
    match: tuple[str, ...] = ()
    spread_s: float = 0.0
    trial: TrialPolicy = field(default_factory=TrialPolicy)
    probation: ProbationPolicy = field(default_factory=ProbationPolicy)


@dataclass(frozen=True, slots=True)
class Reverted:
    """The plan without the candidate, and what was taken back."""

    plan: Plan
    withdrawn: ReleaseRef


@dataclass(frozen=True, slots=True)
class Known:
    """What the fleet's own reports say."""

    devices: Mapping[str, tuple[DeviceId, ...]] = field(default_factory=dict)
    """By hardware class."""
    committed: frozenset[Digest] = frozenset()
    """Manifests of releases that some device has committed."""

    @property
    def count(self) -> int:
        return sum(map(len, self.devices.values()))


def roll_out(
    previous: Plan | None,
    stream: str,
    candidate: ReleaseRef,
    files: frozenset[Digest],
    wave: Wave,
    known: Known,
) -> Plan:
    """The plan that offers the candidate to this wave.

    A candidate that everybody was offered before, and that some device has committed, becomes `stable`,
    what a revert goes back to. The salt stays while the candidate does, so that the waves of one rollout
    nest, and changes with it, so that the canaries of one rollout are not those of the next.

    Args:
        previous: the newest plan of the stream, if there is one.
        stream: its name.
        candidate: the release that the wave gets.
        files: digests of the candidate's manifest and variants.
        wave: who gets it.
        known: whom an exact cut can count, and what has proven itself.

    Raises:
        Refused: one of the files was revoked, the candidate is what everybody runs already, or the plan
            would be longer than devices accept.
    """
    before = previous or Plan(stream=stream, serial=0)
    _refuse_senseless(before, stream, candidate, files)
    salt = before.salt if before.candidate == candidate and before.salt else wave.salt
    return _checked(
        replace(
            before,
            serial=before.serial + 1,
            stable=_stable(before, candidate, known),
            candidate=candidate,
            cut=cuts(wave.share, salt, known),
            salt=salt,
            match=wave.match,
            spread_s=wave.spread_s,
            trial=wave.trial,
            probation=wave.probation,
        )
    )


def _refuse_senseless(before: Plan, stream: str, candidate: ReleaseRef, files: frozenset[Digest]) -> None:
    if revoked := files & frozenset(before.revoked):
        raise Refused(
            f"{candidate.name}@{candidate.version} holds {min(revoked)[:12]}, which was revoked: "
            "release a new version"
        )
    if before.candidate is None and before.stable == candidate:
        raise Refused(
            f"{candidate.name}@{candidate.version} is what stream {stream} runs already, as stable: "
            "nothing to roll out"
        )
    if before.candidate is not None and before.stable == candidate:
        raise Refused(
            f"{candidate.name}@{candidate.version} is the stable release of stream {stream}: "
            "shoal revert brings every device back to it"
        )


def _stable(before: Plan, candidate: ReleaseRef, known: Known) -> ReleaseRef | None:
    """Without evidence that the old candidate serves anywhere, what was stable remains so."""
    old = before.candidate
    if old is None or old == candidate or not is_for_all(before) or old.manifest not in known.committed:
        return before.stable
    return old


def is_for_all(plan: Plan) -> bool:
    """Whether no device is outside the cut."""
    return cohort.OTHERS in plan.cut and set(plan.cut.values()) == {cohort.EVERYBODY}


def revert(previous: Plan | None, stream: str, revoke: frozenset[Digest] = frozenset()) -> Reverted:
    """The plan that brings every device back to `stable`.

    Args:
        previous: the newest plan of the stream, if there is one.
        stream: its name.
        revoke: digests that no device shall ever begin again.

    Raises:
        Refused: there is no candidate to take back, or the plan would be longer than devices accept.
    """
    if previous is None:
        raise Refused(f"nothing was ever rolled out on stream {stream}")
    if previous.candidate is None:
        raise Refused(f"no candidate is out on stream {stream}: there is nothing to take back")
    revoked = (*previous.revoked, *sorted(revoke - frozenset(previous.revoked)))
    plan = replace(previous, serial=previous.serial + 1, candidate=None, cut={}, salt="", revoked=revoked)
    return Reverted(_checked(plan), previous.candidate)


def cuts(share: Fraction, salt: str, known: Known) -> dict[str, str]:
    """Where the wave ends in each hardware class.

    Among known devices the cut is exact: the share is rounded up, so that 5 % of 20 devices is one
    device and not a coin toss. Classes of which no device is known are cut at the share itself.
    """
    if share == EVERYONE:
        return {cohort.OTHERS: cohort.EVERYBODY}
    return {cohort.OTHERS: cohort.fraction_cut(float(share))} | {
        kind: cohort.exact_cut(salt, devices, members(share, len(devices)))
        for kind, devices in sorted(known.devices.items())
        if devices
    }


def members(share: Fraction, devices: int) -> int:
    """How many of so many devices a share is, rounded up."""
    return -(-devices * share.numerator // share.denominator)


def chosen(plan: Plan, known: Known) -> tuple[DeviceId, ...]:
    """The known devices within the plan's cut, sorted. Its match is for each device to judge."""
    return tuple(
        sorted(
            device
            for kind, devices in known.devices.items()
            for device in devices
            if cohort.belongs(plan.cut, kind, plan.salt, device)
        )
    )


def parse_share(text: str) -> Fraction:
    """`all`, or a percentage such as `5%` or `0.5%`.

    Raises:
        Refused: it is neither, or is not between 0 % and 100 %.
    """
    if text == "all":
        return EVERYONE
    try:
        share = Fraction(text.removesuffix("%")) / 100
    except (ValueError, ZeroDivisionError):
        share = Fraction(-1)
    if not text.endswith("%") or not 0 <= share <= 1:
        raise Refused(f"{text!r} is no share of a fleet: use all, or a percentage such as 5%")
    return share


def _checked(plan: Plan) -> Plan:
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
