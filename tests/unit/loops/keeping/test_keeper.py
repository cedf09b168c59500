"""The keeper over processes that only pretend to be some."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from agent.core.serving.failover import Cause
from agent.loops.keeping.keeper import SERVING_DELAY_MAX_S, USELESS_DELAY_MAX_S, Patience, WorkerKeeper
from agent.loops.keeping.life import Death
from agent.wire.documents import Dtype, InputContract, OutputContract
from agent.wire.errors import Unavailable
from agent.wire.ipc import (
    CameraTurned,
    ModelSpec,
    Pace,
    Predicted,
    Sample,
    Sampled,
    Serve,
    ServeFailed,
    Serving,
)
from agent.wire.reasons import Reason
from agent.wire.reports import CameraState, StageLatency
from agent.wire.topics import sha256
from tests.fakes.children import DEADLINE_S, ScriptedChild

PATIENT = Patience(frame_s=60.0, start_s=60.0, load_s=60.0)


class Always:
    """A random number that is none."""

    def __init__(self, chance: float) -> None:
        self._chance = chance

    def random(self) -> float:
        return self._chance


class House:
    """Where the keeper's children come from, and what became of them."""

    def __init__(self, patience: Patience, chance: float) -> None:
        self.children: list[ScriptedChild] = []
        self.refusals: list[Unavailable] = []
        self.crashes: list[str] = []
        self.seen: list[object] = []
        self._born: asyncio.Queue[ScriptedChild] = asyncio.Queue()
        self.keeper = WorkerKeeper(self._spawn, Always(chance), patience=patience)
        self.keeper.observe(self.seen.append)
        self.keeper.on_crash(self.crashes.append)

    async def _spawn(self) -> ScriptedChild:
        if self.refusals:
            raise self.refusals.pop(0)
        child = ScriptedChild(pid=100 + len(self.children))
        self.children.append(child)
        self._born.put_nowait(child)
        return child

    async def child(self) -> ScriptedChild:
        """The next process that is started."""
        async with asyncio.timeout(DEADLINE_S):
            return await self._born.get()

    async def serving(self, child: ScriptedChild, model: ModelSpec) -> None:
        """Bring the model to serve in this child."""
        order = asyncio.create_task(self.keeper.serve(model))
        told = await child.told()
        assert isinstance(told, Serve)
        assert told.model == model
        child.say(serving(model), predicted(model))
        assert await order == serving(model)

    async def begun(self) -> ScriptedChild:
        """The first process, which serves A."""
        child = await self.child()
        await self.serving(child, A)
        return child

    async def changing(self) -> tuple[ScriptedChild, "asyncio.Task[Serving | ServeFailed]"]:
        """The first process, which serves A and was told to serve B, and the order."""
        child = await self.begun()
        order = asyncio.create_task(self.keeper.serve(B))
        await child.told()
        return child, order


def spec(name: str) -> ModelSpec:
    return ModelSpec(
        name=name,
        version="1",
        manifest=sha256(name.encode()),
        digest=sha256(name.upper().encode()),
        model_path=name,
        labels_path=None,
        input=InputContract(height_px=1, width_px=1, channels=3, dtype=Dtype.UINT8),
        output=OutputContract(classes=1, dtype=Dtype.UINT8),
    )


A, B = spec("a"), spec("b")


def serving(model: ModelSpec) -> Serving:
    return Serving(
        manifest=model.manifest,
        digest=model.digest,
        delegate="cpu",
        delegate_reason="",
        runtime="",
        load_ms=1.0,
        gap_ms=0.0,
    )


def failed(model: ModelSpec) -> ServeFailed:
    return ServeFailed(manifest=model.manifest, digest=model.digest, reason=Reason.LOAD_FAILED, detail="no")


def predicted(model: ModelSpec) -> Predicted:
    return Predicted(
        manifest=model.manifest,
        sequence=0,
        frame="",
        captured_at=datetime(2026, 1, 1, tzinfo=UTC),
        predictions=(),
        latency_ms=StageLatency(capture=0, pre=0, invoke=0, post=0, age=0),
        frames=1,
        frames_dropped=0,
    )


def sampled(model: ModelSpec) -> Sampled:
    return Sampled(
        sequence=0,
        height_px=1,
        width_px=1,
        rgb=b"\0\0\0",
        manifest=model.manifest,
        predictions=(),
        invoke_ms=1,
    )


@asynccontextmanager
async def house(patience: Patience, chance: float) -> AsyncIterator[House]:
    built = House(patience, chance)
    task = asyncio.create_task(built.keeper.run())
    try:
        yield built
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert all(child.closed for child in built.children)
    assert built.keeper.pid is None


def told(
    story: Callable[[House], Awaitable[None]], *, patience: Patience = PATIENT, chance: float = 0.0
) -> None:
    async def tell() -> None:
        async with house(patience, chance) as built:
            async with asyncio.timeout(DEADLINE_S):
                await story(built)

    asyncio.run(tell())


