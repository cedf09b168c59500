import asyncio
from datetime import UTC, datetime

import pytest

from agent.loops.keeping.keeper import WorkerKeeper
from agent.wire.ipc import Snap, SnapFailed, Snapped
from tests.fakes.children import ScriptedChild

WANTED = Snap(side_px=64, max_bytes=1_000)
TAKEN = Snapped(
    jpeg=b"\xff\xd8", height_px=48, width_px=64, sequence=3, captured_at=datetime(2026, 6, 1, tzinfo=UTC)
)


class NoChance:
    def random(self) -> float:
        return 0.0


async def ask(say, timeout_s=5.0):
    """What becomes of a request, when the child does what `say` has it do."""
    born: asyncio.Queue[ScriptedChild] = asyncio.Queue()

    async def spawn():
        child = ScriptedChild()
        born.put_nowait(child)
        return child

    keeper = WorkerKeeper(spawn, NoChance())
    running = asyncio.create_task(keeper.run())
    child = await born.get()
    await asyncio.sleep(0)
    asked = asyncio.create_task(keeper.snap(WANTED, timeout_s))
    assert await child.told() == WANTED
    say(child)
    try:
        return await asked
    finally:
        running.cancel()
        await asyncio.wait({running})


@pytest.mark.parametrize("answer", [TAKEN, SnapFailed(detail="no frame yet")])
def test_the_worker_s_answer_is_handed_on(answer):
    assert asyncio.run(ask(lambda child: child.say(answer))) == answer


def test_a_worker_that_does_not_answer_is_not_waited_for():
    failed = asyncio.run(ask(lambda _: None, timeout_s=0.02))
    assert isinstance(failed, SnapFailed)
    assert "within 0.02 s" in failed.detail


def test_without_a_worker_there_is_no_frame():
    async def nobody():
        return await WorkerKeeper(asyncio.Future, NoChance()).snap(WANTED, 5.0)

    assert "started again" in asyncio.run(nobody()).detail
