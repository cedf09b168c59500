"""Tells the service manager that the device is ready, alive, and how it fares.

It runs on the supervisor's event loop: a loop that is blocked starves the watchdog by itself.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from agent.core.serving import progress
from agent.core.serving.progress import Facts, Feed, Starve, Strand
from agent.core.telemetry.latency import Sketch, quantile
from agent.ports.children import Observation
from agent.ports.notify import Alive, Extend, Notify, Ready, Reloading, Status, Stopping
from agent.wire.ipc import Predicted
from agent.wire.reports import Report

log = logging.getLogger(__name__)

BEAT_S: Final = 1.0
FEEDS_A_DEADLINE: Final = 3
"""The watchdog is fed this many times within its deadline."""
EXTEND_S: Final = 60.0
EXTEND_EVERY_S: Final = 10.0
LATELY_S: Final = 10.0
"""What the latency in the status line is gathered over."""


class Pulse:
    """One pipeline's signs of life."""

    def __init__(
        self,
        name: str,
        report: Callable[[], Report | None],
        slack_s: Callable[[], float],
        now_s: Callable[[], float],
    ) -> None:
        """
        Args:
            name: of the pipeline.
            report: what it tells at this moment; None until it has read what it is to run.
            slack_s: how much longer than others it may be silent now, because it is to see few frames.
            now_s: monotonic.
        """
        self._name, self._report, self._slack_s, self._now_s = name, report, slack_s, now_s
        self._stirred_s = self._since_s = now_s()
        self._excuse = ""
        self._predicted = False
        self._failures = 0
        self._ages = Sketch()
        self._p95_ms: float | None = None

    def observe(self, seen: Observation) -> None:
        self._stirred_s = self._now_s()
        if isinstance(seen, Predicted):
            self._predicted = True
            self._failures = 0
            self._ages.add(seen.latency_ms.age)

    def crashed(self, _detail: str) -> None:
        self._stirred_s = self._now_s()
        self._failures += 1

    def strand(self) -> Strand:
        self._read_off()
        strand = self._strand()
        excuse = progress.declared(strand)
        if excuse != self._excuse:
            self._excuse, self._stirred_s = excuse, self._now_s()
            strand = self._strand()
        return strand

    def _strand(self) -> Strand:
        return Strand(
            name=self._name,
            report=self._report(),
            stirred_s=self._stirred_s,
            predicted=self._predicted,
            failures=self._failures,
            slack_s=self._slack_s(),
            p95_ms=self._p95_ms,
        )

    def _read_off(self) -> None:
        now_s = self._now_s()
        if now_s - self._since_s >= LATELY_S:
            ages, self._ages, self._since_s = self._ages.to_document(), Sketch(), now_s
            self._p95_ms = quantile(ages, 0.95) if ages.count else None


class Heartbeat:
    def __init__(
        self,
        notify: Notify,
        pulses: Sequence[Pulse],
        link_alive: Callable[[], bool],
        now_s: Callable[[], float],
    ) -> None:
        self._notify, self._pulses, self._link_alive, self._now_s = notify, pulses, link_alive, now_s
        self._ready = False
        self._said = ""
        self._fed_s: float | None = None
        self._extended_s: float | None = None
        self._starving_s: float | None = None

    async def run(self) -> None:
        """Until cancelled."""
        deadline_s = self._notify.watchdog_s
        beat_s = BEAT_S if deadline_s is None else min(BEAT_S, deadline_s / FEEDS_A_DEADLINE)
        while True:
            self.beat()
            await asyncio.sleep(beat_s)

    def beat(self) -> None:
        facts = Facts(strands=tuple(pulse.strand() for pulse in self._pulses), link_alive=self._link_alive())
        verdict = progress.judge(facts, self._now_s())
        self._become_ready(facts)
        self._say(progress.status(facts))
        match verdict:
            case Feed():
                self._feed()
            case Starve(reason):
                self._starve(reason)

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """While the configuration is read again, whatever comes of it. A start that is under way goes on."""
        if not self._ready:
            yield
            return
        self._notify.tell(Reloading(int(self._now_s() * 1e9)))
        try:
            yield
        finally:
            self._notify.tell(Ready())

    def stopping(self) -> None:
        self._notify.tell(Stopping(), Status("stopping"))

    def _become_ready(self, facts: Facts) -> None:
        if not self._ready and progress.ready(facts):
            self._ready = True
            self._notify.tell(Ready())
            log.info("agent.ready", extra={"status": progress.status(facts)})

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._notify.tell(Status(text))

    def _feed(self) -> None:
        now_s, deadline_s = self._now_s(), self._notify.watchdog_s
        if self._starving_s is not None:
            log.info("watchdog.fed", extra={"starved_s": round(now_s - self._starving_s, 1)})
            self._starving_s = None
        if deadline_s is not None and _due(self._fed_s, now_s, deadline_s / FEEDS_A_DEADLINE):
            self._fed_s = now_s
            self._notify.tell(Alive())
        if not self._ready and _due(self._extended_s, now_s, EXTEND_EVERY_S):
            self._extended_s = now_s
            self._notify.tell(Extend(EXTEND_S))

    def _starve(self, reason: str) -> None:
        if self._starving_s is None:
            self._starving_s = self._now_s()
            log.error("watchdog.starved", extra={"reason": reason})


def _due(last_s: float | None, now_s: float, every_s: float) -> bool:
    """A beat early rather than a beat late."""
    return last_s is None or now_s - last_s >= every_s - BEAT_S / 2
