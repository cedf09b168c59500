"""A float model on its way to a device with a simulated Edge TPU, by the commands that its engineer types."""

from pathlib import Path

import pytest

from agent.wire.documents import Delegate
from deploy.adapters.broker_local import LocalBroker
from tests.edgetpu_sim.simulator import Simulator
from tests.fakes import edgetpu_compiler
from tests.models import TINY_FLOAT, shared
from tests.rig import PHOTOGRAPHS, Agent, fleet, listening, replay, shoal


def test_a_device_computes_on_its_edge_tpu_what_the_factory_made(
    tmp_path: Path, any_broker: LocalBroker, edgetpus: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "compiler"
    folder.mkdir()
    edgetpu_compiler.install(folder)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    model, evaluation = tmp_path / "tiny.tflite", tmp_path / "evaluation.json"
    shoal(
        "convert", str(shared(TINY_FLOAT)), "-o", str(model), "--quantize", "uint8", "--edgetpu",
        "--representative", str(PHOTOGRAPHS),
    )  # fmt: skip
    shoal("compile", str(model))
    shoal("evaluate", str(model), "--data", str(PHOTOGRAPHS), "-o", str(evaluation))
    compiled = tmp_path / "tiny_edgetpu.tflite"
    made = fleet(tmp_path / "shop", any_broker.url)

    manifest = made.release(model, "1.0.0", "--evaluation", str(evaluation), compiled=compiled)

    assert {variant.delegate for variant in manifest.variants} == {Delegate.CPU, Delegate.EDGETPU}
    assert manifest.evaluation["pictures"] == len(list(PHOTOGRAPHS.glob("*.jpg")))
    assert manifest.provenance["flags"].startswith("quantize=uint8")
    assert {"source", "converter", "calibration", "evaluation_data"} <= set(manifest.provenance)
    edgetpus.plug()
    edgetpus.pair(compiled.read_bytes(), model.read_bytes())
    runtime = f'[runtime]\nedgetpu_library = "{edgetpus.library}"\ndelegate = "edgetpu"\n'
    with listening(made) as ear, Agent(tmp_path, made, camera=replay(), more=runtime):
        made.roll_out("1.0.0")
        assert ear.ended("1.0.0")["outcome"] == "committed", ear.heard.events
        ear.wait(lambda heard: bool(heard.predictions) and heard.predictions[-1].delegate == "edgetpu", 60)
