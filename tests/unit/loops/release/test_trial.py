import asyncio

import pytest
from msgspec.structs import replace

from agent.core.update.lifecycle import TrialFailed, TrialPassed
from agent.loops.release import trial
from agent.wire.documents import TrialPolicy
from agent.wire.errors import StoreFailed, Unavailable
from agent.wire.ipc import ModelSpec, Prove, ProveFailed, Sampled, Shadow, Shadowed
from agent.wire.reasons import Reason
from agent.wire.topics import sha256
from tests.fakes.children import ScriptedCanary, ScriptedWorker
from tests.scenario.one_device.home import LABELS, manifest
from tests.scenario.one_device.worker import CAT, DOG, FOUND, serving

MANIFEST = manifest("2")
POLICY = TrialPolicy(shadow_frames=6, timeout_s=30.0)
PASSED = TrialPassed(sha256(b"manifest"), 3)
SHADOWED = TrialPassed(sha256(b"manifest"), 3, shadow_frames=6, agreed_frames=6)


class Bench:
    """A worker that serves, a canary that knows its answers, and the candidate's files."""

    def __init__(self, folder):
        self.labels = folder / "labels.txt"
        self.labels.write_bytes(LABELS)
        self.spec = ModelSpec(
            name="cats",
            version="2",
            manifest=sha256(b"manifest"),
            digest=sha256(b"model"),
            model_path=str(folder / "model"),
            labels_path=str(self.labels),
            input=MANIFEST.input,
            output=MANIFEST.output,
        )
        self.worker = ScriptedWorker(serving)
        self.worker.samples = [sampled(n) for n in range(POLICY.shadow_frames)]
        self.canary = ScriptedCanary(FOUND, [shadowed(n) for n in range(POLICY.shadow_frames)])
        self.notes = []

    def prove(self, **changes):
        parts = {
            "spawn": self.canary.spawn,
            "worker": self.worker,
            "spec": self.spec,
            "manifest": MANIFEST,
            "golden_path": "golden",
            "policy": POLICY,
            "healthy_windows": 3,
            "note": lambda name, fields: self.notes.append((name, fields)),
        }
        return asyncio.run(trial.prove(**parts | changes))


def sampled(sequence, predictions=None, invoke_ms=5.0):
    return Sampled(
        sequence=sequence,
        height_px=1,
        width_px=2,
        rgb=bytes([sequence] * 6),
        manifest=sha256(b"running"),
        predictions=predictions or (CAT, DOG)[sequence % 2],
        invoke_ms=invoke_ms,
    )


def shadowed(sequence, predictions=None, invoke_ms=5.0, *, finite=True):
    seen = (CAT, DOG)[sequence % 2] if predictions is None else predictions
    return Shadowed(sequence=sequence, predictions=seen, invoke_ms=invoke_ms, finite=finite)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_candidate_passes_by_its_golden_inputs_and_beside_the_running_model(bench):
    assert bench.prove() == SHADOWED
    shadows = [
        Shadow(sequence=n, height_px=1, width_px=2, rgb=bytes([n] * 6)) for n in range(POLICY.shadow_frames)
    ]
    assert bench.canary.asked == [Prove(model=bench.spec, golden_path="golden"), *shadows]
    proven = {"golden": 1, "load_ms": 10.0, "invoke_p50_ms": 5.0, "delegate": "xnnpack"}
    assert bench.notes == [("trial.proven", proven), ("trial.shadowed", {"frames": 6})]
    assert bench.canary.closed


