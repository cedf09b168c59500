"""How the machine fares: what its sensors mean, and when something begins and ends.

The firmware of a Raspberry Pi tells in bits 0 to 3 what holds now and in bits 16 to 19 what has held since
boot: under-voltage, the frequency capped, throttled, the soft temperature limit.
Source: Raspberry Pi documentation, `vcgencmd get_throttled`. Something that holds for less than the time
between two readings shows in the second four only. A kernel driver may clear them after it has read them,
so they are gathered here, and one that rises means that it held since the reading before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.core.camera.pace import SECOND_NS
from agent.wire.reports import Throttling

UNDER_VOLTAGE: Final = 1
FREQUENCY_CAPPED: Final = 2
THROTTLED: Final = 4
SOFT_LIMIT: Final = 8
SLOWER: Final = FREQUENCY_CAPPED | THROTTLED | SOFT_LIMIT
"""Each of them takes the clock down."""
SINCE_BOOT_SHIFT: Final = 16
CALM_S: Final = 10.0
"""Throttling and under-voltage flicker: they are over when they were not seen for this long."""


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Time of all cores together since boot, in any one unit."""

    busy: int
    whole: int


@dataclass(frozen=True, slots=True)
class Gauges:
    """One reading of a host's sensors. None: this host does not tell."""

    soc_c: float | None = None
    tpu_c: float | None = None
    throttled_bits: int | None = None
    """As the firmware of a Raspberry Pi gives them."""
    cpu: CpuTime | None = None
    memory_available_bytes: int | None = None
    disk_free_bytes: int | None = None


class Strain(StrEnum):
    THROTTLED = "soc.throttled"
    UNDER_VOLTAGE = "soc.under-voltage"
    HOT = "soc.hot"


OVER: Final = {
    Strain.THROTTLED: "soc.unthrottled",
    Strain.UNDER_VOLTAGE: "soc.voltage-back",
    Strain.HOT: "soc.cool",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """A strain has begun, or is over after `lasted_s`."""

    strain: Strain
    lasted_s: float | None = None


@dataclass(frozen=True, slots=True)
class HotRule:
    """The SoC counts as hot from `at_c` until it is below `below_c`."""

    at_c: float = 80.0
    below_c: float = 72.0


@dataclass(slots=True)
class _Spell:
    began_ns: int
    seen_ns: int


class Watch:
    """Follows the readings of one host, in order; a pure automaton."""

    def __init__(self, hot: HotRule) -> None:
        self._hot = hot
        self._spells: dict[Strain, _Spell] = {}
        self._latest_bits: int | None = None
        self._since_boot = 0
        self.now: Throttling | None = None
        self.since_boot: Throttling | None = None
        self.throttled = False
        """Whether the SoC took its clock down at the latest reading, or since the one before."""

    def configure(self, hot: HotRule) -> None:
        self._hot = hot

    def look(self, gauges: Gauges, now_ns: int) -> tuple[Turn, ...]:
        held = self._held(gauges.throttled_bits)
        self.throttled = bool(held & SLOWER)
        return (
            *self._flicker(Strain.THROTTLED, now_ns, seen=self.throttled),
            *self._flicker(Strain.UNDER_VOLTAGE, now_ns, seen=bool(held & UNDER_VOLTAGE)),
            *self._heat(gauges.soc_c, now_ns),
        )

    def _held(self, bits: int | None) -> int:
        """Everything that held since the reading before; what rose before the first is not known."""
        if bits is None:
            self.now = None
            return 0
        since = bits >> SINCE_BOOT_SHIFT
        before = since if self._latest_bits is None else self._latest_bits >> SINCE_BOOT_SHIFT
        self._latest_bits = bits
        self._since_boot |= since | bits
        self.now, self.since_boot = throttling(bits), throttling(self._since_boot)
        return bits | (since & ~before)

    def _flicker(self, strain: Strain, now_ns: int, *, seen: bool) -> Iterator[Turn]:
        spell = self._spells.get(strain)
        if seen and spell is None:
            self._spells[strain] = _Spell(now_ns, now_ns)
            yield Turn(strain)
        elif seen and spell is not None:
            spell.seen_ns = now_ns
        elif spell is not None and now_ns - spell.seen_ns >= CALM_S * SECOND_NS:
            del self._spells[strain]
            yield Turn(strain, (spell.seen_ns - spell.began_ns) / SECOND_NS)

    def _heat(self, soc_c: float | None, now_ns: int) -> Iterator[Turn]:
        spell = self._spells.get(Strain.HOT)
        if soc_c is None:
            return
        if spell is None and soc_c >= self._hot.at_c:
            self._spells[Strain.HOT] = _Spell(now_ns, now_ns)
            yield Turn(Strain.HOT)
        elif spell is not None and soc_c < min(self._hot.below_c, self._hot.at_c):
            del self._spells[Strain.HOT]
            yield Turn(Strain.HOT, (now_ns - spell.began_ns) / SECOND_NS)


def throttling(bits: int) -> Throttling:
    """The four lowest bits by name."""
    return Throttling(
        under_voltage=bool(bits & UNDER_VOLTAGE),
        frequency_capped=bool(bits & FREQUENCY_CAPPED),
        throttled=bool(bits & THROTTLED),
        soft_limit=bool(bits & SOFT_LIMIT),
    )


def cpu_share(begin: CpuTime | None, end: CpuTime | None) -> float | None:
    """The busy part, in [0, 1], of all cores' time between two readings; None where no time has passed."""
    if begin is None or end is None or end.whole <= begin.whole:
        return None
    return min(max((end.busy - begin.busy) / (end.whole - begin.whole), 0.0), 1.0)
