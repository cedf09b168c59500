import asyncio

import pytest
from msgspec.structs import replace

from agent.adapters.tunings_file import TuningsFile
from agent.core.serving import tuning
from agent.core.serving.delegate import DelegateChoice
from agent.core.serving.tuning import Timing, Tuning
from agent.core.update.lifecycle import Fitted
from agent.loops.release.shelf import Engine, Shelf
from agent.loops.release.tuner import Tuner
from agent.wire.documents import Delegate
from agent.wire.errors import StoreFailed
from agent.wire.ipc import EdgeTpu, ProveFailed, Tune, Tuned
from agent.wire.reasons import Reason
from agent.wire.topics import sha256
from tests.fakes.children import ScriptedCanary
from tests.fakes.tunings import MemoryTunings
from tests.scenario.one_device.home import manifest
from tests.scenario.one_device.worker import FOUND

CPU, TPU = sha256(b"x.tflite"), sha256(b"x_edgetpu.tflite")
ALONE = Fitted(
    name="cats", version="1", manifest=sha256(b"m"), variant=CPU, delegate=Delegate.CPU, files=(CPU,)
)
PAIR = replace(ALONE, variant=TPU, delegate=Delegate.EDGETPU, files=(CPU, TPU), twin=CPU)
MANIFEST = manifest("1")


class Paths:
    def path(self, digest):
        return f"/store/{digest}"


class Bench:
    def __init__(self, *, cores=4, wanted=DelegateChoice.AUTO, threads=0, runtime="litert 2"):
        self.memory = MemoryTunings()
        self.canary = ScriptedCanary(FOUND)
        self.tuner = Tuner(self.memory, runtime=runtime, host="pi", cores=cores)
        engine = Engine("auto", threads, wanted, EdgeTpu(device="usb:1"))
        self.shelf = Shelf(Paths(), engine, self.tuner, lambda *_: "it is the only one")

    def measure(self, release, *invoke_ms):
        self.canary.tuned = Tuned(invoke_ms=invoke_ms)
        specs = self.shelf.candidates(release, MANIFEST)
        return asyncio.run(self.tuner.measure(self.canary, release, specs))


def test_a_pair_is_measured_thread_by_thread_and_on_its_edge_tpu_and_remembered():
    bench = Bench()
    bench.measure(PAIR, 9.8, 7.1, 8.0, 2.4)
    [asked] = bench.canary.asked
    assert isinstance(asked, Tune)
    assert [(s.digest, s.threads, s.edgetpu) for s in asked.models] == [
        (CPU, 1, None),
        (CPU, 2, None),
        (CPU, 4, None),
        (TPU, 1, EdgeTpu(device="usb:1")),
    ]
    assert bench.memory.known == (
        Tuning(
            variant=CPU,
            compiled=TPU,
            runtime="litert 2",
            host="pi",
            cpu=(Timing(1, 9.8), Timing(2, 7.1), Timing(4, 8.0)),
            edgetpu_ms=2.4,
        ),
    )


def test_what_was_measured_decides_on_threads_and_is_told():
    bench = Bench()
    assert bench.shelf.offer(ALONE, MANIFEST).preferred.threads == 1
    bench.measure(PAIR, 9.8, 7.1, 8.0, 2.4)
    offer = bench.shelf.offer(PAIR, MANIFEST, on_probation=True)
    assert offer.fallback is not None
    assert (offer.preferred.digest, offer.preferred.threads) == (TPU, 1)
    assert (offer.fallback.digest, offer.fallback.threads, offer.on_probation) == (CPU, 2, True)
    assert offer.fallback.choice == (
        "measured: 2 threads 7.1 ms, 4 threads 8.0 ms, 1 thread 9.8 ms, Edge TPU 2.4 ms"
    )
    assert bench.shelf.offer(ALONE, MANIFEST).preferred.threads == 2


@pytest.mark.parametrize(
    ("wanted", "edgetpu_ms", "serves"),
    [
        (DelegateChoice.AUTO, 2.4, TPU),
        (DelegateChoice.AUTO, 30.0, CPU),
        (DelegateChoice.EDGETPU, 30.0, TPU),
        (DelegateChoice.AUTO, None, TPU),
    ],
)
def test_the_cpu_is_preferred_where_it_is_clearly_faster_and_nobody_insists(wanted, edgetpu_ms, serves):
    bench = Bench(wanted=wanted)
    bench.measure(PAIR, 9.8, 7.1, 8.0, edgetpu_ms)
    offer = bench.shelf.offer(PAIR, MANIFEST)
    assert offer.preferred.digest == serves
    assert (offer.fallback is None) == (serves == CPU)
    assert ("faster here than the Edge TPU" in offer.preferred.choice) == (serves == CPU)


@pytest.mark.parametrize(
    ("bench", "release", "count"),
    [
        (Bench(cores=1), ALONE, 0),
        (Bench(threads=3), ALONE, 0),
        (Bench(threads=3), PAIR, 2),
        (Bench(cores=2), ALONE, 2),
        (Bench(), replace(PAIR, twin=None), 0),
    ],
)
def test_nothing_is_measured_where_there_is_nothing_to_choose(bench, release, count):
    assert len(bench.shelf.candidates(release, MANIFEST)) == count


def test_another_runtime_or_host_asks_for_another_measurement():
    bench = Bench()
    bench.measure(ALONE, 9.8, 7.1, 8.0)
    assert Tuner(bench.memory, runtime="litert 2", host="pi", cores=4).of(ALONE) is not None
    assert Tuner(bench.memory, runtime="litert 3", host="pi", cores=4).of(ALONE) is None
    assert Tuner(bench.memory, runtime="litert 2", host="pc", cores=4).of(ALONE) is None
    asyncio.run(bench.tuner.forget(ALONE))
    assert bench.tuner.of(ALONE) is None


def test_a_measurement_that_failed_is_not_remembered():
    bench = Bench()
    assert bench.measure(ALONE, None, 7.1, 8.0) is None
    bench.canary.tuned = ProveFailed(manifest=ALONE.manifest, reason=Reason.CANARY_CRASHED, detail="")
    specs = bench.shelf.candidates(ALONE, MANIFEST)
    assert asyncio.run(bench.tuner.measure(bench.canary, ALONE, specs)) is None
    assert bench.memory.known == ()


def test_measurements_outlive_a_restart_and_a_damaged_file_is_an_empty_one(tmp_path):
    known = tuning.remember(
        (), Tuning(variant=CPU, compiled=None, runtime="r", host="h", cpu=(Timing(1, 2.5),))
    )
    file = TuningsFile(tmp_path / "state" / "tunings.json")
    assert file.load() == ()
    file.save(known)
    assert TuningsFile(tmp_path / "state" / "tunings.json").load() == known
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["tunings.json"]
    (tmp_path / "state" / "tunings.json").write_bytes(b'[{"variant": \xff')
    assert file.load() == ()


def test_a_disk_that_refuses_is_told(tmp_path):
    (tmp_path / "state").write_text("a file where a folder should be")
    with pytest.raises(StoreFailed, match="could not keep measurements"):
        TuningsFile(tmp_path / "state" / "tunings.json").save(())
