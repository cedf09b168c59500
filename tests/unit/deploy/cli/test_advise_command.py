"""`shoal advise` over real files: the factory's real process carries it out."""

import json
from pathlib import Path

import pytest

from deploy.cli.main import main
from tests.models import TINY, TINY_FLOAT, shared


def test_a_quantized_file_is_looked_at_without_tensorflow(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", str(shared(TINY)), "--target", "edgetpu", "--budget-ms", "10000"]) == 0

    told = capsys.readouterr()
    assert "is quantized already; one inference multiplies 13,570,304 times" in told.out
    assert "Edge TPU: 31 of 31 operators" in told.out
    assert "the budget of 10000 ms is kept" in told.out
    assert "shoal convert" not in told.out
    assert told.err == ""


def test_a_compiled_file_is_half_of_a_release_and_nothing_to_convert(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["advise", str(shared("mobilenet_v1_0.25_128_quant_edgetpu.tflite"))]) == 0

    told = capsys.readouterr().out
    assert "no mode: it is compiled for an Edge TPU already" in told
    assert "as the other half of a release" in told


def test_only_pictures_are_said_to_become_an_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", str(shared("ssd_postprocess_head_only.tflite"))]) == 0

    assert "a picture becomes" not in capsys.readouterr().out


def test_a_float_file_is_converted_in_every_mode_that_could_serve(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["advise", str(shared(TINY_FLOAT)), "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert [mode["mode"] for mode in found["modes"]] == ["none", "dynamic", "float16", "int8"]
    assert all(mode["refusal"] == "" and mode["least_ms"] > 0 for mode in found["modes"])
    assert found["mode"] == "int8"
    assert "bring representative data" in found["needs"][0]
    assert found["edgetpu"]["mapped"] == 31


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", b"", "no kind of model that the factory knows"),
        ("weights.pt", b"", "PyTorch weights need their network"),
        ("damaged.tflite", b"nothing", "not a TFLite model"),
    ],
)
def test_what_is_no_model_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, said: str
) -> None:
    source = tmp_path / name
    source.write_bytes(content)

    assert main(["advise", str(source)]) == 1

    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
