"""The course of a run: where the fleet was, and what the controller wrote down, in few words."""

from collections.abc import Iterator, Sequence

from deploy.core.rollouts.words import Aborted, AnyEntry, ClassWithdrawn, Ended, Judged, Started, Steered
from deploy.simulation.outcome import Moment
from deploy.simulation.telling import Sample


def in_words(entry: AnyEntry, waves: Sequence[str]) -> str:
    """A line of the ledger, for the course of a run. `waves` are those that were ordered."""
    match entry:
        case Started(order=order):
            return f"started {order.rollout}"
        case Steered(plan=plan):
            return f"plan {plan.serial}: {label(entry, waves)}"
        case Judged(judgement=judgement):
            return f"{judgement.verdict}: {judgement.words}"
        case Aborted():
            return "aborted: its files are refused for ever"
        case ClassWithdrawn(hardware=hardware, why=why):
            return f"taken back from {hardware}: {why}"
        case Ended(outcome=ended):
            return f"ended: {ended}"
        case _:
            return type(entry).__name__.lower()


def label(steered: Steered, waves: Sequence[str]) -> str:
    """What a plan does, for a drawing."""
    return f"wave {waves[steered.wave]}" if steered.wave >= 0 else "all taken back"


def moments(timeline: Sequence[tuple[float, Sample]], began_s: float) -> Iterator[Moment]:
    for at_s, sample in timeline:
        if at_s >= began_s:
            yield Moment(
                at_s=round(at_s - began_s, 2),
                exposed=sample.exposed,
                on_candidate=sample.on_candidate,
                on_stable=sample.on_stable,
                there=sample.there,
                fallen=sample.fallen,
            )
