"""Windows of many devices, summed: durations by release, hardware and stage, answers by release.

Everything is bounded, whatever devices send: what is beyond a bound is counted under REST, never dropped.
"""

import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Struct

from agent.core.telemetry.latency import RELATIVE_ACCURACY
from agent.wire.errors import Malformed
from agent.wire.reports import BINS, Histogram, Telemetry
from deploy.core.page.series import NOTHING, REST
from deploy.core.page.series_bounds import KEY_MAX, KEY_MIN, STAGES

PLACES_MAX: Final = 16
"""Pairs of a release and a hardware class in one span of time."""
RELEASES_MAX: Final = 16
STRANGERS_MAX: Final = 8
"""Of both, once so many are taken, only releases that are known here get one of their own: else a device that
invents releases would take the places of the real ones.
"""
LABELS_MAX: Final = 128
"""Of one release in one span."""
DELEGATES: Final = frozenset({"", "cpu", "xnnpack", "edgetpu"})


@dataclass(frozen=True, slots=True)
class Known:
    """What there is here; telemetry is not sealed, and whoever sends it says what he likes. None: nobody
    knows yet.
    """

    releases: Collection[str] | None = None
    """As `name@version`."""
    hardware: Collection[str] | None = None
    """Classes, as reports that are believed name them."""


ANYTHING: Final = Known()


@dataclass(frozen=True, slots=True, order=True)
class Place:
    release: str
    hardware: str


_THE_REST: Final = Place(REST, REST)


@dataclass(slots=True)
class Pile:
    """Sketches merged: bins are added, so that percentiles of the whole are as good as of each."""

    zeros: int = 0
    sum: float = 0.0
    min: float = 0.0
    max: float = 0.0
    bins: dict[int, int] = field(default_factory=dict)

    def add(self, histogram: Histogram) -> None:
        if not histogram.count:
            return
        empty = not (self.zeros or self.bins)
        self.min = histogram.min if empty else min(self.min, histogram.min)
        self.max = max(self.max, histogram.max)
        self.zeros += histogram.zeros
        self.sum += histogram.sum
        bins = self.bins
        for key, n in histogram.bins.items():
            if key < KEY_MIN:
                self.zeros += n
            else:
                bins[key] = bins.get(key, 0) + n

    def document(self) -> Histogram:
        return Histogram(
            relative_accuracy=RELATIVE_ACCURACY,
            count=self.zeros + sum(self.bins.values()),
            zeros=self.zeros,
            sum=self.sum,
            min=self.min,
            max=self.max,
            bins=self.bins,
        )


class Answered(Struct, kw_only=True):
    """What a release answered."""

    windows: int = 0
    frames: int = 0
    errors: int = 0
    labels: dict[str, int] = {}
    confidence: list[int] = msgspec.field(default_factory=lambda: [0] * BINS)

    def add(self, other: "Answered") -> None:
        self.windows += other.windows
        self.frames += other.frames
        self.errors += other.errors
        for label, n in other.labels.items():
            named = label if label in self.labels or len(self.labels) < LABELS_MAX else REST
            self.labels[named] = self.labels.get(named, 0) + n
        self.confidence = [a + b for a, b in zip(self.confidence, other.confidence, strict=True)]


@dataclass(frozen=True, slots=True)
class Piece:
    """Durations of one place in one span of time, which began `at` so many seconds since 1970."""

    at: int
    release: str
    hardware: str
    durations: Histogram


