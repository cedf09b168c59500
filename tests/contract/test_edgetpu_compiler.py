"""Coral's own compiler, where it is installed: what our rules foresee, and what it says.

`apt install edgetpu-compiler` from Coral's package repository (Debian and its kin, x86-64), then
`pytest tests/contract/test_edgetpu_compiler.py`.
"""

import shutil
from pathlib import Path

import pytest

from agent.wire.documents import Delegate
from deploy.adapters.edgetpu_compiler import PROGRAM, EdgeTpuCompiler
from deploy.assemble.factory.compiling import Request, compile_models
from deploy.core.factory.edgetpu import compiler_report, rules
from deploy.core.factory.tflite import dataflow
from deploy.core.release import variants
from deploy.core.release.variants import ModelFile, Options
from deploy.ports.compiler import Job
from tests.models import TINY, TINY_FLOAT, TINY_INT8, shared

pytestmark = pytest.mark.skipif(
    shutil.which(PROGRAM) is None, reason=f"{PROGRAM} is not installed: it comes from Coral's repository"
)


@pytest.mark.parametrize("name", [TINY, TINY_INT8, "derived_mobilenet_v1_0.25_128_int8_floatio.tflite"])
def test_the_compiler_maps_what_our_rules_foresee(name: str, tmp_path: Path) -> None:
    model = shared(name)
    foreseen = rules.place(dataflow.read(model.read_bytes()))

    (compiled,) = compile_models(EdgeTpuCompiler(), Request((model,), tmp_path))

    assert (compiled.part.total, compiled.part.mapped) == (foreseen.operators, foreseen.mapped)
    pair = [
        variants.examine(ModelFile(path.name, path.read_bytes()), Options())
        for path in (model, compiled.path)
    ]
    assert [each.delegate for each in variants.pair(pair)] == [Delegate.CPU, Delegate.EDGETPU]


def test_the_compiler_refuses_what_we_refuse_before_it(tmp_path: Path) -> None:
    ran = EdgeTpuCompiler().run(Job([shared(TINY_FLOAT)]), tmp_path)

    assert not list(tmp_path.glob("*_edgetpu.tflite"))
    assert "not quantized" in compiler_report.failure(ran.printed, ran.status)
