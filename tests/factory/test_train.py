"""Pictures in folders become a classifier that a device runs: real children, real TensorFlow."""

import json
from pathlib import Path

import pytest
from PIL import Image

from agent.cli import main as device
from deploy.cli import main as operator
from tests import labelled_pictures

MODELS = Path(__file__).parents[2] / "models"


def shoal(capsys, *words):
    code = operator.main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return labelled_pictures.make(tmp_path_factory.mktemp("pictures"), count=16)


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    """Trained, tuned, quantized: once for all tests here."""
    out = tmp_path_factory.mktemp("trained")
    code = operator.main(
        [
            *("train", "--images", str(pictures), "-o", str(out / "shapes.keras"), "--side", "96"),
            *("--views", "1", "--epochs", "30", "--fine-tune", "4", "--fine-tune-epochs", "1"),
            *("--convert", str(out / "shapes.tflite"), "--quantize", "uint8", "--licence", "CC0-1.0"),
        ]
    )
    assert code == 0
    return out


def test_the_labels_stand_beside_the_model_with_a_picture_of_what_is_confused(trained):
    assert (trained / "shapes.txt").read_text().split() == ["bars", "discs", "rings"]
    with Image.open(trained / "shapes_confusion.png") as drawn:
        assert (drawn.format, min(drawn.size) > 200) == ("PNG", True)
    assert sorted(path.name for path in trained.iterdir()) == [
        "shapes.keras",
        "shapes.tflite",
        "shapes.txt",
        "shapes_confusion.png",
    ]


def test_a_device_names_new_pictures_with_the_labels_inside_the_file(trained, tmp_path, capsys):
    fresh = labelled_pictures.make(tmp_path / "fresh", count=4, seed=99)
    paths = sorted(fresh.rglob("*.png"))
    capsys.readouterr()
    assert (
        device.main(["classify", "--model", str(trained / "shapes.tflite"), "--json", *map(str, paths)]) == 0
    )
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    named = [answer["predictions"][0]["label"] for answer in answers]
    right = sum(label == path.parent.name for label, path in zip(named, paths, strict=True))
    assert right >= 11


def test_the_same_pictures_and_seed_make_the_same_answers(pictures, tmp_path, capsys):
    told = []
    for name in ("first", "second"):
        code, out, _ = shoal(
            capsys,
            *("train", "--images", pictures, "-o", tmp_path / f"{name}.keras", "--side", 64),
            *("--views", 1, "--epochs", 5, "--seed", 3, "--json"),
        )
        assert code == 0
        told.append(json.loads(out))
    first, second = told
    assert first["confusion"] == second["confusion"]
    assert first["epochs"] == second["epochs"]


def test_weights_that_cannot_be_fetched_name_the_base_that_needs_no_network(
    pictures, tmp_path, capsys, monkeypatch
):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    code, _, said = shoal(
        capsys,
        *("train", "--images", pictures, "-o", tmp_path / "m.keras", "--base", "mobilenet_v2"),
    )
    assert code == 1
    last = said.strip().splitlines()[-1]
    assert last.startswith("shoal: the weights of mobilenet_v2 cannot be fetched")
    assert "--base efficientnet_lite0" in last
    assert list(tmp_path.glob("m*")) == []


def test_a_quantized_file_is_no_base(pictures, tmp_path, capsys):
    base = MODELS / "efficientnet_lite0" / "efficientnet_lite0_224_uint8.tflite"
    code, _, said = shoal(capsys, "train", "--images", pictures, "-o", tmp_path / "m.keras", "--base", base)
    assert code == 1
    assert "shoal: efficientnet_lite0_224_uint8.tflite" in said.strip().splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_trained_model_is_a_base_for_the_next(trained, pictures, tmp_path, capsys):
    code, out, _ = shoal(
        capsys,
        *("train", "--images", pictures, "-o", tmp_path / "next.keras", "--side", 96),
        *("--base", trained / "shapes.keras", "--mean", 127, "--std", 128, "--views", 0, "--json"),
    )
    assert code == 0
    assert json.loads(out)["right"] >= 4
