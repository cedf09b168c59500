"""The loop around `core.lifecycle`: it stores what `step` decided, then performs the effects.

One task consumes one queue, so steps never interleave. What takes long (a download, a trial) runs as
a job of its own and comes back as an event.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from agent.core import cohort, lifecycle
from agent.core.lifecycle import Event, Fitted, Record
from agent.loops import trial
from agent.loops.connection import Connection
from agent.loops.consult import Desired, Hold, Host, consult
from agent.loops.fetch import fetch
from agent.loops.reporter import Reporter
from agent.loops.service import Service
from agent.ports.children import SpawnCanary, Worker
from agent.ports.clock import Clock
from agent.ports.link import Link
from agent.ports.store import Store
from agent.ports.trust import Trust
from agent.wire import codec
from agent.wire.documents import Manifest, Plan
from agent.wire.errors import AgentError, DiskFull, Malformed, PortError, WireError
from agent.wire.ipc import ModelSpec, ServeFailed, Serving
from agent.wire.reasons import Reason
from agent.wire.topics import Digest, Root

log = logging.getLogger(__name__)

RETRY_S = 5.0
NOT_OURS = frozenset({Reason.OUTSIDE_CUT, Reason.NOT_MATCHED})


@dataclass(frozen=True, slots=True)
class Consult:
    """Read the signed plan again."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What a model is run with, from the configuration."""

    runtime: str
    threads: int


