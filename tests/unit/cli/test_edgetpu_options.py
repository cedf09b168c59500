import json

import numpy as np
import pytest
from PIL import Image

from agent.cli.main import main
from tests.fakes.tflite import Form, classifier, edgetpu

IMAGE = Form((1, 2, 2, 3), "uint8", 1 / 16, 3)
SCORES = Form((1, 12), "uint8", 1 / 256, 0)
COMPILED, TWIN = edgetpu(IMAGE, SCORES), classifier(IMAGE, SCORES)


@pytest.fixture
def stick(edgetpus, tmp_path, monkeypatch):
    edgetpus.pair(COMPILED, TWIN)
    edgetpus.plug()
    (tmp_path / "x_edgetpu.tflite").write_bytes(COMPILED)
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[1, 0, 2] = 255
    Image.fromarray(pixels).save(tmp_path / "blue.png")
    monkeypatch.chdir(tmp_path)
    return edgetpus


def classify(stick, *extra):
    return main(
        ["classify", "--model", "x_edgetpu.tflite", "blue.png", "--edgetpu-library", stick.library, *extra]
    )


def test_a_compiled_model_classifies_on_the_edge_tpu_that_was_named(stick, capsys):
    assert classify(stick, "--json", "--top", "1", "--edgetpu=usb:0") == 0

    answer = json.loads(capsys.readouterr().out)
    assert answer["delegate"] == "edgetpu"
    assert "usb:0 is open" in answer["delegate_reason"]
    assert answer["predictions"][0]["index"] == 8


@pytest.mark.parametrize(
    ("state", "option", "words"),
    [
        ({}, "--edgetpu", "no Edge TPU is plugged in"),
        ({"usb": 1}, "--edgetpu=usb:4", "there is no Edge TPU 'usb:4' here, only usb:0"),
        (
            {"usb": 1, "fault": "prepare"},
            "--edgetpu",
            "killed by SIGSEGV): libedgetpu of Coral's own repository",
        ),
    ],
)
def test_why_the_edge_tpu_does_not_serve_is_one_sentence(stick, capsys, state, option, words):
    stick.set(**state)

    assert classify(stick, option) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


def test_inspect_opens_the_edge_tpu_only_when_asked_to(stick, capsys):
    argv = ["inspect", "x_edgetpu.tflite", "--json", "--edgetpu-library", stick.library]

    assert main(argv) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["delegate"] is None
    assert "--edgetpu tries" in found["delegate_reason"]
    assert stick.asked() == []

    assert main([*argv, "--edgetpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["delegate"] == "edgetpu"
    assert "all of it runs there" in found["delegate_reason"]


@pytest.mark.usefixtures("stick")
def test_a_picture_is_not_taken_for_a_device(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["classify", "--model", "x_edgetpu.tflite", "--edgetpu", "blue.png"])

    assert ended.value.code == 2
    assert "'blue.png' is no Edge TPU" in capsys.readouterr().err
