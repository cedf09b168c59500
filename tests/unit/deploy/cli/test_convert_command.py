import json
from pathlib import Path

import numpy as np
import pytest

from agent.adapters.runtime_tflite import open_runtime
from agent.core.inference import labels
from agent.core.tflite import flatmodel
from agent.wire.documents import Normalization
from agent.wire.topics import sha256
from deploy.cli.main import CONFIG, OK, REFUSED, main
from deploy.core.factory.conversion import metadata

CLASSIFIER = """
import numpy as np
import tensorflow as tf

def model():
    kernel = tf.Variable(np.random.default_rng(1).normal(size=(192, 4)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, "image")])
    def scores(image):
        print("chatter of their own")
        return {"scores": tf.nn.softmax(tf.reshape(image, [1, 192]) @ kernel)}

    return scores
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(CLASSIFIER)
    (tmp_path / "birds.txt").write_text("wren\nrobin\ntit\njay\n")
    samples = np.random.default_rng(0).uniform(-1, 1, (100, 8, 8, 3)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", image=samples)
    return tmp_path


def test_a_function_becomes_a_described_file_that_the_device_runs(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = ["--name", "birds", "--author", "A. Maker", "--licence", "Apache-2.0", "--labels", "birds.txt"]
    look = ["--mean", "127.5", "--std", "127.5"]
    asked = ["convert", "train:model", "-o", "birds.tflite", "--quantize", "int8", *said, *look]

    assert main([*asked, "--representative", "samples.npz", "--json"]) == OK

    out, err = capfd.readouterr()
    answer = json.loads(out)
    content = (here / "birds.tflite").read_bytes()
    facts = flatmodel.examine(content)
    assert [line for line in err.splitlines() if not line.endswith("...")] == []
    assert answer["digest"] == sha256(content)
    assert answer["agreement"]["difference_mean"] < 0.05
    assert answer["inputs"][0]["dtype"] == answer["outputs"][0]["dtype"] == "int8"
    assert facts.card is not None
    assert (facts.card.name, facts.card.author, facts.card.licence) == ("birds", "A. Maker", "Apache-2.0")
    assert facts.card.normalization == Normalization(mean=(127.5,), std=(127.5,))
    assert labels.embedded(content, facts) == ("wren", "robin", "tit", "jay")
    origin = metadata.provenance(content)
    assert origin is not None
    assert origin.flags[0] == "quantize=int8"
    assert origin.calibration is not None
    assert origin.calibration.samples == 100
    assert open_runtime().load(content, threads=1).output.shape == (1, 4)


def words(changed: dict[str, str]) -> list[str]:
    given = {"source": "train:model", "out": "out.tflite", "quantize": "none"} | changed
    source = given.pop("source")
    return ["convert", source, *(word for name, value in given.items() for word in (f"--{name}", value))]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"source": "nowhere.keras"}, "nowhere.keras cannot be read: No such file or directory"),
        ({"source": "birds.txt"}, "birds.txt is no kind of model that the factory knows"),
        ({"source": "."}, ". is a folder without saved_model.pb"),
        ({"source": "nowhere:model"}, "nowhere:model: there is no module nowhere in"),
        ({"source": "train:nothing"}, "train has no function nothing"),
        ({"quantize": "int8"}, "mode int8 sets ranges from data: give --representative"),
        ({"out": "missing/out.tflite"}, "missing/out.tflite: there is no folder"),
        ({"out": "folder"}, "folder is a folder: name a file, such as folder/model.tflite"),
        ({"labels": "nowhere.txt"}, "nowhere.txt: No such file or directory"),
        ({"mean": "127.5"}, "--mean and --std belong together"),
    ],
)
def test_a_wrong_command_is_one_sentence_and_leaves_no_file(
    here: Path, capfd: pytest.CaptureFixture[str], changed: dict[str, str], sentence: str
) -> None:
    (here / "train.py").write_text("def model():\n    raise AssertionError\n")
    (here / "folder").mkdir()
    before = sorted(here.rglob("*"))

    assert main(words(changed)) in {REFUSED, CONFIG}

    out, err = capfd.readouterr()
    last = err.splitlines()[-1]
    assert out == ""
    assert last.startswith("shoal: ")
    assert sentence in last
    assert "Traceback" not in err
    assert [path for path in sorted(here.rglob("*")) if "__pycache__" not in path.parts] == before


def test_a_model_that_was_there_stays_when_the_conversion_fails(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "train.py").write_text(
        "import os, signal\n\ndef model():\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    (here / "out.tflite").write_bytes(b"the one before")

    assert main(words({})) == REFUSED

    assert "died of SIGSEGV" in capfd.readouterr().err
    assert (here / "out.tflite").read_bytes() == b"the one before"


@pytest.mark.parametrize("given", ["image", "image=", "image=1x0x3", "image=axb", "=1x2"])
def test_a_shape_that_is_none_is_wrong_usage(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["convert", "m.keras", "-o", "m.tflite", "--shape", given])

    assert "is not NAME=SIZES, such as image=1x224x224x3" in capsys.readouterr().err
