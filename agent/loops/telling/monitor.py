"""Reads the host several times a window, tells what begins and ends, and keeps what a window reports."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.core.telemetry.vitals import OVER, CpuTime, Gauges, HotRule, Strain, Turn, Watch, cpu_share
from agent.ports.clock import Clock
from agent.ports.host import Host
from agent.wire.reports import Vitals

log = logging.getLogger(__name__)

READINGS_A_WINDOW: Final = 5
PERIOD_MIN_S: Final = 0.5
PERIOD_MAX_S: Final = 2.0
STALE_PERIODS: Final = 10
"""A reading that hangs (a disk that does not answer) leaves the one before it, which is told no longer."""

Fields = dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Sources:
    """What else belongs to a host's vitals; each answers at once."""

    outbox_messages: Callable[[], int] = lambda: 0
    outbox_dropped: Callable[[], int] = lambda: 0
    broker_ms: Callable[[], float | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Told:
    vitals: Vitals
    throttled: bool
    """The SoC took its clock down at some moment of the window."""


class Monitor:
    """One for all pipelines. Its methods run on the event loop, the readings on a thread."""

    def __init__(self, host: Host, clock: Clock, watch: Watch, sources: Sources, window_s: float) -> None:
        self._host, self._clock, self._watch, self._sources = host, clock, watch, sources
        self._period_s = _period_s(window_s)
        self._gauges = Gauges()
        self._read_ns: int | None = None
        self._synchronized = False
        self._windows: list[Window] = []
        self._listeners: list[Callable[[Gauges], None]] = []
        self._tell: Callable[[str, Fields], None] = lambda _name, _fields: None

    def configure(self, hot: HotRule, window_s: float) -> None:
        """From the next reading on."""
        self._watch.configure(hot)
        self._period_s = _period_s(window_s)

    def bind(self, tell: Callable[[str, Fields], None]) -> None:
        """Where events go."""
        self._tell = tell

    def listen(self, listener: Callable[[Gauges], None]) -> None:
        """Call it at every reading."""
        self._listeners.append(listener)

    def window(self) -> "Window":
        window = Window(self)
        self._windows.append(window)
        return window

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            gauges, synchronized = await asyncio.to_thread(self._read)
            self.take(gauges, synchronized=synchronized)
            await asyncio.sleep(self._period_s)

    def take(self, gauges: Gauges, *, synchronized: bool) -> None:
        now_ns = self._clock.monotonic_ns()
        self._gauges, self._read_ns, self._synchronized = gauges, now_ns, synchronized
        for turn in self._watch.look(gauges, now_ns):
            self._turn(turn)
        for window in self._windows:
            window.note(throttled=self._watch.throttled)
        for listener in self._listeners:
            listener(gauges)

    def vitals(self, cpu_began: CpuTime | None) -> Vitals:
        """The newest reading, with the share of the CPU since then."""
        gauges = self._fresh()
        return Vitals(
            soc_c=gauges.soc_c,
            tpu_c=gauges.tpu_c,
            now=self._watch.now,
            since_boot=self._watch.since_boot,
            cpu_share=cpu_share(cpu_began, gauges.cpu),
            memory_available_bytes=gauges.memory_available_bytes,
            disk_free_bytes=gauges.disk_free_bytes,
            outbox_messages=self._sources.outbox_messages(),
            outbox_dropped=self._sources.outbox_dropped(),
            broker_ms=self._sources.broker_ms(),
            clock_synchronized=self._synchronized,
        )

    @property
    def cpu(self) -> CpuTime | None:
        return self._gauges.cpu

    def _read(self) -> tuple[Gauges, bool]:
        return self._host.read(), self._clock.synchronized()

    def _fresh(self) -> Gauges:
        age_ns = 0 if self._read_ns is None else self._clock.monotonic_ns() - self._read_ns
        return self._gauges if age_ns < STALE_PERIODS * self._period_s * 1e9 else Gauges()

    def _turn(self, turn: Turn) -> None:
        if turn.lasted_s is None:
            fields = self._beginning(turn.strain)
            log.warning(turn.strain.value, extra=fields)
            self._tell(turn.strain.value, fields)
        else:
            ending: Fields = {"lasted_s": round(turn.lasted_s, 1)}
            log.info(OVER[turn.strain], extra=ending)
            self._tell(OVER[turn.strain], ending)

    def _beginning(self, strain: Strain) -> Fields:
        fields: Fields = {}
        if strain is not Strain.HOT and self._gauges.throttled_bits is not None:
            fields["bits"] = hex(self._gauges.throttled_bits)
        if self._gauges.soc_c is not None:
            fields["soc_c"] = self._gauges.soc_c
        return fields


def _period_s(window_s: float) -> float:
    return min(max(window_s / READINGS_A_WINDOW, PERIOD_MIN_S), PERIOD_MAX_S)


class Window:
    """A telemetry window of one pipeline, from one `close` to the next."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._throttled = False
        self._cpu_began = monitor.cpu

    def note(self, *, throttled: bool) -> None:
        self._throttled = self._throttled or throttled
        self._cpu_began = self._cpu_began or self._monitor.cpu

    def close(self) -> Told:
        """What the window has to tell; the next one begins."""
        told = Told(self._monitor.vitals(self._cpu_began), self.ask_throttled())
        self._cpu_began = self._monitor.cpu
        return told

    def ask_throttled(self) -> bool:
        """Whether the SoC took its clock down since this was last asked, here or by `close`."""
        throttled, self._throttled = self._throttled, False
        return throttled
