"""Which chunks to ask for next: a sliding window over a download, as frozen values.

The device drives the transfer. Each retained chunk is asked for by its exact topic, and never more of
them than the window allows: a broker silently drops what overflows its queue for a client, and what is
under way at a cut is fetched twice. A chunk stays in the window until it is safe on disk, so one window
bounds what a cut of the link or of the power can cost.

The window is halved after a cut or a time-out, and grows back by one with every chunk. Beyond its first
size it grows only where the round trip is long: on a short one more under way gains nothing, and would
only cost more at the next cut. After a cut it is one chunk at first, which is pulled slice by slice (see
`topics.SLICE`): where half of a fleet's links are cut 20 times in a model of 4 MB, the fleet pulls 1.04 times
its bytes, and would pull 1.14 times in whole chunks.

The caller brings the time. Instants are seconds on a monotonic clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from agent.core.update import rate
from agent.core.update.rate import Bucket
from agent.wire.topics import Digest

FIRST_LIMIT: Final = 8
LIMIT_MAX: Final = 16
LONG_ROUND_TRIP_S: Final = 0.1
TORN_CHUNKS: Final = 8
"""So many chunks after a cut are asked for one by one and slice by slice: where links are cut, they are cut
again, and then no more than a slice is lost."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait and how often to try again."""

    first_timeout_s: float = 10.0
    """Until a round trip has been seen: room for one chunk at 50 kbit/s."""
    timeout_min_s: float = 2.0
    """With five silences in a row, doubled each time, 62 s: longer than a link of 30 s keepalive takes
    to find that it is dead, so a dead link is not mistaken for an absent chunk."""
    timeout_max_s: float = 60.0
    silences_max: int = 5
    refusals_max: int = 3
    refusal_delay_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chunk that has not come, and what has been tried for it."""

    chunk: Digest
    length: int
    """Bytes that cross the line for it."""
    asks: int = 0
    silences: int = 0
    """Time-outs in a row while connected."""
    refusals: int = 0
    """Times that something else came under its name."""
    not_before_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    wanted: Wanted
    at_s: float


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Smoothed, with its mean deviation. Source: RFC 6298, section 2."""

    smoothed_s: float
    deviation_s: float

    def fold(self, sample_s: float) -> "RoundTrip":
        deviation = 0.75 * self.deviation_s + 0.25 * abs(self.smoothed_s - sample_s)
        return RoundTrip(0.875 * self.smoothed_s + 0.125 * sample_s, deviation)


@dataclass(frozen=True, slots=True)
class Window:
    patience: Patience
    waiting: tuple[Wanted, ...]
    bucket: Bucket
    in_flight: tuple[Asked, ...] = ()
    limit: int = FIRST_LIMIT
    credit: int = 0
    """Chunks that came since the limit last grew."""
    torn: int = 0
    """Chunks that are still asked for slice by slice."""
    round_trip: RoundTrip | None = None
    heard_at_s: float = 0.0
    """When anything last came."""

    @property
    def finished(self) -> bool:
        return not self.waiting and not self.in_flight


class Lack(StrEnum):
    """Why a chunk cannot be had."""

    SILENT = "silent"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for these now; those asked for before, anew."""

    chunks: tuple[Digest, ...]
    sliced: bool = False
    """Slice by slice."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before this instant, unless something comes."""

    until_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    chunk: Digest
    lack: Lack
    tries: int


@dataclass(frozen=True, slots=True)
class Done:
    """Every chunk has come."""


Order = Ask | Wait | GiveUp | Done


def start(missing: Mapping[Digest, int], patience: Patience, rate_bytes_s: float = 0.0) -> Window:
    """A window over these chunks, in this order.

    Args:
        missing: the chunks, each with the bytes that cross the line for it.
        patience: how long to wait.
        rate_bytes_s: how fast they may be asked for; 0: as fast as they come.
    """
    waiting = tuple(Wanted(chunk, length) for chunk, length in missing.items())
    return Window(patience, waiting, Bucket(rate_bytes_s))


def plan(window: Window, now_s: float) -> tuple[Window, Order]:
    """What to do now, while connected. Ask again at once after an `Ask`, and whenever something came."""
    window = replace(_expire(window, now_s), bucket=rate.filled(window.bucket, now_s))
    lost = next((w for w in window.waiting if _hopeless(w, window.patience)), None)
    if lost is not None:
        lack = Lack.WRONG if lost.refusals > window.patience.refusals_max else Lack.SILENT
        return window, GiveUp(lost.chunk, lack, lost.asks)
    if window.finished:
        return window, Done()
    room = max(0, (1 if window.torn else window.limit) - len(window.in_flight))
    ready, bucket = _affordable([w for w in window.waiting if w.not_before_s <= now_s][:room], window.bucket)
    if not ready:
        return window, Wait(_next_instant(window, room))
    asked = tuple(Asked(replace(wanted, asks=wanted.asks + 1), now_s) for wanted in ready)
    chosen = dict.fromkeys(wanted.chunk for wanted in ready)
    return (
        replace(
            window,
            waiting=tuple(wanted for wanted in window.waiting if wanted.chunk not in chosen),
            in_flight=window.in_flight + asked,
            bucket=bucket,
        ),
        Ask(tuple(chosen), sliced=window.torn > 0 and not any(w.silences or w.refusals for w in ready)),
    )