@dataclass(frozen=True, slots=True)
class Counted:
    """How many pipelines ran a release at the end of a span, which began `at`."""

    at: int
    release: str
    pipelines: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What one release answered in a span."""

    at: int
    answered: Answered


@dataclass(slots=True)
class Sums:
    """Of one span of time."""

    piles: dict[Place, dict[str, Pile]] = field(default_factory=dict)
    answers: dict[str, Answered] = field(default_factory=dict)

    def add(self, told: Telemetry, known: Known = ANYTHING) -> None:
        """
        Args:
            told: a window within its bounds.
            known: what may have a place of its own. Unknown hardware shares one place of its release.
        """
        named, hardware = release_of(told), hardware_of(told, known.hardware)
        familiar = known.releases is None or named in known.releases
        place = self._place(Place(named, hardware), PLACES_MAX if familiar else STRANGERS_MAX)
        piles = self.piles.setdefault(place, {})
        for stage in STAGES:
            histogram = told.histogram_ms.get(stage)
            if histogram is not None and histogram.count:
                piles.setdefault(stage, Pile()).add(histogram)
        self._answers(place.release).add(
            Answered(
                windows=1,
                frames=told.predictions,
                errors=told.errors,
                labels=told.classes,
                confidence=list(told.confidence) or [0] * BINS,
            )
        )

    def merge(self, other: "Sums") -> None:
        for place, piles in other.piles.items():
            mine = self.piles.setdefault(self._place(place, PLACES_MAX), {})
            for stage, pile in piles.items():
                mine.setdefault(stage, Pile()).add(pile.document())
        for release, answered in other.answers.items():
            self._answers(release).add(answered)

    def sketches(self) -> Iterator[tuple[Place, str, Histogram]]:
        for place, piles in self.piles.items():
            for stage, pile in piles.items():
                yield place, stage, pile.document()

    def _place(self, place: Place, most: int) -> Place:
        taken = len(self.piles) - (_THE_REST in self.piles)
        return place if place in self.piles or taken < most else _THE_REST

    def _answers(self, release: str) -> Answered:
        named = release if release in self.answers or len(self.answers) < RELEASES_MAX else REST
        return self.answers.setdefault(named, Answered())


def census(running: Iterable[str]) -> dict[str, int]:
    """What pipelines run, as `name@version` or empty, counted: at most RELEASES_MAX releases by name."""
    found = Counter(release or NOTHING for release in running)
    kept = dict(found.most_common(RELEASES_MAX))
    others = found.total() - sum(kept.values())
    return kept | ({REST: others} if others else {})


def release_of(told: Telemetry) -> str:
    return f"{told.model}@{told.version}" if told.model and told.version else REST


def hardware_of(told: Telemetry, known: Collection[str] | None = None) -> str:
    strange = known is not None and (told.hardware not in known or told.delegate not in DELEGATES)
    return REST if strange or not told.hardware else f"{told.hardware}/{told.delegate or 'cpu'}"


class _Packed(Struct, array_like=True):
    zeros: int
    sum: float
    min: float
    max: float
    first: int
    """The key of the first of `counts`, which have no gaps."""
    counts: list[int]


def pack(histogram: Histogram) -> bytes:
    """Within KEY_MIN to KEY_MAX: 1,101 bins, most of them empty, which zlib makes a few hundred bytes."""
    bins = histogram.bins
    first, last = (min(bins), max(bins)) if bins else (0, -1)
    counts = [bins.get(key, 0) for key in range(first, last + 1)]
    packed = _Packed(histogram.zeros, histogram.sum, histogram.min, histogram.max, first, counts)
    return zlib.compress(msgspec.msgpack.encode(packed), 1)


def unpack(content: bytes) -> Histogram:
    """
    Raises:
        Malformed: the bytes are not what `pack` made.
    """
    try:
        packed = msgspec.msgpack.decode(zlib.decompress(content), type=_Packed)
    except (zlib.error, msgspec.DecodeError) as error:
        raise Malformed(f"a kept sketch is damaged: {error}") from error
    if packed.counts and not KEY_MIN <= packed.first <= packed.first + len(packed.counts) - 1 <= KEY_MAX:
        raise Malformed("a kept sketch has bins beyond their bounds")
    bins = {key: n for key, n in enumerate(packed.counts, packed.first) if n}
    return Histogram(
        relative_accuracy=RELATIVE_ACCURACY,
        count=packed.zeros + sum(bins.values()),
        zeros=packed.zeros,
        sum=packed.sum,
        min=packed.min,
        max=packed.max,
        bins=bins,
    )


def top(labels: Mapping[str, float], most: int) -> tuple[str, ...]:
    """The most frequent labels, without REST; equals in the order of their names."""
    named = ((label, n) for label, n in labels.items() if label != REST and n)
    return tuple(label for label, _ in sorted(named, key=lambda pair: (-pair[1], pair[0]))[:most])
