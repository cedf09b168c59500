"""What takes long on a release's way in: the pull of its files, and its trial."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from agent.core.update import provision, rate
from agent.core.update.lifecycle import (
    Event,
    Fetched,
    FetchFailed,
    Fitted,
    Record,
    Rotten,
    TrialFailed,
    TrialPassed,
)
from agent.loops.connection import Connection
from agent.loops.release import trial
from agent.loops.release.shelf import Shelf
from agent.loops.release.supply import Supply
from agent.loops.telling.reporter import Reporter
from agent.ports.accelerator import Accelerator
from agent.ports.children import SpawnCanary, Worker
from agent.ports.clock import Clock
from agent.ports.link import Link
from agent.ports.packing import Packing
from agent.ports.store import Store
from agent.wire.documents import Artifact, Delegate, Manifest
from agent.wire.errors import AgentError, DiskFull, Malformed, PortError, StoreFailed, WireError
from agent.wire.ipc import EdgeTpu
from agent.wire.reasons import Reason
from agent.wire.topics import Digest, Root

log = logging.getLogger(__name__)

RETRY_S = 5.0
MAY_BE_HARDWARE = frozenset(
    {Reason.CANARY_CRASHED, Reason.CANARY_TIMEOUT, Reason.LOAD_FAILED, Reason.INVOKE_ERRORS}
)
"""How a candidate fails whose Edge TPU is lost in the middle of its trial."""
RETRY_MAX_S = 300.0
"""A download waits twice as long after each failure: a forged chunk is pulled again at every attempt."""


@dataclass(frozen=True, slots=True)
class Measured:
    """This release has been measured: it may be served better."""

    release: Fitted


@dataclass(frozen=True, slots=True)
class Came:
    """What a job came to."""

    job: int
    event: Event | Measured


@dataclass(frozen=True, slots=True)
class Broke:
    """A fault in this program ended a job."""

    fault: BaseException


class Jobs:
    """At most one job; a new one ends the one before it.

    `current` is the number of the newest. What an older one came to may still be on its way when it was
    ended, and counts no more.
    """

    def __init__(  # noqa: PLR0913 - a pull and a trial touch most ports of the device
        self,
        *,
        link: Link,
        connection: Connection,
        topics: Root,
        store: Store,
        packing: Packing,
        rate_bytes_s: float,
        shelf: Shelf,
        clock: Clock,
        worker: Worker,
        spawn_canary: SpawnCanary,
        accelerator: Accelerator,
        reporter: Reporter,
        came: Callable[[Came | Broke], None],
        consult: Callable[[], None],
    ) -> None:
        self._supply = Supply(link, connection, topics, store, clock, packing, reporter.event, self._progress)
        self._rate_bytes_s = rate_bytes_s
        self._store, self._shelf = store, shelf
        self._worker, self._spawn_canary, self._reporter = worker, spawn_canary, reporter
        self._accelerator = accelerator
        self._came, self._consult = came, consult
        self._task: asyncio.Task[Event | Measured] | None = None
        self.current = 0

    async def fetch(self, release: Fitted, record: Record) -> None:
        await self.cancel()
        self._start(self._fetch(release, record))

    async def prove(self, candidate: Fitted, running: Fitted | None, record: Record) -> None:
        await self.cancel()
        self._start(self._prove(candidate, running, record))

    async def measure(self, release: Fitted) -> None:
        """Nothing, while something else is under way, and where there is nothing to choose."""
        if self._task is not None and not self._task.done():
            return
        try:
            manifest = await asyncio.to_thread(self._shelf.manifest, release)
        except (StoreFailed, WireError):
            return
        if self._shelf.tuner.of(release) is None and self._shelf.candidates(release, manifest):
            await self.cancel()
            self._start(self._measure(release))

    async def cancel(self) -> None:
        self.current += 1
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _start(self, work: Coroutine[Any, Any, Event | Measured]) -> None:
        job = self.current
        self._task = asyncio.create_task(work)
        self._task.add_done_callback(lambda task: self._ended(job, task))

    def _ended(self, job: int, task: asyncio.Task[Event | Measured]) -> None:
        if task.cancelled():
            return
        fault = task.exception()
        self._came(Came(job, task.result()) if fault is None else Broke(fault))

    async def _fetch(self, release: Fitted, record: Record) -> Event:
        """Pull what is missing; only what trying again cannot mend is a failure of the release."""
        pause_s = RETRY_S
        while True:
            try:
                manifest = await asyncio.to_thread(self._shelf.manifest, release)
            except (StoreFailed, WireError) as error:
                log.warning("manifest.lost", extra={"error": str(error), "retry_s": RETRY_S})
                # It is laid into the store whenever the plan is read.
                self._consult()
                await asyncio.sleep(RETRY_S)
                continue
            try:
                await self._pull(release, manifest, record)
            except DiskFull as error:
                log.warning("fetch.low-disk", extra={"error": str(error), "retry_s": pause_s})
                self._reporter.hold(Reason.LOW_DISK, str(error))
            except Malformed as error:
                return FetchFailed(release.manifest, Reason.DIGEST_MISMATCH, str(error))
            except AgentError as error:
                log.warning("fetch.interrupted", extra={"error": str(error), "retry_s": pause_s})
            else:
                self._reporter.release_hold(Reason.LOW_DISK)
                return Fetched(release.manifest)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_MAX_S)

    async def _pull(self, release: Fitted, manifest: Manifest, record: Record) -> None:
        variants = [v for v in manifest.variants if v.artifact.digest in release.files]
        held = await asyncio.to_thread(self._held, record)
        cap = rate.lower(self._rate_bytes_s, record.rate_bytes_s)
        way = await self._supply.bring(provision.needed(manifest, variants), held, cap)
        self._reporter.event(
            "update.fetched",
            {
                "name": release.name,
                "version": release.version,
                "bytes": way.line_bytes,
                "reused_bytes": way.copied_bytes,
                "patches": len(way.patched),
            },
        )

    def _progress(self, done_bytes: int, total_bytes: int) -> None:
        """There is room: it has been looked for."""
        self._reporter.release_hold(Reason.LOW_DISK)
        self._reporter.progress(done_bytes, total_bytes)

    def _held(self, record: Record) -> list[Artifact]:
        """The files of older releases that this device should have; a lost manifest hides its own."""
        files: list[Artifact] = []
        for release in (record.state.active, record.state.fallback):
            if release is None:
                continue
            try:
                manifest = self._shelf.manifest(release)
            except (StoreFailed, WireError) as error:
                log.warning("manifest.lost", extra={"error": str(error)})
                continue
            files += [file for file in provision.artifacts(manifest) if file.digest in release.files]
        return files

    async def _prove(self, candidate: Fitted, running: Fitted | None, record: Record) -> Event:
        while True:
            try:
                manifest = await asyncio.to_thread(self._shelf.manifest, candidate)
            except (StoreFailed, WireError) as error:
                log.warning("manifest.lost", extra={"error": str(error)})
                return Rotten(candidate)
            try:
                return await self._try(candidate, manifest, running, record)
            except PortError as error:
                log.warning("trial.interrupted", extra={"error": str(error), "retry_s": RETRY_S})
            await asyncio.sleep(RETRY_S)

    async def _try(
        self, candidate: Fitted, manifest: Manifest, running: Fitted | None, record: Record
    ) -> TrialPassed | TrialFailed:
        """A candidate for an Edge TPU is lent the worker's."""
        if candidate.delegate is not Delegate.EDGETPU:
            return await self._proven(candidate, manifest, record, shadows=running is not None)
        failed = await self._twin_failed(candidate, manifest, running, record)
        if failed is not None:
            return failed
        async with self._worker.lent() as serves:
            if running is not None and not serves:
                self._reporter.event(
                    "trial.alone",
                    {"detail": "the running release needs the Edge TPU too, so no frames are shadowed"},
                )
            shadows = running is not None and serves
            return await self._innocent(await self._proven(candidate, manifest, record, shadows=shadows))

    async def _twin_failed(
        self, candidate: Fitted, manifest: Manifest, running: Fitted | None, record: Record
    ) -> TrialFailed | None:
        """Looked at first: it keeps nobody from the Edge TPU."""
        twin = self._shelf.twin(candidate, manifest)
        if twin is None or _stands_in(running, candidate):
            return None
        path, note = self._golden_path(manifest), self._reporter.event
        return await trial.prove_twin(self._spawn_canary, twin, manifest, path, record.trial, note)

    async def _proven(
        self, candidate: Fitted, manifest: Manifest, record: Record, *, shadows: bool
    ) -> TrialPassed | TrialFailed:
        specs = () if self._shelf.tuner.of(candidate) else self._shelf.candidates(candidate, manifest)
        return await trial.prove(
            spawn=self._spawn_canary,
            worker=self._worker if shadows else None,
            spec=self._shelf.spec(candidate, manifest),
            manifest=manifest,
            golden_path=self._golden_path(manifest),
            policy=record.trial,
            healthy_windows=record.probation.healthy_windows,
            note=self._reporter.event,
            measure=(lambda canary: self._shelf.tuner.measure(canary, candidate, specs)) if specs else None,
        )

    def _golden_path(self, manifest: Manifest) -> str:
        return str(self._store.path(Digest(manifest.golden.artifact.digest)))

    async def _innocent(self, judged: TrialPassed | TrialFailed) -> TrialPassed | TrialFailed:
        """A candidate that failed without its Edge TPU has not failed itself."""
        if isinstance(judged, TrialPassed) or judged.reason not in MAY_BE_HARDWARE:
            return judged
        sight = await self._accelerator.look(self._shelf.engine.edgetpu or EdgeTpu(), opening=True)
        if sight.opened:
            return judged
        return TrialFailed(
            judged.manifest, Reason.NEEDS_EDGETPU, f"{judged.detail}; then the Edge TPU: {sight.finding}"
        )

    async def _measure(self, release: Fitted) -> Event | Measured:
        """An active release that nothing is known of, or not with this runtime."""
        while True:
            await asyncio.sleep(RETRY_S)
            try:
                manifest = await asyncio.to_thread(self._shelf.manifest, release)
                specs = self._shelf.candidates(release, manifest)
                lends = any(spec.edgetpu is not None for spec in specs)
                async with self._worker.lent() if lends else contextlib.nullcontext():
                    canary = await self._spawn_canary()
                    try:
                        await self._shelf.tuner.measure(canary, release, specs)
                    finally:
                        await canary.close()
            except (PortError, WireError) as error:
                log.warning("tuning.interrupted", extra={"error": str(error), "retry_s": RETRY_S})
            else:
                return Measured(release)


def _stands_in(running: Fitted | None, candidate: Fitted) -> bool:
    """Whether what is to stand in serves already: an Edge TPU has come to it."""
    return running is not None and (running.manifest, running.variant) == (candidate.manifest, candidate.twin)
