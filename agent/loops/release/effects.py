"""Performs what the lifecycle decided, once it is on disk. Every effect may be performed again."""

import asyncio
import logging
from collections.abc import Callable

from agent.core.update import lifecycle
from agent.core.update.lifecycle import Event, Fitted, Record
from agent.loops.release.jobs import RETRY_S, Jobs
from agent.loops.release.shelf import Shelf
from agent.loops.telling.reporter import Reporter
from agent.ports.children import Worker
from agent.ports.store import Store
from agent.wire.errors import StoreFailed, WireError
from agent.wire.ipc import ServeFailed, Serving
from agent.wire.reasons import Reason
from agent.wire.reports import Ended, Outcome

log = logging.getLogger(__name__)


class Effects:
    def __init__(
        self,
        jobs: Jobs,
        store: Store,
        shelf: Shelf,
        worker: Worker,
        reporter: Reporter,
        *,
        feed: Callable[[Event], None],
        consult: Callable[[], None],
    ) -> None:
        self._jobs, self._store, self._shelf = jobs, store, shelf
        self._worker, self._reporter = worker, reporter
        self._feed, self._consult = feed, consult

    async def perform(self, effect: lifecycle.Effect, record: Record) -> None:
        """The effect of a step to this record, which is on disk."""
        match effect:
            case lifecycle.Fetch(release):
                await self._jobs.fetch(release, record)
            case lifecycle.Try(candidate, running):
                await self._jobs.prove(candidate, running, record)
            case lifecycle.Activate(release, again):
                if again:
                    await asyncio.sleep(RETRY_S)
                await self._activate(release, record)
            case lifecycle.Rest():
                await self._worker.rest()
            case lifecycle.Cancel():
                await self._jobs.cancel()
            case lifecycle.Announce(ended):
                self._announce(ended)
            case lifecycle.Collect():
                await self._collect(record)
            case lifecycle.Dropped(event):
                log.debug("event.stale", extra={"event": str(event)})

    def _announce(self, ended: Ended) -> None:
        """Where the release did not stay, the plan is read again: it may offer another."""
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
        if ended.outcome is not Outcome.COMMITTED:
            self._consult()

    async def _collect(self, record: Record) -> None:
        try:
            await asyncio.to_thread(self._store.collect, lifecycle.references(record))
        except StoreFailed as error:
            log.warning("store.not-collected", extra={"error": str(error)})

    async def _activate(self, release: Fitted, record: Record) -> None:
        try:
            manifest = await asyncio.to_thread(self._shelf.manifest, release)
        except (StoreFailed, WireError) as error:
            self._not_served(release, record, str(error))
            return
        on_probation = isinstance(record.state, lifecycle.Probation)
        match await self._worker.serve(self._shelf.offer(release, manifest, on_probation=on_probation)):
            case Serving() as serving:
                log.info(
                    "model.serving",
                    extra={
                        "release": named(release),
                        "delegate": serving.delegate,
                        "load_ms": round(serving.load_ms, 1),
                        "gap_ms": round(serving.gap_ms, 1),
                    },
                )
                self._reporter.serving(serving)
            case ServeFailed(reason=Reason.NEEDS_EDGETPU, detail=detail):
                self._without_edgetpu(release, record, detail)
            case ServeFailed(reason=Reason.WORKER_CRASHED, detail=detail) if _is_alone(record.state):
                log.error("model.not-served", extra={"release": named(release), "detail": detail})
                self._feed(lifecycle.Sick(release.manifest, Reason.ACTIVATION_FAILED, detail))
            case ServeFailed(reason=reason, detail=detail):
                self._not_served(release, record, f"{reason}: {detail}")

    def _without_edgetpu(self, release: Fitted, record: Record, detail: str) -> None:
        """What is on probation makes way for what can serve; what has committed waits for its Edge TPU."""
        log.warning("model.not-served", extra={"release": named(release), "detail": detail})
        if isinstance(record.state, lifecycle.Probation):
            self._feed(lifecycle.Sick(release.manifest, Reason.NEEDS_EDGETPU, detail))

    def _not_served(self, release: Fitted, record: Record, detail: str) -> None:
        """On probation it counts against the release; else the fallback serves and the plan is read anew."""
        log.error("model.not-served", extra={"release": named(release), "detail": detail})
        if isinstance(record.state, lifecycle.Probation):
            self._feed(lifecycle.Sick(release.manifest, Reason.ACTIVATION_FAILED, detail))
        else:
            self._feed(lifecycle.Rotten(release))
            asyncio.get_running_loop().call_later(RETRY_S, self._consult)


def _is_alone(state: lifecycle.State) -> bool:
    """It has committed, was whole at the start, and nothing could serve in its place."""
    return isinstance(state, lifecycle.Idle) and state.fallback is None


def named(release: Fitted) -> str:
    return f"{release.name} {release.version}"
