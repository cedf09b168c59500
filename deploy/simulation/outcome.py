"""What came of a simulated rollout, held against what the scenario expects."""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from deploy.core.rollouts.words import Outcome
from deploy.simulation.scenario import Expect, Scenario
from deploy.simulation.telling import CANDIDATE, STABLE, Whereabouts


class Moment(Struct, frozen=True, kw_only=True):
    """One point of the course; seconds count from the start of the rollout."""

    at_s: float
    exposed: int
    on_candidate: int
    on_stable: int
    there: int
    fallen: int


class Decision(Struct, frozen=True, kw_only=True):
    """One line of the ledger."""

    at_s: float
    kind: str
    words: str
    label: str = ""
    """In short, where it is a plan."""


class Cost(Struct, frozen=True, kw_only=True):
    """From the start of the rollout to its end."""

    device_received_bytes: int
    device_sent_bytes: int
    device_messages: int
    """Both ways."""
    devices_cpu_s: float
    controller_cpu_s: float
    broker_cpu_s: float
    broker_peak_bytes: int
    devices_peak_bytes: int


class Ran(Struct, frozen=True, kw_only=True):
    """One run."""

    scenario: str
    words: str
    """What the scenario is about."""
    seed: int
    devices: int
    outcome: Outcome | None
    exposed: int
    fallen: int
    up_s: float
    """Until the whole fleet served its first release."""
    stretch: float
    """So many times as long as the scenario says were the deadlines, because the machine was slow."""
    rollout_s: float
    """From its start until it had ended and the fleet was where it should be."""
    detect_s: float | None
    """From the candidate's first victim until the gate said so."""
    revert_s: float | None
    """From there until no device ran it any more."""
    cost: Cost
    course: tuple[Moment, ...]
    decisions: tuple[Decision, ...]
    ends: dict[str, int]
    """How many devices ended as what."""
    failures: tuple[str, ...] = ()
    """What is not as expected."""


def ends(devices: Sequence[Whereabouts]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for device in devices:
        counted[_end(device)] = counted.get(_end(device), 0) + 1
    return dict(sorted(counted.items(), key=lambda item: -item[1]))


def _end(device: Whereabouts) -> str:
    if not device.there:
        return f"gone ({device.fate})" if device.fate is not None else "gone"
    serves = {STABLE: "stable", CANDIDATE: "candidate", "": "nothing"}.get(device.serves, device.serves)
    if device.serves != CANDIDATE and device.exposed:
        return f"{serves} after the candidate" + (f" ({device.fate})" if device.fate is not None else "")
    return serves


def failures(told: Scenario, outcome: Outcome | None, devices: Sequence[Whereabouts]) -> Iterator[str]:
    """What is not as expected, a sentence each."""
    expect, exposed = told.expect, sum(device.exposed for device in devices)
    if outcome is not expect.ends:
        yield f"the rollout ended {_word(outcome)}, {_word(expect.ends)} was expected"
    limit = _exposed_max(expect, len(devices))
    if limit is not None and exposed > limit:
        yield f"{exposed} devices were exposed, at most {limit} were expected"
    there = [device for device in devices if device.there]
    running = sum(device.serves == CANDIDATE for device in there)
    if running < expect.reached_min_share * len(there):
        yield (
            f"{running} of {len(there)} devices run the candidate, "
            f"{expect.reached_min_share:.0%} were expected"
        )
    if outcome is Outcome.REVERTED and expect.restored:
        yield from _not_restored(there)


def _exposed_max(expect: Expect, devices: int) -> int | None:
    limits = [] if expect.exposed_max is None else [expect.exposed_max]
    if expect.exposed_share_max is not None:
        limits.append(round(expect.exposed_share_max * devices))
    return min(limits, default=None)


def _not_restored(there: Sequence[Whereabouts]) -> Iterator[str]:
    lost = [device.device for device in there if device.exposed and device.serves != STABLE]
    if lost:
        yield f"{len(lost)} exposed devices are there and not back on the stable release, such as {lost[0]}"


def _word(outcome: Outcome | None) -> str:
    return "not at all" if outcome is None else outcome.value


Sign = Callable[[Moment], bool]


def between(course: Sequence[Moment], first: Sign, until_s: float | None) -> float | None:
    """Seconds from the first moment with this sign until then."""
    began_s = next((moment.at_s for moment in course if first(moment)), None)
    return None if began_s is None or until_s is None else round(max(0.0, until_s - began_s), 2)


def after(course: Sequence[Moment], from_s: float | None, sign: Sign) -> float | None:
    """Seconds from then to the first moment with this sign."""
    if from_s is None:
        return None
    return next((round(m.at_s - from_s, 2) for m in course if m.at_s >= from_s and sign(m)), None)
