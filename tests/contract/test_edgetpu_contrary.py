"""Another libedgetpu than the simulated one, that breaks in ways of its own: whoever meets it stays whole."""

import asyncio
import json
import resource
import shutil
import subprocess
import sys

import pytest
from msgspec.structs import replace

from agent.adapters import child_process
from agent.adapters.child_process import StartCanary, StartWorker, command
from agent.adapters.edgetpu import process
from agent.assemble.children.worker import WorkerSettings
from agent.assemble.edgetpu import accelerator
from agent.config import Camera, CameraKind
from agent.core.edgetpu.words import Trouble
from agent.wire.ipc import EdgeTpu, Findings, Prove, ProveFailed, Serve, ServeFailed, Serving
from agent.wire.reasons import Reason
from tests.edgetpu_sim.simulator import FLAGS, SOURCE
from tests.models import TINY, golden, shared, spec

COMPILED = TINY.replace(".tflite", "_edgetpu.tflite")
LIMIT_S = 20.0


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to build another libedgetpu with: apt install gcc")
    out = tmp_path_factory.mktemp("contrary") / "libedgetpu.so.1"
    source = SOURCE.with_name("contrary.c")
    subprocess.run([compiler, *FLAGS, "-o", str(out), str(source)], check=True, capture_output=True)
    return str(out)


class Contrary:
    def __init__(self, library, folder):
        self.edgetpu = EdgeTpu(library=library)
        self.mode = folder / "mode"
        self.spec = replace(spec(shared(COMPILED), like=shared(TINY)), edgetpu=self.edgetpu)
        self._folder = folder

    def be(self, mode):
        self.mode.write_text(mode)

    def look(self):
        return asyncio.run(accelerator().look(self.edgetpu, opening=True))

    def prove(self):
        path = str(golden(shared(TINY), self._folder / "golden"))

        async def ask():
            canary = await StartCanary(command("canary"))()
            try:
                return await canary.prove(Prove(model=self.spec, golden_path=path, repeats=1), LIMIT_S)
            finally:
                await canary.close()

        return asyncio.run(ask())


@pytest.fixture
def contrary(library, tmp_path, monkeypatch):
    made = Contrary(library, tmp_path)
    monkeypatch.setenv("SHOAL_CONTRARY", str(made.mode))
    return made


@pytest.mark.parametrize(
    ("mode", "opened", "words"),
    [
        ("zeros", True, None),
        ("spam", True, None),
        ("report", False, ""),
        ("abort", False, "SIGABRT"),
        ("exit", False, "exit status 1"),
        ("endless", False, "no answer within 8 s"),
    ],
)
def test_a_look_tells_what_became_of_it(contrary, monkeypatch, mode, opened, words):
    monkeypatch.setattr(process, "OPEN_MAX_S", 8.0 if mode == "endless" else LIMIT_S)
    contrary.be(mode)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sight = contrary.look()
    assert sight.opened is opened
    assert sight.names == ("usb:0",)
    if words is not None:
        assert isinstance(sight.finding, Trouble)
        assert words in str(sight.finding)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 8 * 1024


@pytest.mark.parametrize(
    ("mode", "reason", "words"),
    [
        ("report", Reason.NEEDS_EDGETPU, "does not feel like it"),
        ("abort", Reason.CANARY_CRASHED, "SIGABRT"),
        ("exit", Reason.CANARY_CRASHED, "exit status 1"),
        ("untouched", Reason.LOAD_FAILED, "edgetpu-custom-op"),
        ("invoke-error", Reason.LOAD_FAILED, "does not run"),
        ("invoke-exit", Reason.CANARY_CRASHED, "exit status 1"),
        ("invoke-abort", Reason.CANARY_CRASHED, "SIGABRT"),
    ],
)
def test_a_canary_that_meets_it_tells_how_it_failed(contrary, mode, reason, words):
    contrary.be(mode)
    failed = contrary.prove()
    assert isinstance(failed, ProveFailed), failed
    assert (failed.reason, words in failed.detail) == (reason, True), failed
    assert "\n" not in failed.detail


@pytest.mark.parametrize("mode", ["zeros", "spam", "destroy"])
def test_a_canary_that_it_serves_tells_what_it_answered(contrary, mode):
    contrary.be(mode)
    found = contrary.prove()
    assert isinstance(found, Findings), found
    assert {score for case in found.golden for score in case.found} == {0.0}


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("report", "does not feel like it"),
        ("abort", "SIGABRT"),
        ("exit", "status 1"),
        ("invoke-error", ""),
        ("invoke-exit", "status 1"),
        ("untouched", "edgetpu-custom-op"),
    ],
)
def test_the_desk_says_it_in_one_line(contrary, mode, words):
    contrary.be(mode)
    done = classify(contrary)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert words in done.stderr


@pytest.mark.parametrize("mode", ["zeros", "spam"])
def test_the_desk_hears_nothing_of_its_chatter(contrary, mode):
    contrary.be(mode)
    done = classify(contrary)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["delegate"] == "edgetpu"


def classify(contrary):
    picture = shared("images") / "parrot.jpg"
    return subprocess.run(
        [
            sys.executable, "-P", "-m", "agent", "classify", "--json", "--model", contrary.spec.model_path,
            "--edgetpu", "--edgetpu-library", contrary.edgetpu.library, str(picture),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )  # fmt: skip


def test_a_worker_outlives_its_chatter_and_only_some_of_it_is_logged(contrary, caplog):
    contrary.be("spam")
    settings = WorkerSettings(camera=Camera(kind=CameraKind.PATTERN))

    async def serve():
        worker = await StartWorker(command("worker", settings))()
        try:
            worker.send(Serve(model=contrary.spec))
            async with asyncio.timeout(LIMIT_S):
                while not isinstance(answer := await worker.receive(), Serving | ServeFailed):
                    assert answer is not None
            return answer
        finally:
            await worker.close()

    with caplog.at_level("INFO"):
        answer = asyncio.run(serve())
    assert isinstance(answer, Serving)
    assert answer.delegate == "edgetpu"
    lines = [record for record in caplog.records if record.msg == "child.stderr"]
    assert len(lines) <= child_process.LINES_MAX
