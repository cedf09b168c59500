"""The network of the quantization guides as they write it, through the command: how large each file is."""

import subprocess
import sys

import numpy as np
import pytest

from agent.core.tflite import flatmodel
from agent.core.tflite.flatmodel import Arithmetic
from tests.factory_sources import ROOT

NETWORK = """
import sys
import keras

layers = keras.layers
network = keras.Sequential([
    layers.InputLayer(shape=(28, 28)),
    layers.Reshape(target_shape=(28, 28, 1)),
    layers.Conv2D(filters=12, kernel_size=(3, 3), activation=keras.activations.relu),
    layers.MaxPooling2D(pool_size=(2, 2)),
    layers.Flatten(),
    layers.Dense(10),
])
network.save(sys.argv[1])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("guides")
    subprocess.run([sys.executable, "-c", NETWORK, made / "n.keras"], check=True, capture_output=True)
    np.savez(made / "digits.npz", np.random.default_rng(7).uniform(0, 1, (100, 28, 28)).astype(np.float32))
    return made


def convert(folder, source, out, *more):
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "convert", source, "-o", out, *more],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return (folder / out).read_bytes()


def test_float16_is_at_most_0_52_and_dynamic_at_most_0_30_of_the_float_file(folder):
    whole = len(convert(folder, "n.keras", "float.tflite"))
    assert len(convert(folder, "n.keras", "float16.tflite", "--quantize", "float16")) <= 0.52 * whole
    assert len(convert(folder, "n.keras", "dynamic.tflite", "--quantize", "dynamic")) <= 0.30 * whole


def test_a_file_of_16_bit_weights_becomes_integers(folder):
    convert(folder, "n.keras", "halves.tflite", "--quantize", "float16")
    data = ("--representative", "digits.npz")
    content = convert(folder, "halves.tflite", "int8.tflite", "--quantize", "int8", *data)
    assert flatmodel.examine(content).arithmetic is Arithmetic.INTEGER
