"""Pulls artifacts, chunk by chunk, until they stand whole in the store."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from agent.core.update import window as windows
from agent.core.update.window import Ask, Done, GiveUp, Lack, Patience, Wait
from agent.loops.connection import Connection
from agent.loops.release.requests import Batch, Requests
from agent.ports.clock import Clock
from agent.ports.link import Down, Link, LinkState
from agent.ports.packing import Packing
from agent.ports.store import Store
from agent.wire.documents import Artifact
from agent.wire.errors import Unavailable
from agent.wire.topics import Digest, Root, sha256

log = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]
Wants = dict[Digest, list[tuple[Artifact, int]]]
"""The chunks to pull, in order, each with the artifacts and indices that it fills."""

T = TypeVar("T")
_PATIENCE = Patience()


async def fetch(  # noqa: PLR0913 - a download touches the link, the disk, the clock and the one who waits
    link: Link,
    connection: Connection,
    topics: Root,
    store: Store,
    artifacts: Sequence[Artifact],
    clock: Clock,
    on_progress: OnProgress,
    *,
    packing: Packing,
    rate_bytes_s: float = 0.0,
    patience: Patience = _PATIENCE,
) -> None:
    """Pull what the store lacks of every artifact, and assemble each.

    It resumes with what is on disk, waits as long as the link is down, and leaves no subscription
    behind, however it ends. It asks no faster than `rate_bytes_s`, where that is not 0. `on_progress` is
    called on the event loop with the bytes on disk, those of earlier runs included, and the bytes in all; at
    the start, and whenever more is safe.

    Raises:
        Malformed: an artifact is not the sum of its chunks, or a chunk not what it is packed from: what was
            signed contradicts itself.
        Unavailable: a chunk did not come although the link was up, or its topic keeps something else.
        StoreFailed: the disk refused; DiskFull if it has no room.
    """
    wants = await _finished(asyncio.to_thread(_lacking, store, artifacts))
    total = sum(artifact.length for artifact in artifacts)

    def on_kept(chunks: Iterable[Digest]) -> None:
        for chunk in chunks:
            wants.pop(chunk, None)
        on_progress(total - _bytes(wants), total)

    on_kept(())
    firsts = {content: artifact.chunks[index] for content, ((artifact, index), *_) in wants.items()}
    requests = Requests(link, topics, firsts, clock)
    lengths = {content: first.published_bytes for content, first in firsts.items()}
    window = windows.start(lengths, patience, rate_bytes_s)
    keep = partial(_keep, store, packing, dict(wants))
    await _Pull(requests, connection, clock, window, keep, on_kept).run()
    for artifact in artifacts:
        await _finished(asyncio.to_thread(store.assemble, artifact))


def _lacking(store: Store, artifacts: Sequence[Artifact]) -> Wants:
    wants: Wants = {}
    for artifact in artifacts:
        for index in store.missing(artifact):
            wants.setdefault(artifact.chunks[index].digest, []).append((artifact, index))
    return wants


def _bytes(wants: Wants) -> int:
    return sum(artifact.chunks[index].length for places in wants.values() for artifact, index in places)


def _keep(store: Store, packing: Packing, wants: Wants, batch: Batch) -> frozenset[Digest]:
    """Write the chunks and make them safe; returns those that are not what their name says.

    Nothing is unpacked before it is known to be what was signed.

    Raises:
        Malformed: what was signed contradicts itself.
        StoreFailed: the disk refused.
    """
    touched: dict[Digest, Artifact] = {}
    wrong: set[Digest] = set()
    for name, payload in batch.items():
        first, at = wants[name][0]
        chunk = first.chunks[at]
        if sha256(payload) != chunk.published:
            log.warning("chunk.wrong", extra={"chunk": chunk.published, "bytes": len(payload)})
            wrong.add(name)
            continue
        content = payload if chunk.packed is None else packing.unpack(payload, chunk.length)
        for artifact, index in wants[name]:
            store.put_chunk(artifact, index, content)
            touched[artifact.digest] = artifact
    for artifact in touched.values():
        store.sync(artifact)
    return frozenset(wrong)


class _Pull:
    """One download: asks as the window says, keeps what comes."""

    def __init__(
        self,
        requests: Requests,
        connection: Connection,
        clock: Clock,
        window: windows.Window,
        keep: Callable[[Batch], frozenset[Digest]],
        on_kept: Callable[[Iterable[Digest]], None],
    ) -> None:
        self._requests, self._connection, self._clock = requests, connection, clock
        self._window = window
        self._keep, self._on_kept = keep, on_kept

    async def run(self) -> None:
        unwatch = self._connection.watch(self._on_state)
        try:
            while not await self._turn():
                pass
        finally:
            unwatch()
            self._requests.withdraw()

    def _on_state(self, state: LinkState) -> None:
        if isinstance(state, Down):
            # Or the link would ask for the whole of the old window at once when it is back.
            self._window = windows.cut(self._window)
            self._requests.withdraw()
        self._requests.woken.set()

    async def _turn(self) -> bool:
        """One step; true if everything has come."""
        self._requests.woken.clear()
        if batch := self._requests.take():
            await self._digest(batch)
            return False
        if self._window.finished:
            return True
        if not self._connection.is_up:
            await self._requests.woken.wait()
            return False
        self._window = windows.heard(self._window, self._requests.heard_s)
        self._window, order = windows.plan(self._window, _now_s(self._clock))
        self._requests.narrow(asked.wanted.chunk for asked in self._window.in_flight)
        match order:
            case Ask(chunks, sliced):
                self._requests.ask(chunks, sliced=sliced)
            case Wait(until_s):
                await self._sleep(until_s - _now_s(self._clock))
            case GiveUp(chunk, lack, tries):
                self._give_up(chunk, lack, tries)
            case Done():
                return True
        return False

    async def _digest(self, batch: Batch) -> None:
        wrong = await _finished(asyncio.to_thread(self._keep, batch))
        for chunk in batch:
            judge = windows.refused if chunk in wrong else windows.received
            self._window = judge(self._window, chunk, self._requests.arrived_s[chunk])
        self._on_kept(batch.keys() - wrong)

    async def _sleep(self, seconds: float) -> None:
        # Not `wait_for`: Python 3.11's loses a cancel that comes with what is waited for.
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._requests.woken.wait()

    def _give_up(self, chunk: Digest, lack: Lack, tries: int) -> None:
        topic = self._requests.topic(chunk)
        match lack:
            case Lack.WRONG:
                # Whoever may write to the broker can do this, so it must not condemn what was signed.
                raise Unavailable(
                    f"{topic} keeps something else than its name says, {tries} times over: "
                    "publish the release again, and look for who else may write there"
                )
            case Lack.SILENT:
                raise Unavailable(
                    f"{topic} did not come although the link was up, asked for {tries} times: "
                    "publish the release again, or allow this device to read it"
                )


def _now_s(clock: Clock) -> float:
    return clock.monotonic_ns() / 1e9


async def _finished(work: Awaitable[T]) -> T:
    """Work on a thread, which cannot be cancelled: a cancel waits for it, so that it ends before we do."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise
