from agent.loops.telling.pacer import Limit, Pacer
from agent.wire.ipc import Pace, ServeFailed
from agent.wire.reasons import Reason
from tests.fakes.children import ScriptedWorker


def scene() -> tuple[Pacer, ScriptedWorker]:
    worker = ScriptedWorker(
        lambda model: ServeFailed(
            manifest=model.manifest, digest=model.digest, reason=Reason.LOAD_FAILED, detail=""
        )
    )
    return Pacer(worker), worker


def test_a_limit_and_its_end_reach_the_worker() -> None:
    pacer, worker = scene()
    pacer.hold(Limit(7.5, "hot"))
    pacer.hold(Limit())
    assert worker.paces == [Pace(fps_max=7.5), Pace()]


def test_the_heat_does_not_undo_a_pause_nor_a_pause_the_limit() -> None:
    pacer, worker = scene()
    pacer.pause()
    pacer.hold(Limit(7.5, "hot"))
    assert (pacer.paused, pacer.limit.fps_max) == (True, 0.0)
    assert worker.paces == [Pace(fps_max=0.0)]
    pacer.resume()
    assert worker.paces[-1] == Pace(fps_max=7.5)
    assert (pacer.paused, pacer.limit) == (False, Limit(7.5, "hot"))
