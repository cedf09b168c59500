import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from agent.cli import native
from agent.cli.main import main
from tests.fakes.tflite import Form, classifier, edgetpu

IMAGE = Form((1, 2, 2, 3), "float32")
SCORES = Form((1, 12), "float32")
NAMES = "\n".join(
    f"{place} {colour}" for place in ("nw", "ne", "sw", "se") for colour in ("red", "green", "blue")
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The model's best class is the place and the colour of the brightest pixel."""
    (tmp_path / "model.tflite").write_bytes(classifier(IMAGE, SCORES, files={"labels.txt": NAMES.encode()}))
    _picture(tmp_path / "blue.png", (0, 1), (0, 0, 255))
    _picture(tmp_path / "green-below.png", (1, 0), (0, 255, 0))
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _picture(path, at, colour, **save):
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[10 * at[0] : 10 * at[0] + 10, 10 * at[1] : 10 * at[1] + 10] = colour
    Image.fromarray(pixels).save(path, **save)


@pytest.mark.usefixtures("folder")
def test_each_picture_gets_an_aligned_line(capsys):
    assert main(["classify", "--model", "model.tflite", "--top", "1", "blue.png", "green-below.png"]) == 0

    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert first.startswith("blue.png         0.402 ne blue   ")
    assert second.startswith("green-below.png  0.402 sw green   ")
    assert " ms xnnpack)" in first
    assert err == ""


@pytest.mark.usefixtures("folder")
def test_json_gives_programs_the_whole_answer_one_object_a_line(capsys):
    assert main(["classify", "--model", "model.tflite", "--json", "--top", "2", "blue.png"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"image", "predictions", "delegate", "delegate_reason", "runtime", "latency_ms"}
    assert answer["image"] == "blue.png"
    best, second = answer["predictions"]
    assert (best["index"], best["label"]) == (5, "ne blue")
    assert best["score"] > second["score"]
    assert set(answer["latency_ms"]) == {"pre", "invoke", "post"}
    assert answer["delegate"] == "xnnpack"


@pytest.mark.usefixtures("folder")
def test_a_bad_picture_costs_a_sentence_and_the_others_are_done(capsys):
    assert main(["classify", "--model", "model.tflite", "bad.png", "gone.png", "blue.png"]) == 1

    out, err = capsys.readouterr()
    assert out.startswith("blue.png")
    assert err.splitlines() == [
        "shoal-agent: bad.png: not a picture of a known format",
        "shoal-agent: gone.png: No such file or directory",
    ]


def test_a_picture_is_turned_upright_as_its_camera_meant_it(folder, capsys):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    _picture(folder / "turned.jpg", (1, 0), (0, 0, 255), exif=exif, quality=95)

    assert main(["classify", "--model", "model.tflite", "--top", "1", "turned.jpg"]) == 0
    assert " ne blue " in capsys.readouterr().out


def test_labels_normalization_and_fit_can_be_given(folder, capsys):
    (folder / "names.txt").write_text("\n".join(f"class-{index}" for index in range(12)))
    options = ["--labels", "names.txt", "--mean", "0,0,0", "--std", "25.5,25.5,25.5", "--fit", "letterbox"]

    assert main(["classify", "--model", "model.tflite", *options, "--json", "--top", "12", "blue.png"]) == 0

    predictions = json.loads(capsys.readouterr().out)["predictions"]
    assert predictions[0]["label"] == "class-5"
    assert predictions[0]["score"] > 0.9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "gone.tflite"], "gone.tflite: No such file or directory"),
        (["--model", "blue.png"], "blue.png: not a TFLite model"),
        (["--model", "model.tflite", "--labels", "names.txt"], "names.txt: 2 labels for 12 classes"),
        (["--model", "model.tflite", "--labels", "gone.txt"], "gone.txt: No such file or directory"),
        (["--model", "model.tflite", "--mean", "1,2", "--std", "1,2"], "2 means"),
        (["--model", "compiled.tflite"], "compiled for an Edge TPU"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(folder, capsys, options, words):
    (folder / "names.txt").write_text("cat\ndog\n")
    (folder / "compiled.tflite").write_bytes(
        edgetpu(Form((1, 2, 2, 3), "uint8", 1.0), Form((1, 12), "uint8", 1.0))
    )

    assert main(["classify", *options, "blue.png"]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--model"),
        (["--model", "m", "--top", "0", "i"], "from 1 up"),
        (["--model", "m", "--threads", "many", "i"], "from 1 up"),
        (["--model", "m", "--mean", "1", "i"], "go together"),
        (["--model", "m", "--mean", "1,2", "--std", "1", "i"], "go together"),
        (["--model", "m", "--mean", "x", "--std", "1", "i"], "not one number or several"),
        (["--model", "m", "--mean", "nan", "--std", "1", "i"], "not finite"),
        (["--model", "m", "--mean", "1", "--std", "0", "i"], "greater than 0"),
        (["--model", "m", "--fit", "stretch", "i"], "--fit"),
        (["--model", "m", "\udcff.png"], "not UTF-8"),
    ],
)
def test_wrong_usage_is_explained_and_ends_with_2(capsys, options, words):
    with pytest.raises(SystemExit) as ended:
        main(["classify", *options])

    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_model_that_kills_its_process_costs_one_sentence(folder, capsys, monkeypatch):
    _pretend_python(folder, monkeypatch, "kill -SEGV $$")

    assert main(["classify", "--model", "model.tflite", "blue.png"]) == 1

    err = capsys.readouterr().err
    assert "model.tflite: the process that ran the model was killed by SIGSEGV" in err
    assert err.count("\n") == 1


def test_a_child_that_fails_otherwise_is_told_with_its_last_word(folder, capsys, monkeypatch):
    _pretend_python(folder, monkeypatch, "echo out of luck >&2; exit 3")

    assert main(["classify", "--model", "model.tflite", "blue.png"]) == 1
    assert "ended with exit status 3: out of luck" in capsys.readouterr().err


def test_a_model_that_never_ends_to_load_is_given_up(folder, capsys, monkeypatch):
    _pretend_python(folder, monkeypatch, "exec sleep 60")
    monkeypatch.setattr(native, "LOAD_MAX_S", 0.2)

    assert main(["inspect", "model.tflite"]) == 0
    assert "refused: no answer within 0.2 s" in capsys.readouterr().out


def _pretend_python(folder, monkeypatch, script):
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(native.sys, "executable", str(program))


def test_a_label_cannot_steer_the_terminal(folder, capsys):
    (folder / "names.txt").write_text("\n".join(["\x1b[2Jx"] * 12))

    main(["classify", "--model", "model.tflite", "--labels", "names.txt", "--top", "1", "blue.png"])

    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_a_reader_that_goes_away_is_no_traceback():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-P", "-m", "agent", "classify", "--model", "model.tflite", "blue.png"]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (141, b"")


def test_ctrl_c_ends_with_130_and_without_a_traceback(capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(native, "ask", interrupt)

    assert main(["classify", "--model", "m.tflite", "i.png"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", [[], ["classify"], ["inspect"]])
def test_help_explains_itself_and_hides_what_is_internal(capsys, command):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])

    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert native.SUBCOMMAND not in out


def test_the_command_itself_loads_no_arrays_and_no_runtime():
    """Native code belongs into the child, and the supervisor shares this entrance."""
    heavy = "{'numpy', 'PIL', 'ai_edge_litert', 'tflite_runtime'}"
    probe = f"import sys, agent.cli.main; print(*{heavy} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == "\n"
