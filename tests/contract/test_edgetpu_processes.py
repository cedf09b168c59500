"""The simulated library inside the real canary process, in its cage."""

import asyncio

from msgspec.structs import replace

from agent.adapters.child_process import StartCanary, command
from agent.wire.ipc import Findings, Prove, ProveFailed
from tests.models import TINY, golden, shared, spec

COMPILED = TINY.replace(".tflite", "_edgetpu.tflite")


def prove(edgetpus, tmp_path):
    candidate = replace(
        spec(shared(COMPILED), like=shared(TINY)), edgetpu=edgetpus.edgetpu(), runtime="litert"
    )
    question = Prove(model=candidate, golden_path=str(golden(shared(TINY), tmp_path / "golden")), repeats=2)

    async def ask():
        canary = await StartCanary(command("canary"))()
        try:
            return await canary.prove(question, timeout_s=30)
        finally:
            await canary.close()

    return asyncio.run(ask())


def test_a_canary_proves_a_compiled_model_on_the_edge_tpu(edgetpus, tmp_path):
    edgetpus.pair(shared(COMPILED).read_bytes(), shared(TINY).read_bytes())
    edgetpus.plug()

    findings = prove(edgetpus, tmp_path)

    assert isinstance(findings, Findings), findings
    assert findings.delegate == "edgetpu"
    assert findings.contract_fault is None
    assert [case.found_top for case in findings.golden] == [case.expected[0][0] for case in findings.golden]


def test_a_canary_that_the_library_crashes_is_told_by_its_signal(edgetpus, tmp_path):
    edgetpus.plug(fault="prepare")

    failed = prove(edgetpus, tmp_path)

    assert isinstance(failed, ProveFailed)
    assert "SIGSEGV" in failed.detail
