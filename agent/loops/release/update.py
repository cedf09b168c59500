"""The loop around `core.update.lifecycle`: it stores what `step` decided, then performs the effects.

One task consumes one queue, so steps never interleave. What takes long (a download, a trial) runs as
a job of its own and comes back as an event.
"""

import asyncio
import dataclasses
import logging
from dataclasses import dataclass

from msgspec.structs import replace

from agent.core.serving import delegate
from agent.core.update import cohort, lifecycle
from agent.core.update.consent import Moment
from agent.core.update.lifecycle import Event, Fitted, Record
from agent.loops.connection import Connection
from agent.loops.release.acceptance import Acceptance
from agent.loops.release.consult import Desired, Hold, Host, consult, put_off, waiting
from agent.loops.release.effects import Effects, named
from agent.loops.release.jobs import RETRY_S, Broke, Came, Jobs, Measured
from agent.loops.release.shelf import Engine, Shelf
from agent.loops.release.tuner import Tuner
from agent.loops.telling.reporter import Reporter
from agent.loops.telling.service import Service
from agent.ports.accelerator import Accelerator
from agent.ports.acceptance import Word
from agent.ports.children import SpawnCanary, Worker
from agent.ports.clock import Clock
from agent.ports.link import Link
from agent.ports.packing import Packing
from agent.ports.store import Store
from agent.ports.trust import Trust
from agent.ports.veto import Veto
from agent.wire.documents import MaintenanceWindow, Manifest, Plan
from agent.wire.errors import DiskFull, PortError, StoreFailed
from agent.wire.reasons import Reason
from agent.wire.topics import Root

__all__ = ["Engine", "Update"]

log = logging.getLogger(__name__)

CLOCK_POLL_S = 10.0
VETO_POLL_S = 10.0
NOT_OURS = frozenset({Reason.OUTSIDE_CUT, Reason.NOT_MATCHED})


@dataclass(frozen=True, slots=True)
class Consult:
    """Read the signed plan again."""


@dataclass(frozen=True, slots=True)
class Remeasure:
    """Somebody asks for the active release to be measured again."""


Item = Event | Came | Broke | Consult | Remeasure


