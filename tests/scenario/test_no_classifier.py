"""A model that is no classifier is named for what it is, everywhere that it could get in."""

import pytest

from agent.adapters.runtime_tflite import open_runtime
from agent.cli.main import main
from agent.loops.child.canary import Canary
from agent.wire import ipc
from agent.wire.reasons import Reason
from tests import models, rig
from tests.fakes.children import MemoryPipe
from tests.fakes.clock import FakeClock
from tests.fakes.tflite import Form, classifier, detector, segmenter

HONEST = classifier(Form((1, 4, 4, 3), "uint8", 1.0), Form((1, 48), "uint8", 1 / 256))
DETECTOR = "it is a detector (TFLite_Detection_PostProcess), and shoal-agent invoke runs it"
SEGMENTER = "it is a segmenter, or another model that answers with a map, and shoal-agent invoke runs it"


@pytest.fixture
def mapping(tmp_path):
    (tmp_path / "map.tflite").write_bytes(segmenter())
    return tmp_path / "map.tflite"


def test_at_release_time(tmp_path):
    (tmp_path / "ssd.tflite").write_bytes(detector())
    rig.shoal("init", str(tmp_path / "fleet"))
    refused = rig.shoal(
        "release", str(tmp_path / "ssd.tflite"), "--name=x", "--version=1", "--golden", str(rig.PHOTOGRAPHS),
        "--workspace", str(tmp_path / "fleet"), check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert DETECTOR in refused.stderr


def test_at_classify(capsys):
    model = models.shared("ssd_postprocess_head_only.tflite")
    assert main(["classify", "--model", str(model), str(rig.PHOTOGRAPHS / "hens.jpg")]) == 1
    assert DETECTOR in capsys.readouterr().err


def test_at_inspect(mapping, capsys):
    assert main(["inspect", str(mapping)]) == 0
    assert SEGMENTER in capsys.readouterr().out


def test_in_the_trial(mapping, tmp_path):
    (tmp_path / "honest.tflite").write_bytes(HONEST)
    golden = models.golden(tmp_path / "honest.tflite", tmp_path / "golden", ())
    spec = models.spec(mapping, like=tmp_path / "honest.tflite")
    pipe = MemoryPipe()
    pipe.tell(ipc.Prove(model=spec, golden_path=str(golden)))
    pipe.hang_up()
    Canary(pipe, FakeClock(), lambda _: open_runtime()).run()
    failed = pipe.heard(ipc.ProveFailed)
    assert failed.reason is Reason.LOAD_FAILED
    assert SEGMENTER in failed.detail