def _affordable(ready: list[Wanted], bucket: Bucket) -> tuple[list[Wanted], Bucket]:
    """As many of the first as the rate allows at once, and what is left of the bucket."""
    for count, wanted in enumerate(ready):
        if not rate.is_ready(bucket):
            return ready[:count], bucket
        bucket = rate.spent(bucket, wanted.length)
    return ready, bucket


def received(window: Window, chunk: Digest, now_s: float) -> Window:
    """The right bytes came, and are kept."""
    asked, rest = _take(window, chunk)
    if asked is None:
        return rest
    # An answer to one of several requests cannot be told apart, so it says nothing (Karn's rule).
    # Nor does the time that several slices took.
    if asked.wanted.asks == 1 and asked in window.in_flight and not window.torn:
        rest = replace(rest, round_trip=_measured(window.round_trip, now_s - asked.at_s))
    return replace(_grown(rest), heard_at_s=now_s)


def heard(window: Window, now_s: float) -> Window:
    """Something came last at this instant, a slice perhaps: the line is at work."""
    return replace(window, heard_at_s=max(window.heard_at_s, now_s))


def refused(window: Window, chunk: Digest, now_s: float) -> Window:
    """Something came under the chunk's name that is not it: ask again, later each time."""
    asked, rest = _take(window, chunk)
    if asked is None:
        return rest
    delay_s = window.patience.refusal_delay_s * 2.0**asked.wanted.refusals
    again = replace(asked.wanted, refusals=asked.wanted.refusals + 1, not_before_s=now_s + delay_s)
    return replace(rest, waiting=(*rest.waiting, again), heard_at_s=now_s)


def cut(window: Window) -> Window:
    """The link went down: what was under way must be asked for anew, in a narrower window."""
    back = tuple(asked.wanted for asked in window.in_flight)
    return replace(
        window,
        waiting=back + window.waiting,
        in_flight=(),
        limit=max(1, window.limit // 2),
        credit=0,
        torn=TORN_CHUNKS,
    )


def timeout_s(window: Window, silences: int) -> float:
    """How long silence may last, in [timeout_min_s, timeout_max_s] once a round trip is known. On a link that
    was cut it says little: a slice that is given up too early makes a whole chunk of it.
    """
    patience = window.patience
    base_s = patience.first_timeout_s
    if window.round_trip is not None and not window.torn:
        trip = window.round_trip
        base_s = max(patience.timeout_min_s, trip.smoothed_s + 4 * trip.deviation_s)
    return min(patience.timeout_max_s, base_s * 2.0**silences)


def _deadline_s(window: Window, asked: Asked) -> float:
    """While other chunks arrive the line is at work, and this one may still be queued behind them."""
    return max(asked.at_s, window.heard_at_s) + timeout_s(window, asked.wanted.silences)


def _expire(window: Window, now_s: float) -> Window:
    overdue = tuple(asked for asked in window.in_flight if _deadline_s(window, asked) <= now_s)
    if not overdue:
        return window
    back = tuple(replace(asked.wanted, silences=asked.wanted.silences + 1) for asked in overdue)
    return replace(
        window,
        waiting=back + window.waiting,
        in_flight=tuple(asked for asked in window.in_flight if asked not in overdue),
        limit=max(1, window.limit // 2),
        credit=0,
    )


def _hopeless(wanted: Wanted, patience: Patience) -> bool:
    return wanted.silences >= patience.silences_max or wanted.refusals > patience.refusals_max


def _next_instant(window: Window, room: int) -> float:
    deadlines = [_deadline_s(window, asked) for asked in window.in_flight]
    allowed_s = rate.ready_at_s(window.bucket)
    delayed = [max(wanted.not_before_s, allowed_s) for wanted in window.waiting] if room else []
    return min(deadlines + delayed)


def _take(window: Window, chunk: Digest) -> tuple[Asked | None, Window]:
    """The chunk out of the window; it may come after it was given back by a cut or a time-out."""
    for asked in window.in_flight:
        if asked.wanted.chunk == chunk:
            return asked, replace(window, in_flight=tuple(a for a in window.in_flight if a is not asked))
    for wanted in window.waiting:
        if wanted.chunk == chunk:
            rest = replace(window, waiting=tuple(w for w in window.waiting if w is not wanted))
            return Asked(wanted, window.heard_at_s), rest
    return None, window


def _measured(round_trip: RoundTrip | None, sample_s: float) -> RoundTrip:
    return RoundTrip(sample_s, sample_s / 2) if round_trip is None else round_trip.fold(sample_s)


def _grown(window: Window) -> Window:
    if window.torn:
        return replace(window, torn=window.torn - 1)
    credit = window.credit + 1
    long_trip = window.round_trip is not None and window.round_trip.smoothed_s >= LONG_ROUND_TRIP_S
    if window.limit < FIRST_LIMIT:
        return replace(window, limit=window.limit + 1, credit=0)
    if window.limit < LIMIT_MAX and long_trip and credit >= window.limit:
        return replace(window, limit=window.limit + 1, credit=0)
    return replace(window, credit=credit)
