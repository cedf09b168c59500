"""How many threads a model gets, and whether the CPU is faster than the Edge TPU: by measurement.

More threads are not faster as a rule: of small models on two cores, one thread was measured faster than two.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from agent.wire.topics import Digest

REMEMBERED_MAX: Final = 32
GAIN_MIN: Final = 0.05
"""More threads must save this share of the time of one: they take it from other processes."""
CPU_LEAD: Final = 1.2
"""The Edge TPU must need this many times as long as the CPU for the CPU to be preferred: it keeps the
cores free, and a measurement may err."""
THREADS_MAX: Final = 8


class Timing(Struct, frozen=True, array_like=True):
    threads: int
    invoke_ms: float


class Tuning(Struct, frozen=True, kw_only=True):
    """One measurement of a release's variants on one host with one runtime."""

    variant: Digest
    """For the CPU."""
    compiled: Digest | None
    runtime: str
    host: str
    cpu: tuple[Timing, ...]
    edgetpu_ms: float | None = None


def counts(cores: int) -> tuple[int, ...]:
    """The numbers of threads that are worth measuring, one thread first."""
    return tuple(sorted({1, min(2, cores), min(cores, THREADS_MAX)}))


def best(tuning: Tuning) -> Timing:
    """The fastest; one thread unless more are clearly faster."""
    one = next(timing for timing in tuning.cpu if timing.threads == 1)
    fastest = min(tuning.cpu, key=lambda timing: timing.invoke_ms)
    return fastest if fastest.invoke_ms < (1 - GAIN_MIN) * one.invoke_ms else one


def prefers_cpu(tuning: Tuning) -> bool:
    return tuning.edgetpu_ms is not None and best(tuning).invoke_ms * CPU_LEAD <= tuning.edgetpu_ms


def find(
    known: Sequence[Tuning], *, variant: Digest, compiled: Digest | None, runtime: str, host: str
) -> Tuning | None:
    """What was measured of these very files with this runtime on this host; of a variant for the CPU alone,
    what was measured of it beside a compiled one will do.
    """
    of_here = (t for t in reversed(known) if (t.variant, t.runtime, t.host) == (variant, runtime, host))
    return next((t for t in of_here if compiled in {None, t.compiled}), None)


def remember(known: Sequence[Tuning], new: Tuning) -> tuple[Tuning, ...]:
    """The newest measurement of a pair replaces the older ones; beyond the bound the oldest are forgotten."""
    others = [t for t in known if (t.variant, t.compiled) != (new.variant, new.compiled)]
    return (*others, new)[-REMEMBERED_MAX:]


def forget(known: Sequence[Tuning], variant: Digest) -> tuple[Tuning, ...]:
    return tuple(t for t in known if t.variant != variant)


def in_words(tuning: Tuning) -> str:
    """The choice and what it was chosen from: `measured: 2 threads 7.1 ms, 1 thread 9.8 ms`."""
    chosen = best(tuning)
    others = sorted((t for t in tuning.cpu if t != chosen), key=lambda timing: timing.invoke_ms)
    told = [f"{_count(t.threads)} {t.invoke_ms:.1f} ms" for t in (chosen, *others)]
    if tuning.edgetpu_ms is not None:
        told.append(f"Edge TPU {tuning.edgetpu_ms:.1f} ms")
    return f"measured: {', '.join(told)}"


def _count(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"
