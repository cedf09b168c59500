"""What the converter itself says of Keras models that have something about them."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from deploy.cli.main import main

MODELS = """
    import keras
    from keras import layers, ops

    def save(name, inputs, outputs):
        keras.Model(inputs, outputs).save(f"{name}.keras")

    image = keras.Input((32, 32, 3))
    found = layers.Conv2D(8, 3, padding="same", use_bias=False)(image)
    found = layers.ReLU(6)(layers.BatchNormalization()(found))
    found = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="hard_swish")(found))
    save("swish", image, layers.Dense(10, activation="softmax")(found))
    image = keras.Input((16, 16, 3))
    found = ops.erf(layers.Flatten()(layers.Conv2D(4, 3)(image)))
    save("erf", image, layers.Dense(10, activation="softmax")(found))
    rows = keras.Input((28, 28))
    save("recurrent", rows, layers.Dense(10, activation="softmax")(layers.LSTM(20)(rows)))
    save("gated", rows, layers.Dense(10, activation="softmax")(layers.GRU(8)(rows)))
    image = keras.Input((16, 16, 3))
    found = layers.GlobalAveragePooling2D()(layers.PReLU()(layers.Conv2D(8, 3)(image)))
    save("sloped", image, layers.Dense(10, activation="softmax")(found))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, "-c", dedent(MODELS)], cwd=folder, check=True, capture_output=True)
    return folder


def advised(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main(["advise", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_edge_tpu_leaves_off_at_what_it_lacks(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = advised(capsys, str(models / "swish.keras"), "--target", "edgetpu")

    assert found["edgetpu"]["cut"]["operator"] == "HARD_SWISH"
    assert (found["edgetpu"]["mapped"], found["edgetpu"]["operators"]) == (2, 6)
    assert "RELU6" in found["edgetpu"]["cut"]["instead"]
    assert found["edgetpu"]["doubt"] == ""
    assert found["mode"] == "int8"


def test_an_operator_outside_the_built_in_set_is_named_with_its_layer(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = advised(capsys, str(models / "erf.keras"))

    assert not found["convertible"]
    (outside,) = found["outside"]
    assert outside["operator"] == "Erf"
    assert "Erf" in outside["layer"]
    assert "tanh" in outside["instead"]
    assert [mode["mode"] for mode in found["modes"]] == ["none"]


def test_a_fused_lstm_goes_to_an_edge_tpu_whole(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = advised(capsys, str(models / "recurrent.keras"), "--target", "edgetpu")

    assert found["edgetpu"]["mapped"] == found["edgetpu"]["operators"]
    # Four gates of 20 units over 28 steps, each over 28 inputs and 20 outputs; then 20 x 10.
    assert found["multiplications"] == 28 * 4 * 20 * 48 + 20 * 10


def test_a_slope_for_each_pixel_is_no_activation_of_an_edge_tpu(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = advised(capsys, str(models / "sloped.keras"), "--target", "edgetpu")

    assert found["edgetpu"]["cut"]["operator"] == "PRELU"
    assert "shared_axes" in found["edgetpu"]["cut"]["reason"]


def test_a_loop_without_an_integer_form_is_unrolled_as_convert_does(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = advised(capsys, str(models / "gated.keras"), "--target", "edgetpu")

    plain, integer = found["modes"]
    assert (plain["refusal"], integer["refusal"]) == ("", "")
    assert integer["length_bytes"] > plain["length_bytes"]
    assert any("leave the rest to the CPU" in change for change in found["changes"])
