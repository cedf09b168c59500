"""What is said of runtimes, asked of the runtimes: they look up every operator that a file names."""

import importlib.util

import numpy as np
import pytest

from agent.adapters.runtime_tflite import open_runtime
from agent.core.serving import delegate
from agent.core.serving.delegate import Choice, RuntimeChoice
from agent.core.tflite import flatmodel, flatops, needs
from agent.wire.documents import Artifact, Delegate, Variant
from agent.wire.errors import ModelUnloadable
from agent.wire.reasons import Reason
from agent.wire.topics import sha256
from tests.fakes.tflite import dense, named

PACKAGES = {RuntimeChoice.LITERT: "ai_edge_litert", RuntimeChoice.TFLITE: "tflite_runtime"}
CODES = {flatops.operator_name(code): code for code in range(210)}


@pytest.fixture(params=list(PACKAGES))
def runtime(request):
    if importlib.util.find_spec(PACKAGES[request.param]) is None:
        pytest.skip(f"{PACKAGES[request.param]} is not installed")
    return open_runtime(request.param)


def loads(runtime, content):
    try:
        runtime.open(content, threads=1)
    except ModelUnloadable as error:
        if "builtin opcode" not in str(error) and "builtin_code out of range" not in str(error):
            raise
        return False
    return True


def variant(content):
    need = needs.need(flatmodel.examine(content))
    return Variant(
        artifact=Artifact(digest=sha256(content), length=len(content), chunks=()),
        file="x.tflite",
        delegate=Delegate.CPU,
        minimum_runtime=need and need.runtime,
        runtime_reason=need.why if need else "",
    )


@pytest.mark.parametrize("name", sorted(needs.BEYOND_2_14))
def test_a_runtime_loads_an_operator_of_a_version_exactly_if_it_is_said_to(runtime, name):
    versions = needs.BEYOND_2_14[name]
    before = {min(versions) - 1} - {0}

    for version in sorted(before | set(versions)):
        content = named(CODES[name], version)
        said = delegate.runs(variant(content).minimum_runtime, runtime.name)
        assert loads(runtime, content) is said, f"{name} version {version} in {runtime.name}"


def test_a_dynamic_range_model_runs_where_it_is_said_to_and_is_held_elsewhere_with_the_reason(runtime):
    content = dense(12)
    chosen = delegate.choose([variant(content)], edgetpu_present=False, runtime_version=runtime.name)

    if isinstance(chosen, Choice):
        output = runtime.load(content, threads=1).invoke(np.ones((1, 2, 2, 3), np.float32))
        assert output.shape == (1, 3)
    else:
        assert chosen.reason is Reason.RUNTIME_TOO_OLD
        assert chosen.detail.endswith(
            f"needs runtime 2.17.0 (FULLY_CONNECTED version 12); this device has {runtime.name}"
        )
        with pytest.raises(ModelUnloadable, match="'FULLY_CONNECTED' version '12'"):
            runtime.load(content, threads=1)


def test_four_bit_weights_run_where_they_are_said_to(runtime):
    content = dense(9, "int4")

    if delegate.runs(variant(content).minimum_runtime, runtime.name):
        output = runtime.load(content, threads=1).invoke(np.ones((1, 2, 2, 3), np.float32))
        assert np.isfinite(output).all()
