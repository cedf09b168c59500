"""One camera, its feeder and two workers: real processes, real shared memory, real models."""

import asyncio
import itertools
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agent.assemble.sharing import Sharing, shared_cameras, start_worker
from agent.config import Camera, CameraKind, Emission, PipelineSettings, Runtime
from agent.loops.keeping.keeper import WorkerKeeper
from agent.ports.children import Observation
from agent.wire.ipc import CameraTurned, Predicted, Serving
from agent.wire.reports import CameraState
from tests import models

DEADLINE_S = 20.0
BACK_S = 4.0
"""A killed process is back, and its readers see frames again."""


def line(name: str, camera: Camera) -> PipelineSettings:
    return PipelineSettings(name, name, camera, Runtime(), Emission())


class Reader:
    """A pipeline's worker, kept."""

    def __init__(self, line: PipelineSettings, sharing: dict[str, Sharing]) -> None:
        self.keeper = WorkerKeeper(start_worker(line, sharing), random.Random(1))
        self.predicted: list[Predicted] = []
        self.states: list[CameraState] = []
        self.details: list[str] = []
        self._changed = asyncio.Event()
        self.keeper.observe(self._see)

    def _see(self, seen: Observation) -> None:
        if isinstance(seen, Predicted):
            self.predicted.append(seen)
        if isinstance(seen, CameraTurned):
            self.states.append(seen.state)
            self.details.append(seen.detail)
        self._changed.set()

    async def until(self, condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        async with asyncio.timeout(deadline_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def more(self, count: int, deadline_s: float = DEADLINE_S) -> list[Predicted]:
        already = len(self.predicted)
        await self.until(lambda: len(self.predicted) >= already + count, deadline_s)
        return self.predicted[already:]


@asynccontextmanager
async def two_readers() -> AsyncIterator[tuple[Sharing, Reader, Reader]]:
    camera = Camera(kind=CameraKind.REPLAY, folder=str(models.pictures()), rate_fps=20.0)
    lines = [
        line("main", camera),
        line("guest", Camera(kind=CameraKind.SHARED, of="main", every_nth=2)),
        line("other", Camera(kind=CameraKind.PATTERN)),
    ]
    sharing = shared_cameras(lines)
    assert set(sharing) == {"main", "guest"}
    assert sharing["main"] is sharing["guest"]
    front, guest = (Reader(line, sharing) for line in lines[:2])
    tasks = [asyncio.create_task(each.run()) for each in (sharing["main"].keeper, front.keeper, guest.keeper)]
    try:
        spec = models.spec(models.shared(models.TINY))
        for reader in (front, guest):
            assert isinstance(await reader.keeper.serve(spec), Serving)
        yield sharing["main"], front, guest
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        sharing["main"].close()
        assert sharing["main"].keeper.pid is None


def test_two_workers_classify_the_same_frames_of_one_camera() -> None:
    async def story() -> None:
        async with two_readers() as (_, front, guest):
            seen, halved = await asyncio.gather(front.more(20), guest.more(10))
            names = {each.sequence: (each.frame, each.predictions[0].label) for each in seen}
            both = [each for each in halved if each.sequence in names]
            assert len(both) >= 5
            assert all((each.frame, each.predictions[0].label) == names[each.sequence] for each in both)
            assert len({frame for frame, _ in names.values()}) > 1
            steps = [b.sequence - a.sequence for a, b in itertools.pairwise(halved)]
            assert min(steps) >= 2
            assert all(each.latency_ms.capture < 1000 for each in seen)
            assert front.states[0] is CameraState.OPENING
            assert front.states[-1] is CameraState.LIVE

    asyncio.run(story())


def test_a_killed_feeder_and_a_killed_reader_are_back_and_the_others_go_on() -> None:
    async def story() -> None:
        async with two_readers() as (sharing, front, guest):
            await asyncio.gather(front.more(5), guest.more(3))
            workers, feeder = (front.keeper.pid, guest.keeper.pid), sharing.keeper.pid
            assert feeder is not None
            os.kill(feeder, signal.SIGKILL)
            last = front.predicted[-1].sequence
            await asyncio.gather(front.more(10, BACK_S), guest.more(5, BACK_S))
            fresh = sharing.keeper.pid
            assert fresh not in {None, feeder}
            assert (front.keeper.pid, guest.keeper.pid) == workers
            after = [each.sequence for each in front.predicted if each.sequence > last]
            assert after == sorted(set(after))
            assert CameraState.LOST not in {*front.states, *guest.states}

            assert workers[1] is not None
            os.kill(workers[1], signal.SIGKILL)
            await front.more(15, 2.0)
            await guest.more(5, BACK_S)
            assert guest.keeper.pid not in {None, workers[1]}
            assert (sharing.keeper.pid, sharing.keeper.ends) == (fresh, 1)

    asyncio.run(story())


def test_a_feeder_whose_camera_is_lost_tells_every_reader_and_no_worker_is_killed_for_it() -> None:
    async def story() -> None:
        camera = Camera(kind=CameraKind.REPLAY, folder="/nowhere/at/all", rate_fps=20.0)
        lines = [line("main", camera), line("guest", Camera(kind=CameraKind.SHARED, of="main"))]
        sharing = shared_cameras(lines)
        readers = [Reader(each, sharing) for each in lines]
        tasks = [
            asyncio.create_task(each.run()) for each in (sharing["main"].keeper, *(r.keeper for r in readers))
        ]
        try:
            for reader in readers:
                await reader.until(lambda seen=reader: CameraState.LOST in seen.states)
                assert "replay folder /nowhere/at/all: No such file" in reader.details[-1]
                assert reader.keeper.restarts == 0
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            sharing["main"].close()

    asyncio.run(story())
