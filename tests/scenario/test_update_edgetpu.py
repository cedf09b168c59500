"""Updates on a device with an Edge TPU, whose worker and canaries are scripted."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.core.update.lifecycle import Fitted, Idle, Probation
from agent.ports.children import Lost, Returned, StoodIn
from agent.wire.ipc import Findings, GoldenFinding, ModelSpec, Prove, ProveFailed, ServeFailed, Serving
from agent.wire.reasons import Reason
from agent.wire.topics import Digest
from tests.fakes.children import ScriptedCanary
from tests.scenario.one_device.home import Home
from tests.scenario.one_device.life import Life, host
from tests.scenario.one_device.worker import FOUND, serving

CRASHED = ProveFailed(manifest=Digest("0" * 64), reason=Reason.CANARY_CRASHED, detail="killed by SIGABRT")
WRONG = GoldenFinding(expected=((0, 0.9),), found_top=1, found=(0.1,), finite=True)


def proofs(canary: ScriptedCanary) -> list[Prove]:
    return [asked for asked in canary.asked if isinstance(asked, Prove)]


def lived(
    home: Home,
    story: Callable[[Life], Awaitable[None]],
    *,
    edgetpu: bool = True,
    answer: Callable[[ModelSpec], Serving | ServeFailed] = serving,
) -> None:
    async def live() -> None:
        life = Life(home, edgetpu=edgetpu, answer=answer)
        life.start()
        await story(life)
        await life.stop()

    asyncio.run(live())


def active(life: Life) -> Fitted | None:
    state = life.record.state
    return state.active if isinstance(state, Idle) else None


async def settles_on(life: Life, variant: Digest) -> Fitted:
    """Until this file has been committed."""
    await life.until(lambda: (now := active(life)) is not None and now.variant == variant, frames=True)
    found = active(life)
    assert found is not None
    return found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_pair_is_fetched_whole_proven_on_a_lent_edge_tpu_and_offered_with_its_twin(home: Home) -> None:
    cpu, tpu = home.publish_pair("1")
    home.order(1, stable="1")

    async def story(life: Life) -> None:
        release = await settles_on(life, tpu)
        assert release.twin == cpu
        assert {cpu, tpu} <= set(release.files)
        assert life.worker.lends == 1
        [offer] = life.worker.offers
        assert offer.on_probation
        assert offer.fallback is not None
        assert (offer.preferred.digest, offer.fallback.digest) == (tpu, cpu)
        assert all(life.store.verify(digest) for digest in release.files)
        assert [canary.asked[0].model.digest for canary in life.canaries] == [cpu, tpu]

    lived(home, story)


@pytest.mark.parametrize(("there", "reason"), [(True, Reason.CANARY_CRASHED), (False, Reason.NEEDS_EDGETPU)])
def test_a_compiled_variant_that_fails_its_trial_leaves_the_twin_to_be_tried(
    home: Home, there: bool, reason: Reason
) -> None:
    cpu, tpu = home.publish_pair("1")
    home.order(1, stable="1")

    async def story(life: Life) -> None:
        life.tpus.there = there
        life.proved_otherwise = {tpu: CRASHED}
        await life.until(lambda: life.record.last is not None)
        assert life.record.last is not None
        assert life.record.last.reason is reason
        assert [(bad.digest, bad.reason) for bad in life.record.known_bad] == [(tpu, reason)]
        assert (await settles_on(life, cpu)).twin is None

    lived(home, story)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        pytest.param(CRASHED, Reason.CANARY_CRASHED, id="it crashes"),
        pytest.param(replace(FOUND, golden=(WRONG,)), Reason.GOLDEN_MISMATCH, id="it answers wrongly"),
        pytest.param(replace(FOUND, classes=3), Reason.CONTRACT_MISMATCH, id="it has other tensors"),
    ],
)
def test_a_pair_whose_twin_could_not_stand_in_is_refused_whole(
    home: Home, found: Findings | ProveFailed, reason: Reason
) -> None:
    home.publish("1")
    home.order(1, stable="1")
    cpu, tpu = home.publish_pair("2")

    async def story(life: Life) -> None:
        await life.commits("1")
        life.proved_otherwise = {cpu: found}
        home.order(2, stable="1", candidate="2")
        life.update.poke()
        await life.until(lambda: life.record.last is not None and life.record.last.version == "2")
        await life.quiet()
        assert life.record.last is not None
        assert life.record.last.reason is reason
        assert "stand in" in life.record.last.detail
        assert [bad.digest for bad in life.record.known_bad] == [home.ref("2").manifest]
        assert life.worker.lends == 0
        assert not any(ask.model.digest == tpu for canary in life.canaries for ask in proofs(canary))
        assert life.runs == "1"

    lived(home, story)


def test_an_edge_tpu_that_is_plugged_in_later_fits_the_running_release_anew(home: Home) -> None:
    cpu, tpu = home.publish_pair("1")
    home.order(1, stable="1")

    async def story(life: Life) -> None:
        await settles_on(life, cpu)
        life.tpus.there = True
        life.update.equip(host(edgetpu=True))
        await settles_on(life, tpu)
        life.update.equip(host(edgetpu=False))
        await life.quiet()
        release = active(life)
        assert release is not None
        assert release.variant == tpu

    lived(home, story, edgetpu=False)


@pytest.mark.parametrize(
    ("edgetpu", "words"),
    [
        (True, "there is an Edge TPU here, but no variant compiled for it: compile the model to use it"),
        (False, "the CPU variant; no Edge TPU here"),
    ],
)
def test_a_release_for_the_cpu_says_what_compiling_it_would_gain(
    home: Home, edgetpu: bool, words: str
) -> None:
    home.publish("1")
    home.order(1, stable="1")

    async def story(life: Life) -> None:
        await life.commits("1")
        assert life.worker.offers[0].preferred.choice == words

    lived(home, story, edgetpu=edgetpu)


def test_what_stands_in_is_no_evidence_and_a_loss_takes_nothing_back(home: Home) -> None:
    _, tpu = home.publish_pair("1")
    home.order(1, stable="1")

    async def story(life: Life) -> None:
        await life.until(lambda: isinstance(life.record.state, Probation))
        life.worker.tell(StoodIn(None, "the Edge TPU is gone"))
        life.worker.tell(Lost("gone", stands_in=True))
        for _ in range(100):
            life.worker.frame(home.clock, invoke_ms=500.0)
        await life.quiet()
        assert isinstance(life.record.state, Probation)
        assert home.report.degraded == "the Edge TPU is gone"
        life.worker.tell(Returned(None, 4.0))
        await settles_on(life, tpu)
        assert home.report.degraded == ""
        assert [e.name for e in home.events if e.name.startswith("edgetpu")] == [
            "edgetpu.lost",
            "edgetpu.back",
        ]

    lived(home, story)


def test_a_release_without_a_twin_that_loses_its_edge_tpu_on_probation_makes_way(home: Home) -> None:
    home.publish("1")
    home.order(1, stable="1")
    _, tpu = home.publish_pair("2")

    async def story(life: Life) -> None:
        await life.commits("1")
        made = home.manifests["2"]
        home.publish("3", variants=made.variants[1:])
        home.order(2, stable="1", candidate="3")
        life.update.poke()
        await life.until(lambda: isinstance(life.record.state, Probation) and life.runs == "3")
        life.worker.tell(Lost("gone", stands_in=False))
        await life.until(lambda: life.record.known_bad)
        await life.until(lambda: life.runs == "1")
        assert [(bad.digest, bad.reason) for bad in life.record.known_bad] == [(tpu, Reason.NEEDS_EDGETPU)]

    lived(home, story)


def test_a_committed_release_that_waits_for_its_edge_tpu_keeps_its_place(home: Home) -> None:
    _, tpu = home.publish_pair("1")
    home.publish("2", variants=home.manifests["1"].variants[1:])
    home.order(1, stable="2")

    def without(model: ModelSpec) -> ServeFailed:
        return ServeFailed(
            manifest=model.manifest, digest=model.digest, reason=Reason.NEEDS_EDGETPU, detail="gone"
        )

    async def first(life: Life) -> None:
        await settles_on(life, tpu)

    async def again(life: Life) -> None:
        await life.until(lambda: life.worker.offers)
        await life.quiet()
        assert active(life) is not None

    lived(home, first)
    lived(home, again, edgetpu=False, answer=without)