def test_a_crashed_worker_serves_again_what_it_served() -> None:
    async def story(at: House) -> None:
        child = await at.child()
        assert at.keeper.pid == child.pid
        await at.serving(child, A)
        for crashes in range(1, 4):
            child.die("killed by SIGSEGV")
            child = await at.child()
            assert await child.told() == Serve(model=A)
            assert at.crashes == ["killed by SIGSEGV"] * crashes
            assert at.keeper.restarts == crashes
            child.say(serving(A), predicted(A))

    told(story)


def test_messages_reach_every_observer_in_order() -> None:
    async def story(at: House) -> None:
        child = await at.begun()
        messages = [
            CameraTurned(state=CameraState.LOST, detail="x"),
            CameraTurned(state=CameraState.LIVE),
            predicted(A),
        ]
        child.say(*messages, sampled(A))
        child.die("exit status 1")
        await at.child()
        assert at.seen == [predicted(A), *messages]

    told(story)


def test_a_model_that_fails_to_load_leaves_the_one_before_it_for_the_next_start() -> None:
    async def story(at: House) -> None:
        child, order = await at.changing()
        child.say(failed(B))
        assert await order == failed(B)
        child.die("exit status 1")
        assert await (await at.child()).told() == Serve(model=A)

    told(story)


def test_a_crash_beside_a_running_model_is_not_blamed_on_the_one_that_loads() -> None:
    async def story(at: House) -> None:
        child, order = await at.changing()
        child.die("killed by SIGSEGV")
        child = await at.child()
        assert await child.told() == Serve(model=B)
        child.say(serving(B))
        assert await order == serving(B)
        child.die("killed by SIGSEGV")
        assert await (await at.child()).told() == Serve(model=B)

    told(story)


def test_a_model_that_crashes_the_worker_alone_has_failed() -> None:
    async def story(at: House) -> None:
        child, order = await at.changing()
        child.die("killed by SIGSEGV")
        child = await at.child()
        await child.told()
        child.die("killed by SIGABRT")
        answer = await order
        assert isinstance(answer, ServeFailed)
        assert (answer.manifest, answer.reason) == (B.manifest, Reason.WORKER_CRASHED)
        assert "SIGABRT" in answer.detail
        assert await (await at.child()).told() == Serve(model=A)

    told(story)


def test_a_model_that_fails_alone_after_a_crash_gives_way_to_the_one_before_it() -> None:
    async def story(at: House) -> None:
        child, order = await at.changing()
        child.die("killed by SIGSEGV")
        child = await at.child()
        await child.told()
        child.say(failed(B))
        assert await order == failed(B)
        assert await child.told() == Serve(model=A)

    told(story)


def test_a_worker_that_cannot_serve_again_is_started_anew() -> None:
    async def story(at: House) -> None:
        child = await at.begun()
        child.die("exit status 1")
        child = await at.child()
        await child.told()
        child.say(failed(A))
        assert await (await at.child()).told() == Serve(model=A)
        assert at.crashes == ["exit status 1", "cannot serve a 1 again: no"]

    told(story)


@pytest.mark.parametrize(
    ("patience", "said"),
    [
        (Patience(frame_s=0.05), "hung: no prediction for 0.05 s"),
        (Patience(frame_s=60.0, load_s=0.05), "hung: a new model was not loaded within 0.05 s"),
    ],
)
def test_a_hung_worker_is_killed_and_counts_as_a_crash(patience: Patience, said: str) -> None:
    async def story(at: House) -> None:
        child = await at.begun()
        if patience.load_s < 1:
            order = asyncio.create_task(at.keeper.serve(B))
            await child.told()
            child.say(predicted(A))
            child = await at.child()
            await child.told()
            child.say(serving(B))
            assert await order == serving(B)
        else:
            await at.child()
        assert at.crashes == [said]

    told(story, patience=patience)


def test_a_worker_that_never_gets_its_model_back_is_hung() -> None:
    async def story(at: House) -> None:
        child = await at.begun()
        child.die("exit status 1")
        await at.child()
        await at.child()
        assert at.crashes == ["exit status 1", "hung: its model was not loaded within 0.05 s"]

    told(story, patience=Patience(start_s=0.05))


def test_silence_is_no_fault_while_the_camera_is_lost_or_nothing_is_served() -> None:
    async def story(at: House) -> None:
        child = await at.child()
        await asyncio.sleep(0.1)
        await at.serving(child, A)
        child.say(CameraTurned(state=CameraState.LOST, detail="unplugged"))
        await asyncio.sleep(0.1)
        assert at.crashes == []
        child.say(CameraTurned(state=CameraState.LIVE))
        await at.child()
        assert at.crashes == ["hung: no prediction for 0.05 s"]

    told(story, patience=Patience(frame_s=0.05))


