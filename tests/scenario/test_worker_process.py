"""Over real processes, real pipes, real models."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest
from msgspec.structs import replace

from agent.adapters import child_process
from agent.assemble.children.worker import WorkerSettings
from agent.config import Camera, CameraKind
from agent.loops.keeping.keeper import WorkerKeeper
from agent.ports.children import Observation
from agent.wire.ipc import Findings, ModelSpec, Predicted, Prove, ProveFailed, ServeFailed, Serving, Shadow
from agent.wire.reasons import Reason
from agent.wire.topics import sha256
from tests import models

DEADLINE_S = 20.0
BACK_S = 5.0
"""One second on a machine of its own, which `make test-systemd` measures; this one may be busy."""


class Watch:
    """What a keeper's worker lets be seen."""

    def __init__(self, keeper: WorkerKeeper) -> None:
        self.predicted: list[Predicted] = []
        self.crashes: list[str] = []
        self._seen_at_crash = 0
        self._changed = asyncio.Event()
        keeper.observe(self._see)
        keeper.on_crash(self._crashed)

    def _see(self, seen: Observation) -> None:
        if isinstance(seen, Predicted):
            self.predicted.append(seen)
            self._changed.set()

    def _crashed(self, how: str) -> None:
        self.crashes.append(how)
        self._seen_at_crash = len(self.predicted)

    async def back(self, crashes: int) -> float:
        """Seconds until it predicts again after so many crashes."""
        return await self.until(
            lambda: len(self.crashes) == crashes and len(self.predicted) > self._seen_at_crash
        )

    async def until(self, condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> float:
        """Seconds until the condition held."""
        began = monotonic()
        async with asyncio.timeout(deadline_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()
        return monotonic() - began

    async def more(self, count: int, deadline_s: float = DEADLINE_S) -> float:
        wanted = len(self.predicted) + count
        return await self.until(lambda: len(self.predicted) >= wanted, deadline_s)


@asynccontextmanager
async def kept_worker(rate_fps: float = 20.0) -> AsyncIterator[tuple[WorkerKeeper, Watch]]:
    camera = Camera(kind=CameraKind.REPLAY, folder=str(models.pictures()), rate_fps=rate_fps)
    argv = child_process.command("worker", WorkerSettings(camera=camera))
    keeper = WorkerKeeper(child_process.StartWorker(argv), random.Random(1))
    watch = Watch(keeper)
    task = asyncio.create_task(keeper.run())
    try:
        yield keeper, watch
    finally:
        pid = keeper.pid
        began = monotonic()
        task.cancel()
        await asyncio.wait([task])
        assert monotonic() - began < BACK_S
        assert keeper.pid is None
        assert pid is None or not alive(pid)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def serve(keeper: WorkerKeeper, model: ModelSpec) -> Serving | ServeFailed:
    async with asyncio.timeout(DEADLINE_S):
        return await keeper.serve(model)


def test_a_worker_killed_twenty_times_is_back_each_time_soon() -> None:
    async def story() -> None:
        tiny = models.spec(models.shared(models.TINY))
        async with kept_worker() as (keeper, watch):
            assert isinstance(await serve(keeper, tiny), Serving)
            await watch.more(2)
            for kills in range(1, 21):
                assert keeper.pid is not None
                os.kill(keeper.pid, signal.SIGSEGV)
                assert await watch.back(kills) < BACK_S
            assert keeper.restarts == 20
            assert watch.crashes == ["killed by SIGSEGV"] * 20
            assert {seen.manifest for seen in watch.predicted} == {tiny.manifest}

    asyncio.run(story())


def test_a_swap_drops_no_frame() -> None:
    async def story() -> None:
        first = models.spec(models.shared(models.TINY))
        second = models.spec(models.shared(models.FULL))
        # One a second: other work on the machine may hold a worker up for half of that.
        async with kept_worker(rate_fps=1) as (keeper, watch):
            await serve(keeper, first)
            await watch.more(1)
            for heir in (second, first, second):
                answer = await serve(keeper, heir)
                assert isinstance(answer, Serving)
                await watch.more(2)
                assert watch.predicted[-1].manifest == heir.manifest
            sequences = [seen.sequence for seen in watch.predicted]
            assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
            assert watch.predicted[-1].frames_dropped == 0

    asyncio.run(story())


def test_what_cannot_be_loaded_leaves_the_old_model_serving(tmp_path: Path) -> None:
    async def story() -> None:
        good = models.shared(models.TINY)
        bad = tmp_path / "bad.tflite"
        bad.write_bytes(models.truncated(good.read_bytes()))
        async with kept_worker() as (keeper, watch):
            await serve(keeper, models.spec(good))
            answer = await serve(keeper, models.spec(bad, like=good))
            assert isinstance(answer, ServeFailed)
            assert answer.reason is Reason.LOAD_FAILED
            await watch.more(3)
            assert watch.predicted[-1].manifest == models.spec(good).manifest
            assert keeper.restarts == 0

    asyncio.run(story())


def test_a_model_that_crashes_the_worker_gives_way_to_the_one_before_it(tmp_path: Path) -> None:
    async def story() -> None:
        good = models.shared(models.TINY)
        bad = tmp_path / "bad.tflite"
        bad.write_bytes(models.that_crashes(good.read_bytes()))
        async with kept_worker() as (keeper, watch):
            await serve(keeper, models.spec(good))
            answer = await serve(keeper, models.spec(bad, like=good))
            assert isinstance(answer, ServeFailed)
            assert answer.reason is Reason.WORKER_CRASHED
            assert "SIGSEGV" in answer.detail
            assert await watch.more(1) < BACK_S
            assert watch.predicted[-1].manifest == models.spec(good).manifest

    asyncio.run(story())


def test_a_sample_is_a_frame_with_its_prediction() -> None:
    async def story() -> None:
        async with kept_worker() as (keeper, _):
            await serve(keeper, models.spec(models.shared(models.TINY)))
            sampled = await keeper.sample(5.0)
            assert sampled is not None
            assert len(sampled.rgb) == sampled.height_px * sampled.width_px * 3 == 480 * 640 * 3
            assert len(sampled.predictions) == 5

    asyncio.run(story())


def test_a_worker_whose_supervisor_is_gone_ends() -> None:
    async def story() -> None:
        camera = Camera(kind=CameraKind.PATTERN)
        child = await child_process.StartWorker(
            child_process.command("worker", WorkerSettings(camera=camera))
        )()
        child._stdin.close()
        async with asyncio.timeout(DEADLINE_S):
            assert await child.ended() == "exit status 0"

    asyncio.run(story())


async def ask_canary(question: Prove, timeout_s: float = DEADLINE_S) -> Findings | ProveFailed:
    canary = await child_process.StartCanary(child_process.command("canary"))()
    try:
        return await canary.prove(question, timeout_s)
    finally:
        await canary.close()


def prove(question: Prove, timeout_s: float = DEADLINE_S) -> Findings | ProveFailed:
    return asyncio.run(ask_canary(question, timeout_s))


def test_the_canary_finds_what_a_sound_model_is(tmp_path: Path) -> None:
    path = models.shared(models.TINY)
    model = models.spec(path)
    found = prove(Prove(model=model, golden_path=str(models.golden(path, tmp_path / "golden")), repeats=3))
    assert isinstance(found, Findings)
    assert (found.classes, found.labels, found.contract_fault) == (1001, 1001, None)
    assert [finding.found_top for finding in found.golden] == [
        c[0][0] for c in (f.expected for f in found.golden)
    ]
    assert all(
        abs(score - wanted) < 0.01
        for finding in found.golden
        for score, (_, wanted) in zip(finding.found, finding.expected, strict=True)
    )
    assert len(found.invoke_ms) == 9
    assert all(ms > 0 for ms in found.invoke_ms)


@pytest.mark.parametrize(
    ("maker", "reason", "said"),
    [
        (models.truncated, Reason.LOAD_FAILED, "damaged"),
        (models.that_crashes, Reason.CANARY_CRASHED, "killed by SIGSEGV"),
    ],
)
@pytest.mark.parametrize("runtime", ["litert", "tflite"])
def test_a_hostile_candidate_fails_its_proof(
    tmp_path: Path, runtime: str, maker: Callable[[bytes], bytes], reason: Reason, said: str
) -> None:
    if runtime == "tflite":
        pytest.importorskip("tflite_runtime")
    good = models.shared(models.TINY)
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(maker(good.read_bytes()))
    golden_path = str(models.golden(good, tmp_path / "golden"))
    candidate = replace(models.spec(bad, like=good), runtime=runtime)
    found = prove(Prove(model=candidate, golden_path=golden_path))
    assert isinstance(found, ProveFailed)
    assert found.reason is reason
    assert said in found.detail


def wrong(found: Findings) -> bool:
    return any(finding.found_top != finding.expected[0][0] for finding in found.golden)


def constant(found: Findings) -> bool:
    return len({finding.found_top for finding in found.golden}) == 1


def not_finite(found: Findings) -> bool:
    return not any(finding.finite for finding in found.golden)


@pytest.mark.parametrize(
    ("base", "maker", "shows"),
    [
        (models.TINY, models.with_flipped_weights, wrong),
        (models.TINY, models.with_constant_output, constant),
        (models.TINY_FLOAT, models.with_nan_output, not_finite),
    ],
)
def test_a_candidate_that_runs_and_is_wrong_shows_in_the_findings(
    tmp_path: Path, base: str, maker: Callable[[bytes], bytes], shows: Callable[[Findings], bool]
) -> None:
    good = models.shared(base)
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(maker(good.read_bytes()))
    golden_path = str(models.golden(good, tmp_path / "golden"))
    found = prove(Prove(model=models.spec(bad, like=good), golden_path=golden_path))
    assert isinstance(found, Findings)
    assert shows(found)
    sound = prove(Prove(model=models.spec(good), golden_path=golden_path))
    assert isinstance(sound, Findings)
    assert not shows(sound)


def test_a_file_that_is_not_what_was_signed_never_meets_the_runtime(tmp_path: Path) -> None:
    good = models.shared(models.TINY)
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(models.that_crashes(good.read_bytes()))
    claimed = models.spec(good)
    question = Prove(
        model=replace(claimed, model_path=str(bad)), golden_path=str(models.golden(good, tmp_path / "golden"))
    )
    found = prove(question)
    assert isinstance(found, ProveFailed)
    assert found.reason is Reason.DIGEST_MISMATCH


def test_too_few_labels_show_in_the_findings(tmp_path: Path) -> None:
    path = models.shared(models.TINY)
    labels = models.label_file(tmp_path / "labels.txt", 1000)
    found = prove(
        Prove(
            model=models.spec(path, labels_path=labels),
            golden_path=str(models.golden(path, tmp_path / "golden")),
        )
    )
    assert isinstance(found, Findings)
    assert (found.classes, found.labels) == (1001, 1000)


def test_another_models_contract_shows_in_the_findings(tmp_path: Path) -> None:
    path = models.shared(models.TINY)
    found = prove(
        Prove(
            model=models.spec(path, like=models.shared(models.TINY_INT8)),
            golden_path=str(models.golden(path, tmp_path / "golden")),
        )
    )
    assert isinstance(found, Findings)
    assert found.contract_fault is not None
    assert "uint8" in found.contract_fault
    assert found.golden == ()


def test_a_canary_that_hangs_is_killed_at_the_time_limit(tmp_path: Path) -> None:
    async def story() -> None:
        path = models.shared(models.TINY)
        canary = await child_process.StartCanary(child_process.command("canary"))()
        os.kill(canary._child.pid, signal.SIGSTOP)
        question = Prove(model=models.spec(path), golden_path=str(models.golden(path, tmp_path / "golden")))
        found = await canary.prove(question, 0.3)
        assert isinstance(found, ProveFailed)
        assert found.reason is Reason.CANARY_TIMEOUT
        assert await canary.prove(question, 0.3) == found
        await canary.close()

    asyncio.run(story())


def test_a_canary_shadows_live_frames_after_its_proof(tmp_path: Path) -> None:
    async def story() -> None:
        path = models.shared(models.TINY)
        canary = await child_process.StartCanary(child_process.command("canary"))()
        golden_path = models.golden(path, tmp_path / "golden")
        await canary.prove(
            Prove(model=models.spec(path), golden_path=str(golden_path), repeats=1), DEADLINE_S
        )
        pixels = models.picture("parrot.jpg")
        frame = Shadow(sequence=7, height_px=pixels.shape[0], width_px=pixels.shape[1], rgb=pixels.tobytes())
        seen = await canary.shadow(frame, DEADLINE_S)
        assert not isinstance(seen, ProveFailed)
        assert (seen.sequence, seen.finite, len(seen.predictions)) == (7, True, 5)
        await canary.close()

    asyncio.run(story())


def test_the_digest_of_a_test_model_is_that_of_its_file() -> None:
    path = models.shared(models.TINY)
    assert models.spec(path).digest == sha256(path.read_bytes())
