"""Which predictions are published. What is measured and what counts as evidence is none of its concern.

What a pipeline sees is one label, or nothing sure: a best score below the floor. A label is published with
its ranking; "nothing sure" with an empty ranking, once when it begins.

- `every`: each frame that is sure, and the first that is not.
- `change`: only what differs from what was published last. A new label must lead the one before it by the
  hysteresis, as long as that one is itself above the floor; and a label is held, silently, until its score
  is below the floor by the hysteresis.

In both, a heartbeat repeats what is seen when nothing was published for that long, and `at_most_per_s`
bounds everything: what it holds back is not queued, the next frame that may pass says what is seen then.
The first frame of a model is always published, and its scores are averaged with no other model's.
A score below the floor is never published.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.core.camera.pace import SECOND_NS, Gate
from agent.core.telemetry.smoothing import Smoother
from agent.wire.ipc import Predicted
from agent.wire.reports import Ranked
from agent.wire.topics import Digest

NOTHING_SURE: Final[tuple[Ranked, ...]] = ()


class EmissionMode(StrEnum):
    EVERY = "every"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Rules:
    """Shares are in [0, 1]. `at_most_per_s` 0: no limit; `heartbeat_s` 0: none."""

    mode: EmissionMode = EmissionMode.EVERY
    at_most_per_s: float = 0.0
    heartbeat_s: float = 0.0
    floor: float = 0.0
    hysteresis: float = 0.0
    smoothing_frames: int = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """The class that a pipeline sees; None: nothing sure."""

    index: int | None


def see(before: Seen | None, ranked: tuple[Ranked, ...], rules: Rules) -> Seen:
    """What is seen after this frame's (smoothed) ranking; `before` None: nothing was looked at yet."""
    if not ranked:
        return Seen(None)
    best = ranked[0]
    held = None if before is None else before.index
    if rules.mode is EmissionMode.CHANGE and held is not None:
        score = _score(ranked, held)
        if score >= rules.floor and best.score - score < rules.hysteresis:
            return Seen(held)
        if best.index == held and score >= rules.floor - rules.hysteresis:
            return Seen(held)
    return Seen(best.index if best.score >= rules.floor else None)


class Emission:
    """Follows one pipeline's predictions; instants are monotonic and given, so it is a pure automaton."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._manifest: Digest | None = None
        self._smoother = Smoother(rules.smoothing_frames)
        self._seen: Seen | None = None
        self._published: Seen | None = None
        self._published_ns = 0
        self._gate = Gate(rules.at_most_per_s or None, 0)

    def configure(self, rules: Rules) -> None:
        """Other rules from now on; what was seen and published stays."""
        if rules.smoothing_frames != self._rules.smoothing_frames:
            self._smoother = Smoother(rules.smoothing_frames)
        if rules.at_most_per_s != self._rules.at_most_per_s:
            self._gate = Gate(rules.at_most_per_s or None, 0)
        self._rules = rules

    def judge(self, predicted: Predicted, now_ns: int) -> tuple[Ranked, ...] | None:
        """The ranking to publish with this prediction, empty for nothing sure; None: publish nothing."""
        if predicted.manifest != self._manifest:
            self._begin(predicted.manifest)
        ranked = self._smoother.add(predicted.predictions)
        self._seen = see(self._seen, ranked, self._rules)
        if not self._gate.open(now_ns) or not self._worth(self._seen, ranked, now_ns):
            return None
        told = _headed(ranked, self._seen, self._rules.floor)
        if told is NOTHING_SURE:
            self._seen = Seen(None)
        self._gate.passed(now_ns)
        self._published, self._published_ns = self._seen, now_ns
        return told

    def _begin(self, manifest: Digest) -> None:
        self._manifest = manifest
        self._smoother = Smoother(self._rules.smoothing_frames)
        self._seen = self._published = None

    def _worth(self, seen: Seen, ranked: tuple[Ranked, ...], now_ns: int) -> bool:
        rules = self._rules
        silent_ns = now_ns - self._published_ns
        if self._published is not None and rules.heartbeat_s and silent_ns >= rules.heartbeat_s * SECOND_NS:
            return True
        if seen != self._published:
            return seen.index is None or _sure(ranked, seen, rules.floor)
        return rules.mode is EmissionMode.EVERY and seen.index is not None


def _score(ranked: tuple[Ranked, ...], index: int) -> float:
    """0 for a class that is not ranked."""
    return next((each.score for each in ranked if each.index == index), 0.0)


def _sure(ranked: tuple[Ranked, ...], seen: Seen, floor: float) -> bool:
    return any(each.index == seen.index and each.score >= floor for each in ranked)


def _headed(ranked: tuple[Ranked, ...], seen: Seen, floor: float) -> tuple[Ranked, ...]:
    """The ranking with what is seen at its head, which hysteresis may hold against a slightly better one."""
    if not _sure(ranked, seen, floor):
        return NOTHING_SURE
    if ranked[0].index == seen.index:
        return ranked
    return (
        *(each for each in ranked if each.index == seen.index),
        *(each for each in ranked if each.index != seen.index),
    )