def test_a_first_load_that_hangs_is_noticed() -> None:
    async def story(at: House) -> None:
        child = await at.child()
        answer = await at.keeper.serve(A)
        assert isinstance(answer, ServeFailed)
        assert "not loaded within 0.05 s" in answer.detail
        assert child.closed

    told(story, patience=Patience(load_s=0.05))


def test_an_order_waits_for_a_worker_to_come_and_does_not_wait_for_its_backoff() -> None:
    async def story(at: House) -> None:
        for _ in range(12):
            (await at.child()).die("exit status 1")
            if at.keeper._useless_lives >= 11:
                break
            at.keeper._ordered.set()
        at.keeper._ordered.clear()
        order = asyncio.create_task(at.keeper.serve(A))
        child = await at.child()
        assert await child.told() == Serve(model=A)
        child.say(serving(A))
        assert await order == serving(A)

    told(story, chance=1.0)


def test_a_worker_that_cannot_be_started_is_tried_again() -> None:
    async def story(at: House) -> None:
        child = await at.child()
        at.refusals.append(Unavailable("worker cannot be started: no memory"))
        child.die("exit status 1")
        await at.child()
        assert at.crashes == ["exit status 1", "worker cannot be started: no memory"]

    told(story)


@pytest.mark.parametrize(
    ("useless", "crashes", "most_s"),
    [
        (0, 1, 0.0),
        (0, 2, 0.25),
        (0, 3, SERVING_DELAY_MAX_S),
        (0, 1000, SERVING_DELAY_MAX_S),
        (1, 1, 0.0),
        (2, 2, 0.25),
        (3, 3, 0.5),
        (9, 9, USELESS_DELAY_MAX_S),
        (5000, 5000, USELESS_DELAY_MAX_S),
    ],
)
def test_restarts_are_jittered_within_bounds(useless: int, crashes: int, most_s: float) -> None:
    async def story(at: House) -> None:
        at.keeper._useless_lives, at.keeper._crashes = useless, crashes
        assert at.keeper._delay_s() == most_s

    told(story, chance=1.0)


def test_a_sample_is_the_next_one_that_comes_for_all_who_wait() -> None:
    async def story(at: House) -> None:
        child = await at.begun()
        waiting = [asyncio.create_task(at.keeper.sample(DEADLINE_S)) for _ in range(2)]
        assert [await child.told(), await child.told()] == [Sample(), Sample()]
        child.say(sampled(A))
        assert await asyncio.gather(*waiting) == [sampled(A), sampled(A)]

    told(story)


def test_a_sample_outlives_a_crash() -> None:
    async def story(at: House) -> None:
        child = await at.begun()
        waiting = asyncio.create_task(at.keeper.sample(DEADLINE_S))
        await child.told()
        child.die("killed by SIGSEGV")
        child = await at.child()
        assert [await child.told(), await child.told()] == [Serve(model=A), Sample()]
        child.say(sampled(A))
        assert await waiting == sampled(A)

    told(story)


def test_no_sample_in_time_is_none() -> None:
    async def story(at: House) -> None:
        await at.child()
        assert await at.keeper.sample(0.01) is None

    told(story)


def test_a_paused_worker_is_not_taken_for_hung_and_a_fresh_one_is_paused_too() -> None:
    async def story(at: House) -> None:
        child = await at.begun()
        at.keeper.pace(Pace(fps_max=0.0))
        assert await child.told() == Pace(fps_max=0.0)
        await asyncio.sleep(0.1)
        assert at.crashes == []
        child.die("killed by SIGSEGV")
        child = await at.child()
        assert [await child.told(), await child.told()] == [Pace(fps_max=0.0), Serve(model=A)]
        child.say(serving(A))
        await asyncio.sleep(0.1)
        assert at.crashes == ["killed by SIGSEGV"]
        at.keeper.pace(Pace())
        assert (await at.child()).pid != child.pid
        assert at.crashes[-1] == "hung: no prediction for 0.05 s"

    told(story, patience=Patience(frame_s=0.05, start_s=60.0, load_s=60.0))


def test_a_camera_whose_driver_hangs_costs_the_process_and_blames_no_model() -> None:
    async def story(at: House) -> None:
        deaths: list[Death] = []
        at.keeper.on_death(deaths.append)
        child = await at.child()
        order = asyncio.create_task(at.keeper.serve(A))
        assert await child.told() == Serve(model=A)
        child.say(CameraTurned(state=CameraState.FROZEN, detail="no answer for 6 s", stuck=True))
        child = await at.child()
        assert await child.told() == Serve(model=A)
        child.say(serving(A))
        assert await order == serving(A)
        assert [(death.how, death.cause) for death in deaths] == [
            ("the camera hangs: no answer for 6 s", Cause.CAMERA)
        ]

    told(story)
