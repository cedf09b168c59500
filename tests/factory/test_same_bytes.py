"""From a Keras model to a manifest, twice: neither the day nor the folder is in the bytes."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.factory_sources import ROOT

NETWORK = """
import sys
import keras
import numpy as np

keras.utils.set_random_seed(1)
layers = keras.layers
image = layers.Input((16, 16, 3))
seen = layers.Flatten()(layers.Conv2D(4, 3, strides=2, activation="relu")(image))
network = keras.Model(image, layers.Dense(3, activation="softmax")(seen))
network.compile("adam", "sparse_categorical_crossentropy")
data = np.load(sys.argv[1])
network.fit((data["x"] - 127.5) / 127.5, data["y"], epochs=20, verbose=0)
network.save(sys.argv[2])
"""
COLOURS = np.array([(200, 40, 40), (40, 200, 40), (40, 40, 200)])


def pixels(count):
    generator = np.random.default_rng(4)
    classes = np.arange(count) % 3
    noise = generator.normal(0, 40, (count, 16, 16, 3))
    return np.clip(COLOURS[classes][:, None, None] + noise, 0, 255).astype(np.uint8), classes


def shoal(*words, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "deploy", *map(str, words)],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(cwd)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    x, y = pixels(120)
    np.savez(folder / "data.npz", x=x, y=y)
    subprocess.run(
        [sys.executable, "-c", NETWORK, folder / "data.npz", folder / "birds.keras"],
        check=True,
        capture_output=True,
    )
    return folder / "birds.keras"


def released(folder, network, mode, names):
    x, y = pixels(120)
    for number, (picture, label) in enumerate(zip(x, y, strict=True)):
        for path in (
            folder / "pictures" / "abc"[label] / names(number),
            folder / "held-out" / "abc"[label] / f"{number}.png",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    (folder / "labels.txt").write_text("a\nb\nc\n")
    source = folder / "birds.keras"
    source.write_bytes(network.read_bytes())
    calibration = ["--representative", "pictures"]
    shoal(
        "convert", source, "-o", "x.tflite", "--quantize", mode, *calibration, "--labels", "labels.txt",
        cwd=folder,
    )  # fmt: skip
    shoal("evaluate", "x.tflite", "--data", "held-out", "-o", "e.json", cwd=folder)
    shoal("init", "fleet", cwd=folder)
    said = shoal(
        "release", "x.tflite", "--workspace", "fleet", "--name", "birds", "--version", "1", "--golden",
        "pictures", "--evaluation", "e.json", "--no-publish", "--json", cwd=folder,
    )  # fmt: skip
    return json.loads(said)


@pytest.mark.parametrize("mode", ["int8", "dynamic", "float16"])
def test_converting_evaluating_and_releasing_twice_makes_the_same_manifest(tmp_path, network, mode):
    answers = []
    for place, names in (("one", "{:03}.png"), ("two", "picture {:03}.png")):
        (tmp_path / place).mkdir()
        answers.append(
            released(tmp_path / place, network, mode, lambda n, names=names: names.format(200 - n))
        )

    first, second = answers
    assert first["variants"] == second["variants"]
    assert first["manifest"] == second["manifest"]
    assert first["evaluation"]["top1"] > 0.6