@pytest.mark.parametrize("changes", [{"worker": None}, {"policy": replace(POLICY, shadow_frames=0)}])
def test_without_a_running_model_or_shadow_frames_the_golden_inputs_decide(bench, changes):
    assert bench.prove(**changes) == PASSED
    assert len(bench.canary.asked) == 1


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (
            ProveFailed(manifest=PASSED.manifest, reason=Reason.CANARY_CRASHED, detail="SIGSEGV"),
            "canary-crashed",
        ),
        (
            ProveFailed(manifest=PASSED.manifest, reason=Reason.CANARY_TIMEOUT, detail="30 s"),
            "canary-timeout",
        ),
        (replace(FOUND, classes=3), "contract-mismatch"),
        (replace(FOUND, labels=3), "labels-mismatch"),
        (replace(FOUND, golden=()), "golden-mismatch"),
        (replace(FOUND, invoke_ms=()), "too-slow"),
    ],
)
def test_a_candidate_that_fails_its_golden_inputs_sees_no_frame(bench, found, reason):
    bench.canary = ScriptedCanary(found)
    ended = bench.prove()
    assert isinstance(ended, TrialFailed)
    assert (ended.manifest, ended.reason) == (PASSED.manifest, reason)
    assert (len(bench.canary.asked), bench.notes, bench.canary.closed) == (1, [], True)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([shadowed(n, CAT) for n in range(6)], Reason.CONSTANT_OUTPUT),
        ([shadowed(n, (CAT, DOG)[(n + 1) % 2]) for n in range(6)], Reason.DISAGREES),
        ([shadowed(n, invoke_ms=50.0) for n in range(6)], Reason.TOO_SLOW),
        ([shadowed(n, finite=n != 3) for n in range(6)], Reason.OUTPUT_NOT_FINITE),
        (
            [
                shadowed(0),
                ProveFailed(manifest=PASSED.manifest, reason=Reason.CANARY_CRASHED, detail="SIGSEGV"),
            ],
            Reason.CANARY_CRASHED,
        ),
    ],
)
def test_a_candidate_that_fails_on_live_frames_is_refused(bench, answers, reason):
    bench.canary = ScriptedCanary(FOUND, answers)
    ended = bench.prove()
    assert isinstance(ended, TrialFailed)
    assert (ended.manifest, ended.reason) == (PASSED.manifest, reason)
    assert bench.canary.closed


def test_a_candidate_that_passes_says_on_how_many_frames_it_agreed(bench):
    bench.canary = ScriptedCanary(FOUND, [shadowed(n, CAT if n == 1 else None) for n in range(6)])
    passed = bench.prove()
    assert (passed.shadow_frames, passed.agreed_frames) == (6, 5)


def test_frames_are_waited_for_as_long_as_it_takes(bench, monkeypatch):
    monkeypatch.setattr(trial, "SAMPLE_TIMEOUT_S", 0.001)
    waited = 0

    async def sample(timeout_s):
        nonlocal waited
        del timeout_s
        waited += 1
        return None if waited % 3 else sampled(waited // 3 - 1)

    bench.worker.sample = sample
    assert bench.prove() == SHADOWED
    assert waited == 18


def test_a_trial_that_is_cancelled_kills_its_canary(bench):
    bench.worker.samples = []

    async def cancelled():
        policy = {"policy": POLICY, "healthy_windows": 3, "note": lambda *_: None}
        proving = asyncio.create_task(
            trial.prove(
                spawn=bench.canary.spawn,
                worker=bench.worker,
                spec=bench.spec,
                manifest=MANIFEST,
                golden_path="golden",
                **policy,
            )
        )
        while not bench.canary.asked:  # noqa: ASYNC110 - the canary is a list of answers, it tells nobody
            await asyncio.sleep(0)
        proving.cancel()
        await asyncio.wait([proving])

    asyncio.run(cancelled())
    assert bench.canary.closed


def test_what_says_nothing_about_the_candidate_is_raised(bench):
    bench.labels.unlink()
    with pytest.raises(StoreFailed, match=r"labels\.txt: No such file"):
        bench.prove()
    assert bench.canary.closed

    async def refuse():
        raise Unavailable("canary cannot be started")

    with pytest.raises(Unavailable):
        bench.prove(spawn=refuse)
