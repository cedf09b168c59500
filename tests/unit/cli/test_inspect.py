import json

import pytest

from agent.cli.main import main
from tests.fakes.tflite import Card, Form, Operator, Sketch, build, card, classifier, edgetpu

IMAGE = Form((1, 2, 2, 3), "uint8", 1 / 16, 3)
SCORES = Form((1, 12), "uint8", 1 / 256, 0)
NAMES = "\n".join(f"class {index}" for index in range(12)).encode()


def _write(folder, content):
    path = folder / "model.tflite"
    path.write_bytes(content)
    return str(path)


def _rows(out):
    head, *rows = out.splitlines()
    return head, {row.split()[0]: row.split(maxsplit=1)[1] for row in rows}


def test_a_model_is_shown_with_what_would_compute_it_here(tmp_path, capsys):
    metadata = {
        "min_runtime_version": b"1.14.0",
        "TFLITE_METADATA": card(Card(mean=(127.5,), std=(127.5,))),
    }
    content = classifier(IMAGE, SCORES, metadata=metadata, files={"labels.txt": NAMES}, signatures=("serve",))

    assert main(["inspect", _write(tmp_path, content)]) == 0

    head, rows = _rows(capsys.readouterr().out)
    assert head.startswith("model.tflite: ")
    assert head.endswith("full-integer, not compiled for an Edge TPU")
    assert rows["input"] == "1 x 2 x 2 x 3 uint8   scale 0.0625, zero point 3   (tensor 0)"
    assert rows["output"] == "1 x 12 uint8   scale 0.00390625, zero point 0   (tensor 2)"
    assert rows["scores"] == "probabilities (out of SOFTMAX)"
    assert rows["operators"] == "2: 1 RESHAPE, 1 SOFTMAX"
    assert rows["labels"] == "12 inside the file"
    assert rows["declares"] == "mean 127.5, std 127.5"
    assert rows["licence"] == "Apache-2.0"
    assert rows["needs"] == "a runtime of TensorFlow 1.14.0"
    assert rows["signatures"] == "serve"
    assert rows["here"].startswith("xnnpack in ")
    assert rows["here"].endswith("full-integer model, not compiled for an Edge TPU: XNNPACK on 1 thread")


@pytest.mark.parametrize(
    ("content", "here"),
    [
        (
            edgetpu(IMAGE, SCORES),
            "refused: compiled for an Edge TPU: no CPU can run it; --edgetpu tries the one that is there",
        ),
        (build(Sketch((IMAGE, SCORES), (Operator(32, (0,), (1,), "x-op"),))), "refused: the runtime refuses"),
        (classifier(Form((1, 12), "uint8", 1.0), SCORES), "refused: not a classifier"),
    ],
)
def test_what_cannot_run_here_is_shown_all_the_same_with_the_reason(tmp_path, capsys, content, here):
    assert main(["inspect", _write(tmp_path, content)]) == 0

    assert _rows(capsys.readouterr().out)[1]["here"].startswith(here)


def test_json_holds_all_facts(tmp_path, capsys):
    path = _write(tmp_path, classifier(IMAGE, SCORES, files={"labels.txt": NAMES}))

    assert main(["inspect", "--json", path]) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["edgetpu"], found["labels"], found["delegate"]) == (
        path,
        False,
        12,
        "xnnpack",
    )
    assert found["facts"]["inputs"][0]["shape"] == [1, 2, 2, 3]
    assert found["facts"]["arithmetic"] == "full-integer"


def test_labels_that_do_not_fit_are_told(tmp_path, capsys):
    assert main(["inspect", _write(tmp_path, classifier(IMAGE, SCORES, files={"labels.txt": b"a\nb"}))]) == 0
    assert _rows(capsys.readouterr().out)[1]["labels"] == "inside the file: 2 labels for 12 classes"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"#!/bin/sh\n", "not a TFLite model"),
        (b"", "not a TFLite model"),
        (classifier(IMAGE, SCORES)[:400], "damaged"),
    ],
)
def test_a_foreign_or_broken_file_is_one_sentence(tmp_path, capsys, content, words):
    assert main(["inspect", _write(tmp_path, content)]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


def test_a_missing_file_is_one_sentence(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "gone.tflite")]) == 1
    assert capsys.readouterr().err.endswith("gone.tflite: No such file or directory\n")


def test_a_model_cannot_steer_the_terminal(tmp_path, capsys):
    content = build(Sketch((IMAGE, SCORES), (Operator(32, (0,), (1,), "\x1b[31mred\n"),)))

    main(["inspect", _write(tmp_path, content)])

    assert "\x1b" not in capsys.readouterr().out
