"""The worker's failover over processes and Edge TPUs that only pretend to be some."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from agent.core.serving.failover import GUILTY_MAX, Cause, Offer
from agent.loops.keeping import failover
from agent.loops.keeping.failover import Failover
from agent.loops.keeping.keeper import WorkerKeeper
from agent.ports.children import Died, Guilty, Happening, Lost, Returned, StoodIn
from agent.wire.ipc import EdgeTpu, InvokeFailed, ModelSpec, Serve, ServeFailed
from agent.wire.reasons import Reason
from agent.wire.topics import sha256
from tests.fakes.accelerator import ScriptedAccelerator
from tests.fakes.children import DEADLINE_S, ScriptedChild
from tests.unit.loops.keeping.test_keeper import Always, serving, spec


def compiled(twin: ModelSpec) -> ModelSpec:
    return replace(twin, digest=sha256(twin.digest.encode()), edgetpu=EdgeTpu())


CPU, OTHER_CPU = spec("a"), spec("b")
TPU, OTHER_TPU = compiled(CPU), compiled(OTHER_CPU)
PAIR, ALONE = Offer(TPU, CPU), Offer(TPU)
OTHER_PAIR = Offer(OTHER_TPU, OTHER_CPU, on_probation=True)
ABORT, CRASH = "killed by SIGABRT", "killed by SIGSEGV"


def refused(model: ModelSpec, reason: Reason = Reason.NEEDS_EDGETPU) -> ServeFailed:
    return ServeFailed(manifest=model.manifest, digest=model.digest, reason=reason, detail="it will not open")


class Bench:
    """A worker process after the other, obeying or not; what is said of them."""

    def __init__(self) -> None:
        self.tpus = ScriptedAccelerator()
        self.happened: list[Happening] = []
        self._born: asyncio.Queue[ScriptedChild] = asyncio.Queue()
        self.worker = Failover(WorkerKeeper(self._spawn, Always(0.0)), self.tpus)
        self.worker.watch(self.happened.append)

    async def _spawn(self) -> ScriptedChild:
        child = ScriptedChild()
        self._born.put_nowait(child)
        return child

    async def child(self) -> ScriptedChild:
        async with asyncio.timeout(DEADLINE_S):
            return await self._born.get()

    async def takes(self, child: ScriptedChild, model: ModelSpec) -> None:
        """The process is told to serve this model, and does."""
        assert await child.told() == Serve(model=model)
        child.say(serving(model))

    async def serving(self, offer: Offer) -> ScriptedChild:
        """The first process, with this offer's preferred model in it."""
        child = await self.child()
        order = asyncio.create_task(self.worker.serve(offer))
        for model in filter(None, (offer.fallback, offer.preferred)):
            await self.takes(child, model)
        assert await order == serving(offer.preferred)
        self.happened.clear()
        return child

    async def says(self, words: str) -> None:
        """Wait until it is degraded for that reason."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                if any(words in getattr(happening, "degraded", "") for happening in self.happened):
                    return
                await asyncio.sleep(0.001)

    async def until(self, kind: type[Happening]) -> Happening:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for happening in self.happened:
                    if isinstance(happening, kind):
                        return happening
                await asyncio.sleep(0.001)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    built = Bench()
    task = asyncio.create_task(built.worker.run())
    try:
        yield built
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "LENT_S", 0.01)
    monkeypatch.setattr("agent.core.serving.failover.LOOK_FIRST_S", 0.01)


def told(story: Callable[[Bench], Awaitable[None]]) -> None:
    async def tell() -> None:
        async with bench() as built, asyncio.timeout(DEADLINE_S):
            await story(built)

    asyncio.run(tell())


def test_a_first_model_for_the_edge_tpu_is_preceded_by_its_twin_so_that_frames_go_on_while_it_opens() -> None:
    async def story(at: Bench) -> None:
        child = await at.child()
        order = asyncio.create_task(at.worker.serve(PAIR))
        await at.takes(child, CPU)
        assert await at.until(StoodIn) == StoodIn(serving(CPU), "")
        await at.takes(child, TPU)
        assert await order == serving(TPU)
        assert at.tpus.looks == []

    told(story)


def test_a_lost_edge_tpu_is_stood_in_for_and_comes_back_between_two_frames() -> None:
    async def story(at: Bench) -> None:
        child = await at.serving(PAIR)
        at.tpus.there = False
        child.die(ABORT)
        child = await at.child()
        await at.takes(child, CPU)
        lost = await at.until(Lost)
        assert lost == Lost("no Edge TPU is plugged in: plug one in", stands_in=True)
        assert at.happened[0] == Died(ABORT, counts=False)
        assert "variant for the CPU serves" in at.happened[1].degraded
        assert StoodIn(serving(CPU), at.happened[1].degraded) in at.happened
        at.tpus.there = True
        await at.takes(child, TPU)
        back = await at.until(Returned)
        assert back.serving == serving(TPU)
        assert back.lost_s > 0
        assert not any(isinstance(happening, Guilty) for happening in at.happened)
        assert at.worker.causes == {Cause.EDGETPU: 1}

    told(story)


def test_a_model_that_ends_the_worker_with_its_edge_tpu_there_is_guilty_and_in_the_end_left_alone() -> None:
    async def story(at: Bench) -> None:
        child = await at.serving(PAIR)
        for round_ in range(GUILTY_MAX):
            child.die(CRASH)
            child = await at.child()
            await at.takes(child, CPU)
            if round_ + 1 < GUILTY_MAX:
                await at.takes(child, TPU)
                at.happened.remove(await at.until(Returned))
        await at.says("again and again")
        assert sum(isinstance(happening, Guilty) for happening in at.happened) == GUILTY_MAX
        assert at.worker.causes[Cause.CRASHED] == GUILTY_MAX
        assert not any(isinstance(happening, Lost) for happening in at.happened)

    told(story)


def test_a_stick_that_aborts_once_and_is_there_again_is_forgiven_and_the_second_time_is_not() -> None:
    async def story(at: Bench) -> None:
        child = await at.serving(PAIR)
        child.die(ABORT)
        child = await at.child()
        await at.takes(child, CPU)
        await at.until(Lost)
        await at.takes(child, TPU)
        await at.until(Returned)
        child.die(ABORT)
        child = await at.child()
        await at.takes(child, CPU)
        assert await at.until(Guilty) == Guilty(ABORT)

    told(story)


def test_a_failed_run_brings_the_twin_into_the_same_process() -> None:
    async def story(at: Bench) -> None:
        child = await at.serving(PAIR)
        at.tpus.there = False
        child.say(InvokeFailed(manifest=TPU.manifest, sequence=1, detail="the run failed"))
        await at.takes(child, CPU)
        await at.until(Lost)
        assert at.worker.restarts == 0

    told(story)


def test_a_release_without_a_twin_rests_until_its_edge_tpu_is_back() -> None:
    async def story(at: Bench) -> None:
        child = await at.serving(ALONE)
        at.tpus.there = False
        child.die(ABORT)
        child = await at.child()
        assert (await at.until(Lost)).stands_in is False
        at.tpus.there = True
        await at.takes(child, TPU)
        assert (await at.until(Returned)).serving == serving(TPU)

    told(story)


def test_an_edge_tpu_that_is_away_at_the_start_leaves_a_committed_pair_on_the_cpu() -> None:
    async def story(at: Bench) -> None:
        at.tpus.there = False
        child = await at.child()
        order = asyncio.create_task(at.worker.serve(PAIR))
        await at.takes(child, CPU)
        assert await child.told() == Serve(model=TPU)
        child.say(refused(TPU))
        assert await order == serving(CPU)
        at.tpus.there = True
        await at.takes(child, TPU)
        await at.until(Returned)

    told(story)


@pytest.mark.parametrize(("there", "how"), [(False, ABORT), (False, CRASH), (True, ABORT)])
def test_an_edge_tpu_lost_while_a_release_takes_over_leaves_its_twin_and_takes_nothing_back(
    there, how
) -> None:
    async def story(at: Bench) -> None:
        child = await at.serving(Offer(OTHER_CPU))
        order = asyncio.create_task(at.worker.serve(replace_probation(PAIR)))
        assert await child.told() == Serve(model=TPU)
        at.tpus.there = there
        child.die(how)
        child = await at.child()
        await at.takes(child, OTHER_CPU)
        await at.takes(child, CPU)
        assert await order == serving(CPU)
        assert isinstance(await at.until(Lost), Lost)

    told(story)


def test_a_model_that_ends_the_worker_while_it_takes_over_has_failed_and_the_one_before_serves() -> None:
    async def story(at: Bench) -> None:
        child = await at.serving(PAIR)
        order = asyncio.create_task(at.worker.serve(OTHER_PAIR))
        assert await child.told() == Serve(model=OTHER_TPU)
        child.die(CRASH)
        child = await at.child()
        await at.takes(child, CPU)
        answer = await order
        assert isinstance(answer, ServeFailed)
        assert answer.reason is Reason.WORKER_CRASHED
        await at.takes(child, TPU)
        await at.until(Returned)
        assert not any(isinstance(happening, Guilty) for happening in at.happened)

    told(story)


def test_a_release_without_a_twin_that_finds_no_edge_tpu_needs_one() -> None:
    async def story(at: Bench) -> None:
        child = await at.serving(Offer(OTHER_CPU))
        at.tpus.there = False
        order = asyncio.create_task(at.worker.serve(Offer(TPU, on_probation=True)))
        await child.told()
        child.say(refused(TPU))
        answer = await order
        assert isinstance(answer, ServeFailed)
        assert answer.reason is Reason.NEEDS_EDGETPU
        assert "plug one in" in answer.detail

    told(story)


def test_a_lent_edge_tpu_is_taken_up_again_after_the_trial() -> None:
    async def story(at: Bench) -> None:
        child = await at.serving(PAIR)
        lending = at.worker.lent()
        entered = asyncio.create_task(lending.__aenter__())
        await at.takes(child, CPU)
        assert await entered is True
        assert at.happened == [StoodIn(serving(CPU), "")]
        await lending.__aexit__(None, None, None)
        await at.takes(child, TPU)
        assert await at.until(Returned) == Returned(serving(TPU), None)

    told(story)


def test_a_lent_edge_tpu_without_a_twin_leaves_nothing_to_serve_and_that_is_said() -> None:
    async def story(at: Bench) -> None:
        await at.serving(ALONE)
        async with at.worker.lent() as serves:
            assert serves is False
            assert "nothing serves until that has ended" in at.happened[-1].degraded
        await at.takes(await at.child(), TPU)
        await at.until(Returned)

    told(story)


def test_a_model_on_the_cpu_has_nothing_to_lend() -> None:
    async def story(at: Bench) -> None:
        await at.serving(Offer(CPU))
        async with at.worker.lent() as serves:
            assert serves is True
        assert at.happened == []

    told(story)


def test_rest_ends_the_search_for_a_lost_edge_tpu() -> None:
    async def story(at: Bench) -> None:
        child = await at.serving(PAIR)
        at.tpus.there = False
        child.die(ABORT)
        await at.takes(await at.child(), CPU)
        await at.until(Lost)
        await at.worker.rest()
        looks = len(at.tpus.looks)
        await asyncio.sleep(0.05)
        assert len(at.tpus.looks) == looks

    told(story)


def replace_probation(offer: Offer) -> Offer:
    return Offer(offer.preferred, offer.fallback, on_probation=True)