class Update:
    """What this device runs, and the way to what it should run."""

    def __init__(  # noqa: PLR0913 - the meeting point of every port of the device
        self,
        *,
        link: Link,
        connection: Connection,
        topics: Root,
        store: Store,
        packing: Packing,
        trust: Trust,
        consulting: asyncio.Lock,
        clock: Clock,
        worker: Worker,
        spawn_canary: SpawnCanary,
        accelerator: Accelerator,
        tuner: Tuner,
        service: Service,
        reporter: Reporter,
        host: Host,
        engine: Engine,
        stream: str,
        recheck_s: float,
        veto: Veto,
        windows: tuple[MaintenanceWindow, ...] = (),
        rate_bytes_s: float = 0.0,
        word: Word | None = None,
    ) -> None:
        self._connection, self._store, self._trust, self._clock = connection, store, trust, clock
        self._service, self._reporter, self._host = service, reporter, host
        self._consulting, self._stream, self._recheck_s = consulting, stream, recheck_s
        self._veto, self._windows = veto, windows
        self._acceptance = Acceptance(word, self._accepted)
        self._program = engine.program
        self._queue: asyncio.Queue[Item] = asyncio.Queue()
        shelf = Shelf(store, engine, tuner, self._why)
        self._tuner = tuner
        self._jobs = Jobs(
            link=link,
            connection=connection,
            topics=topics,
            store=store,
            packing=packing,
            rate_bytes_s=rate_bytes_s,
            shelf=shelf,
            clock=clock,
            worker=worker,
            spawn_canary=spawn_canary,
            accelerator=accelerator,
            reporter=reporter,
            came=self._queue.put_nowait,
            consult=self.poke,
        )
        self._effects = Effects(self._jobs, store, shelf, worker, reporter, feed=self.feed, consult=self.poke)
        self._record = self._kept = Record()
        """What is known, and what of it is on disk."""
        self._asked = False
        self._spread_serial, self._turn_at_s = -1, 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._veto_timer: asyncio.TimerHandle | None = None

    def poke(self) -> None:
        """Something was published, or the connection came back: look again, once."""
        if not self._asked:
            self._asked = True
            self._queue.put_nowait(Consult())

    def equip(self, host: Host) -> None:
        """The hardware has changed: what only lacked it may be tried again."""
        self._host = host
        self.feed(lifecycle.Refitted())
        self.poke()

    @property
    def state(self) -> lifecycle.State:
        return self._record.state

    @property
    def acceptance(self) -> Acceptance:
        """What waits for somebody on the device."""
        return self._acceptance

    def _accepted(self, event: lifecycle.Accepted) -> None:
        self.feed(event)
        self._reporter.release_hold(Reason.UNACCEPTED)
        self.poke()

    def remeasure(self) -> None:
        """Measure the active release again as soon as nothing else is under way."""
        self._queue.put_nowait(Remeasure())

    def feed(self, event: Event) -> None:
        self._queue.put_nowait(event)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._acceptance.start()
            await self._start()
            self.poke()
            while True:
                await self._handle(await self._queue.get())
        finally:
            self._acceptance.close()
            await self._jobs.cancel()
            for timer in (self._timer, self._veto_timer):
                if timer is not None:
                    timer.cancel()

    async def _start(self) -> None:
        record = self._kept = await asyncio.to_thread(self._store.load)
        clean = await asyncio.to_thread(self._mark_running)
        log.info("agent.started", extra={"clean": clean, "state": type(record.state).__name__})
        for slot in await asyncio.to_thread(self._rotten, record):
            log.error("slot.rotten", extra={"release": named(slot), "digest": slot.variant})
            # Its effects are among those that `Started` asks for anew.
            record, _ = lifecycle.step(record, lifecycle.Rotten(slot))
        self._record = record
        await self._step(lifecycle.Started(clean, self._program))

    def _why(self, release: Fitted, manifest: Manifest) -> str:
        """As of the hardware that there is now, which may not be what it was fitted to."""
        choice = delegate.choose(
            manifest.variants,
            edgetpu_present=self._host.edgetpu,
            runtime_version=self._host.runtime_version,
            wanted=self._host.wanted,
            bad={bad.digest for bad in self._record.known_bad},
        )
        fits = isinstance(choice, delegate.Choice) and choice.variant.artifact.digest == release.variant
        return choice.reason if fits else ""

    def _mark_running(self) -> bool:
        try:
            return self._store.mark_running()
        except StoreFailed as error:
            log.error("store.failed", extra={"error": str(error)})  # noqa: TRY400 - the trace says no more
            return False

    def _rotten(self, record: Record) -> list[Fitted]:
        """The slots whose files are not what they were: each file is read and hashed again."""
        state = record.state
        slots = [state.active, state.fallback]
        if isinstance(state, lifecycle.Trial):
            slots.append(state.candidate)
        return [s for s in slots if s is not None and not all(self._store.verify(d) for d in s.files)]

    async def _handle(self, item: Item) -> None:
        match item:
            case Consult():
                await self._consult()
            case Remeasure():
                await self._remeasure()
            case Came(job) if job != self._jobs.current:
                log.debug("event.stale", extra={"event": str(item)})
            case Came(event=outcome):
                await self._come(outcome)
            case Broke(fault):
                raise fault
            case lifecycle.Healthy() | lifecycle.Sick() if not isinstance(
                self._record.state, lifecycle.Probation | lifecycle.Idle
            ):
                log.debug("event.stale", extra={"event": str(item)})
            case event:
                await self._step(event)

    async def _come(self, outcome: Event | Measured) -> None:
        match outcome:
            case Measured(release):
                await self._serve_again(release)
            case lifecycle.TrialPassed():
                before = self._service.evidence() if lifecycle.witness(self._record) else None
                await self._step(dataclasses.replace(outcome, before=before))
            case _:
                await self._step(outcome)

    async def _consult(self) -> None:
        self._asked = False
        if not self._connection.is_up:
            return
        trusted = self._clock.synchronized()
        if trusted:
            self._again_in(self._recheck_s)
        else:
            self._again_with_clock()
        try:
            # The trust is every pipeline's, and takes one question at a time.
            async with self._consulting:
                decision = await asyncio.to_thread(
                    consult,
                    self._trust,
                    self._stream,
                    self._host,
                    self._record,
                    Moment(self._clock.now(), self._windows, self._veto.words(), self._acceptance.asks),
                    clock_trusted=trusted,
                )
        except PortError as error:
            log.warning("plan.unavailable", extra={"error": str(error), "retry_s": RETRY_S})
            self._again_in(RETRY_S)
            return
        if isinstance(decision, Hold):
            self._acceptance.put_off(put_off(decision), self._record.accepted)
        await self._acceptance.wait_for(waiting(decision))
        match decision:
            case Hold(reason, detail, plan, again_s):
                log.info("plan.held", extra={"reason": reason, "detail": detail})
                if plan is not None:
                    await self._note_plan(plan)
                    await self._withdraw(plan, reason)
                self._reporter.hold(reason, detail)
                if again_s is not None:
                    self._again_in(min(again_s, self._recheck_s))
                elif reason is Reason.VETO:
                    self._again_without_veto()
            case Desired():
                await self._want(decision)

    def _turn_in_s(self, plan: Plan, release: Fitted) -> float:
        """Seconds until this device may begin, counted from when it first saw the plan."""
        now_s, state = asyncio.get_running_loop().time(), self._record.state
        if plan.serial != self._spread_serial:
            delay_s = cohort.start_delay_s(plan.salt, self._host.device.id, plan.spread_s)
            self._spread_serial, self._turn_at_s = plan.serial, now_s + delay_s
        accepted = self._acceptance.asks and release.manifest == self._record.accepted
        if (
            accepted
            or not isinstance(state, lifecycle.Idle)
            or (state.active and state.active.manifest == release.manifest)
        ):
            return 0.0
        return max(0.0, self._turn_at_s - now_s)

    async def _want(self, desired: Desired) -> None:
        plan, release = desired.plan, desired.release
        self._record = replace(
            self._record, trial=plan.trial, probation=plan.probation, rate_bytes_s=plan.rate_bytes_s
        )
        await self._note_plan(plan)
        if (wait_s := self._turn_in_s(plan, release)) > 0:
            self._reporter.hold(Reason.WAITING, f"{named(release)} in {wait_s:.0f} s")
            self._again_in(wait_s)
            return
        try:
            await asyncio.to_thread(self._store.put, desired.content)
        except StoreFailed as error:
            self._refused_by_disk(error)
            self._again_in(RETRY_S)
            return
        if desired.passed_over is None:
            self._reporter.release_hold()
        else:
            self._reporter.hold(desired.passed_over.reason, desired.passed_over.detail)
        stable = plan.stable is not None and plan.stable.manifest == release.manifest
        await self._step(lifecycle.Wanted(release, stable=stable))
        self._acceptance.put_off(put_off(desired), self._record.accepted)

    async def _note_plan(self, plan: Plan) -> None:
        self._record = replace(self._record, plan_serial=plan.serial)
        await self._step(lifecycle.Revoked(plan.revoked))

    async def _withdraw(self, plan: Plan, reason: Reason) -> None:
        """What is under way and no longer in the plan, or no longer for this device, ends."""
        offered = {ref.manifest for ref in (plan.candidate, plan.stable) if ref is not None}
        under_way = lifecycle.under_way(self._record.state)
        if under_way is not None and (under_way.manifest not in offered or reason in NOT_OURS):
            await self._step(lifecycle.Withdrawn())

    async def _step(self, event: Event) -> None:
        """Law 1: the record is on disk before its effects run."""
        record, effects = lifecycle.step(self._record, event)
        await self._keep(record)
        self._record = record
        self._service.follow(record)
        self._reporter.follow(record)
        for effect in effects:
            await self._effects.perform(effect, record)
        if isinstance(record.state, lifecycle.Idle) and record.state.active is not None:
            await self._jobs.measure(record.state.active)

    async def _serve_again(self, release: Fitted) -> None:
        """What was measured may ask for other threads, or for the CPU."""
        active = self._record.state.active
        if isinstance(self._record.state, lifecycle.Idle) and release.is_as(active):
            await self._effects.perform(lifecycle.Activate(release), self._record)

    async def _remeasure(self) -> None:
        state = self._record.state
        if isinstance(state, lifecycle.Idle) and state.active is not None:
            await self._tuner.forget(state.active)
            await self._jobs.measure(state.active)

    async def _keep(self, record: Record) -> None:
        """While the disk refuses, nothing further is begun; what serves goes on serving."""
        while record != self._kept:
            try:
                await asyncio.to_thread(self._store.save, record)
            except StoreFailed as error:
                self._refused_by_disk(error)
                await asyncio.sleep(RETRY_S)
                self.poke()
            else:
                self._kept = record

    def _refused_by_disk(self, error: StoreFailed) -> None:
        log.error("store.failed", extra={"error": str(error), "retry_s": RETRY_S})
        reason = Reason.LOW_DISK if isinstance(error, DiskFull) else Reason.STORE_FAILED
        self._reporter.hold(reason, str(error))

    def _again_in(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self.poke)

    def _again_without_veto(self) -> None:
        """Look again as soon as nobody objects any more; to look at a file costs nothing."""
        if self._veto.words() is None:
            self.poke()
            return
        if self._veto_timer is not None:
            self._veto_timer.cancel()
        self._veto_timer = asyncio.get_running_loop().call_later(VETO_POLL_S, self._again_without_veto)

    def _again_with_clock(self) -> None:
        """Look again as soon as the clock can be trusted; asking it costs nothing."""
        if self._clock.synchronized():
            self.poke()
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(CLOCK_POLL_S, self._again_with_clock)
