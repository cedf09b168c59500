"""A release that falls ill after its activation goes back; evidence outlives a restart."""

import pytest
from msgspec.structs import replace

from agent.core.update.known_bad import Bad
from agent.core.update.lifecycle import Idle, Probation
from agent.wire.ipc import InvokeFailed, ModelSpec, ServeFailed
from agent.wire.reasons import Reason
from agent.wire.reports import Outcome, Phase
from tests.scenario.one_device.home import PROBATION
from tests.scenario.one_device.life import living, run
from tests.scenario.one_device.worker import CAT, refusing
from tests.scenario.update.steps import on_probation, order_two


def crash(device):
    device.worker.crash("killed by SIGSEGV")


def slow(device):
    for _ in range(3):
        device.worker.frame(device.home.clock, invoke_ms=500.0)


def constant(device):
    for _ in range(3):
        device.worker.frame(device.home.clock, answer=CAT)


def failing(device):
    manifest = device.home.fitted("2").manifest
    for sequence in range(3):
        device.worker.see(InvokeFailed(manifest=manifest, sequence=sequence, detail="no"))


@pytest.mark.parametrize(
    ("illness", "reason"),
    [
        (crash, Reason.WORKER_CRASHED),
        (slow, Reason.SLOWED_DOWN),
        (constant, Reason.CONSTANT_OUTPUT),
        (failing, Reason.INVOKE_ERRORS),
    ],
)
def test_a_release_that_falls_ill_on_probation_is_taken_back_and_not_tried_again(home, illness, reason):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            for _ in range(6):
                device.worker.frame(home.clock)
            await on_probation(device)
            device.service._window = type(device.service._window)()
            illness(device)
            await device.until(lambda: device.runs == "1")
            await device.quiet()
            second = home.fitted("2")
            assert device.record.last is not None
            assert (device.record.last.outcome, device.record.last.reason) == (Outcome.REVERTED, reason)
            assert device.record.known_bad == (Bad(second.variant, reason),)
            assert device.record.state == Idle(active=home.fitted("1"))
            assert home.ended()[-1] == ("2", "reverted", reason)
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.KNOWN_BAD)
            before = home.chunks_delivered
            home.order(9, stable="1", candidate="2")
            await device.looks_again()
            assert (device.runs, home.chunks_delivered) == ("1", before)
            assert not device.store.path(second.variant).exists()

    run(life())


def test_a_first_release_that_fails_leaves_the_worker_at_rest(home):
    async def life():
        async with living(home) as device:
            await device.until(lambda: device.runs == "1")
            device.worker.crash()
            await device.until(lambda: device.runs is None)
            await device.quiet()
            assert (device.record.state, home.report.active) == (Idle(), None)
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.KNOWN_BAD)

    run(life())


def test_a_candidate_that_the_worker_cannot_take_over_goes_back(home):
    async def life():
        home.publish("2")
        async with living(home, answer=refusing(home.fitted("2").variant)) as device:
            await device.commits("1")
            order_two(home, device)
            device.update.poke()
            await device.until(lambda: device.record.last is not None and device.record.last.version == "2")
            await device.quiet()
            assert home.ended()[-1] == ("2", "reverted", Reason.ACTIVATION_FAILED)
            assert device.runs == "1"

    run(life())


def test_a_program_whose_workers_die_costs_a_device_its_first_release_neither_now_nor_afterwards(home):
    async def life():
        async with living(home, program="0.1.0") as device:
            await device.until(lambda: device.runs == "1")
        first = home.fitted("1")
        async with living(home, program="0.2.0", answer=refusing(first.variant)) as device:
            await device.until(lambda: len(device.worker.offers) > 2)
            assert isinstance(device.record.state, Probation)
        async with living(home, program="0.1.0") as device:
            await device.commits("1")
        assert [outcome for _, outcome, _ in home.ended()] == ["committed"]

    run(life())


def dying(model: ModelSpec) -> ServeFailed:
    reason, detail = Reason.WORKER_CRASHED, "exit status 1"
    return ServeFailed(manifest=model.manifest, digest=model.digest, reason=reason, detail=detail)


def test_a_program_whose_workers_die_costs_a_device_not_even_a_download_of_what_it_has_committed(home):
    async def life():
        async with living(home, program="0.1.0") as device:
            await device.commits("1")
        delivered = home.chunks_delivered
        async with living(home, program="0.2.0", answer=dying) as device:
            await device.until(lambda: len(device.worker.offers) > 2)
        async with living(home, program="0.1.0") as device:
            await device.until(lambda: device.runs == "1")
            await device.quiet()
        assert home.chunks_delivered == delivered
        assert [outcome for _, outcome, _ in home.ended()] == ["committed"]

    run(life())


def test_a_release_that_failed_under_one_program_is_tried_again_under_the_next(home):
    async def life():
        async with living(home, program="0.1.0") as device:
            await device.until(lambda: device.runs == "1")
            device.worker.crash()
            await device.until(lambda: home.report.reason is Reason.KNOWN_BAD)
        async with living(home, program="0.1.1") as device:
            await device.commits("1")

    run(life())


@pytest.mark.parametrize("clean", [True, False])
def test_evidence_survives_a_restart_on_probation(home, clean):
    async def life():
        async with living(home) as device:
            await device.commits("1")
        async with living(home, clean=clean) as device:
            await device.until(lambda: device.runs == "1")
            await on_probation(device, probation=replace(PROBATION, healthy_windows=50))
            await device.until(lambda: device.record.state.good > 3, frames=True)
            good = device.record.state.good
        async with living(home) as device:
            await device.until(lambda: device.runs == "2")
            assert isinstance(device.record.state, Probation)
            assert device.record.state.good >= good
            assert device.record.state.unclean_starts == (0 if clean else 1)
            await device.commits("2")

    run(life())


def test_a_second_unclean_start_on_probation_takes_the_release_back(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
        async with living(home, clean=False) as device:
            await device.until(lambda: device.runs == "1")
            await on_probation(device)
        async with living(home, clean=False) as device:
            await device.until(lambda: device.runs == "2")
        async with living(home) as device:
            await device.until(lambda: home.report.reason is Reason.KNOWN_BAD)
            assert device.runs == "1"
            assert home.ended()[-1] == ("2", "reverted", Reason.RESTARTED_IN_PROBATION)

    run(life())