class Update:
    """What this device runs, and the way to what it should run."""

    def __init__(  # noqa: PLR0913 - the meeting point of every port of the device
        self,
        *,
        link: Link,
        connection: Connection,
        topics: Root,
        store: Store,
        trust: Trust,
        clock: Clock,
        worker: Worker,
        spawn_canary: SpawnCanary,
        service: Service,
        reporter: Reporter,
        host: Host,
        engine: Engine,
        stream: str,
        recheck_s: float,
    ) -> None:
        self._link, self._connection, self._topics = link, connection, topics
        self._store, self._trust, self._clock = store, trust, clock
        self._worker, self._spawn_canary, self._service = worker, spawn_canary, service
        self._reporter, self._host, self._engine = reporter, host, engine
        self._stream, self._recheck_s = stream, recheck_s
        self._queue: asyncio.Queue[Event | Consult] = asyncio.Queue()
        self._record = Record()
        self._asked = False
        self._spread_serial, self._turn_at_s = -1, 0.0
        self._job: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def poke(self) -> None:
        """Something was published, or the connection came back: look again, once."""
        if not self._asked:
            self._asked = True
            self._queue.put_nowait(Consult())

    def feed(self, event: Event) -> None:
        self._queue.put_nowait(event)

    async def run(self) -> None:
        """Until cancelled."""
        await self._start()
        self.poke()
        try:
            while True:
                await self._handle(await self._queue.get())
        finally:
            await self._cancel_job()
            if self._timer is not None:
                self._timer.cancel()

    async def _start(self) -> None:
        self._record = await asyncio.to_thread(self._store.load)
        clean = await asyncio.to_thread(self._store.mark_running)
        log.info("agent.started", extra={"clean": clean, "state": type(self._record.state).__name__})
        for slot in await asyncio.to_thread(self._rotten):
            log.error("slot.rotten", extra={"release": f"{slot.name} {slot.version}", "digest": slot.variant})
            await self._step(lifecycle.Rotten(slot.manifest))
        await self._step(lifecycle.Started(clean))

    def _rotten(self) -> list[Fitted]:
        """The slots whose files are not what they were: each file is read and hashed again."""
        state = self._record.state
        slots = [state.active, state.fallback]
        if isinstance(state, lifecycle.Trial):
            slots.append(state.candidate)
        return [s for s in slots if s is not None and not all(self._store.verify(d) for d in s.files)]

    async def _handle(self, item: Event | Consult) -> None:
        if isinstance(item, Consult):
            await self._consult()
        else:
            await self._step(item)

    async def _consult(self) -> None:
        self._asked = False
        if not self._connection.is_up:
            return
        self._again_in(self._recheck_s)
        trusted = self._clock.synchronized()
        try:
            decision = await asyncio.to_thread(
                consult,
                self._trust,
                self._stream,
                self._host,
                self._record,
                clock_trusted=trusted,
            )
        except PortError as error:
            log.warning("plan.unavailable", extra={"error": str(error), "retry_s": RETRY_S})
            self._again_in(RETRY_S)
            return
        match decision:
            case Hold(reason, detail, plan):
                log.info("plan.held", extra={"reason": reason, "detail": detail})
                if plan is not None:
                    await self._note_plan(plan)
                    await self._withdraw(plan, reason)
                self._reporter.hold(reason, detail)
            case Desired():
                await self._want(decision)

    def _turn_in_s(self, plan: Plan, release: Fitted) -> float:
        """Seconds until this device may begin, counted from when it first saw the plan."""
        now_s, state = asyncio.get_running_loop().time(), self._record.state
        if plan.serial != self._spread_serial:
            delay_s = cohort.start_delay_s(plan.salt, self._host.device.id, plan.spread_s)
            self._spread_serial, self._turn_at_s = plan.serial, now_s + delay_s
        if not isinstance(state, lifecycle.Idle) or (
            state.active and state.active.manifest == release.manifest
        ):
            return 0.0
        return max(0.0, self._turn_at_s - now_s)

    async def _want(self, desired: Desired) -> None:
        plan, release = desired.plan, desired.release
        self._record = replace(self._record, trial=plan.trial, probation=plan.probation)
        await self._note_plan(plan)
        if (wait_s := self._turn_in_s(plan, release)) > 0:
            self._reporter.hold(Reason.WAITING, f"{release.name} {release.version} in {wait_s:.0f} s")
            self._again_in(wait_s)
            return
        if desired.passed_over is None:
            self._reporter.release_hold()
        else:
            self._reporter.hold(desired.passed_over.reason, desired.passed_over.detail)
        await asyncio.to_thread(self._store.put, desired.content)
        await self._step(lifecycle.Wanted(release))

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
        if record != self._record or isinstance(event, lifecycle.Started | lifecycle.Revoked):
            await asyncio.to_thread(self._store.save, record)
        self._record = record
        self._service.follow(record)
        self._reporter.follow(record)
        for effect in effects:
            await self._perform(effect)

    async def _perform(self, effect: lifecycle.Effect) -> None:
        match effect:
            case lifecycle.Fetch(release):
                await self._start_job(self._fetch(release))
            case lifecycle.Try(candidate, running):
                await self._start_job(self._try(candidate, running))
            case lifecycle.Activate(release):
                await self._activate(release)
            case lifecycle.Rest():
                await self._worker.rest()
            case lifecycle.Cancel():
                await self._cancel_job()
            case lifecycle.Announce(ended):
                log.info(
                    "update.ended",
                    extra={
                        "release": f"{ended.name} {ended.version}",
                        "outcome": ended.outcome,
                        "reason": ended.reason or "",
                        "detail": ended.detail,
                    },
                )
                self._reporter.announce(ended)
            case lifecycle.Collect():
                keep = lifecycle.references(self._record)
                await asyncio.to_thread(self._store.collect, keep)
            case lifecycle.Dropped(event):
                log.debug("event.stale", extra={"event": str(event)})

    def _again_in(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self.poke)

    async def _start_job(self, work: Coroutine[Any, Any, None]) -> None:
        await self._cancel_job()
        self._job = asyncio.create_task(work)

    async def _cancel_job(self) -> None:
        if self._job is None:
            return
        self._job.cancel()
        await asyncio.wait([self._job])
        self._job = None

    async def _manifest(self, release: Fitted) -> Manifest:
        content = await asyncio.to_thread(self._store.path(release.manifest).read_bytes)
        return codec.decode(content, Manifest)

    async def _fetch(self, release: Fitted) -> None:
        """Pull what is missing; only what trying again cannot mend is a failure of the release."""
        while True:
            try:
                await self._pull(release)
            except DiskFull as error:
                self._reporter.hold(Reason.LOW_DISK, str(error))
                log.warning("fetch.low-disk", extra={"error": str(error)})
            except Malformed as error:
                self.feed(lifecycle.FetchFailed(release.manifest, Reason.DIGEST_MISMATCH, str(error)))
                return
            except AgentError as error:
                log.warning("fetch.interrupted", extra={"error": str(error), "retry_s": RETRY_S})
            else:
                self._reporter.release_hold()
                self.feed(lifecycle.Fetched(release.manifest))
                return
            await asyncio.sleep(RETRY_S)

    async def _pull(self, release: Fitted) -> None:
        manifest = await self._manifest(release)
        chosen = next(v.artifact for v in manifest.variants if v.artifact.digest == release.variant)
        artifacts = [a for a in (chosen, manifest.golden.artifact, manifest.labels) if a is not None]
        missing = await asyncio.to_thread(
            lambda: sum(a.chunks[i].length for a in artifacts for i in self._store.missing(a))
        )
        await asyncio.to_thread(self._store.require, missing)
        progress: Callable[[int, int], None] = self._reporter.progress
        await fetch(self._link, self._connection, self._topics, self._store, artifacts, self._clock, progress)
        self._reporter.event(
            "update.fetched", {"name": release.name, "version": release.version, "bytes": missing}
        )

    async def _try(self, candidate: Fitted, running: Fitted | None) -> None:
        manifest = await self._manifest(candidate)
        event = await trial.prove(
            spawn=self._spawn_canary,
            worker=self._worker if running is not None else None,
            spec=self._spec(candidate, manifest),
            manifest=manifest,
            golden_path=str(self._store.path(Digest(manifest.golden.artifact.digest))),
            policy=self._record.trial,
            healthy_windows=self._record.probation.healthy_windows,
            note=self._reporter.event,
        )
        self.feed(event)

    def _spec(self, release: Fitted, manifest: Manifest) -> ModelSpec:
        labels = manifest.labels
        return ModelSpec(
            name=release.name,
            version=release.version,
            manifest=release.manifest,
            digest=release.variant,
            model_path=str(self._store.path(release.variant)),
            labels_path=None if labels is None else str(self._store.path(Digest(labels.digest))),
            input=manifest.input,
            output=manifest.output,
            runtime=self._engine.runtime,
            threads=self._engine.threads,
        )

    async def _activate(self, release: Fitted) -> None:
        try:
            manifest = await self._manifest(release)
        except (OSError, WireError) as error:
            self._not_served(release, Reason.ACTIVATION_FAILED, str(error))
            return
        match await self._worker.serve(self._spec(release, manifest)):
            case Serving() as serving:
                log.info(
                    "model.serving",
                    extra={
                        "release": f"{release.name} {release.version}",
                        "delegate": serving.delegate,
                        "load_ms": round(serving.load_ms, 1),
                        "gap_ms": round(serving.gap_ms, 1),
                    },
                )
                self._reporter.serving(serving)
            case ServeFailed(reason=reason, detail=detail):
                self._not_served(release, reason, detail)

    def _not_served(self, release: Fitted, reason: Reason, detail: str) -> None:
        """On probation it counts against the release; else the fallback serves and the plan is read anew."""
        log.error(
            "model.not-served", extra={"release": f"{release.name} {release.version}", "detail": detail}
        )
        if isinstance(self._record.state, lifecycle.Probation):
            self.feed(lifecycle.Sick(release.manifest, Reason.ACTIVATION_FAILED, f"{reason}: {detail}"))
        else:
            self.feed(lifecycle.Rotten(release.manifest))
            self._again_in(RETRY_S)
