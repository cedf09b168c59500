"""Classifiers are pruned, clustered and trained quantization-aware: real children, the real toolkit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.core.tflite import flatmodel
from agent.core.tflite.flatmodel import Arithmetic
from deploy.cli import main as operator

PROGRAM = Path(__file__).parent / "classifiers.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("classifiers")
    for which in ("newer", "older"):
        subprocess.run(
            [sys.executable, "-P", str(PROGRAM), str(made), which],
            check=True,
            capture_output=True,
            timeout=300,
        )
    return made


def optimize(capsys, *words):
    code = operator.main(["optimize", "--json", "--learning-rate", "0.002", *map(str, words)])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else None, said.err


def test_pruned_and_clustered_weights_pack_better_and_the_model_stays_one_of_the_newer_keras(
    folder, tmp_path, capsys
):
    out, small = tmp_path / "small.keras", tmp_path / "small.tflite"
    code, answer, _ = optimize(
        capsys,
        *(folder / "nested.keras", "--data", folder / "lesson.npz", "--technique", "cluster", "prune"),
        *("--sparsity", "0.6", "-o", out, "--convert", small),
    )
    assert code == 0
    assert answer["techniques"] == ["prune", "cluster"]
    assert answer["training"] + answer["held_out"] == 1600
    assert {layer["name"] for layer in answer["layers"]} == {"stem", "depth", "head"}
    # The toolkit leaves depthwise kernels alone.
    done = [layer for layer in answer["layers"] if layer["name"] != "depth"]
    assert all(layer["zeros"] >= 0.58 * layer["weights"] for layer in done)
    assert all(layer["values"] <= 16 for layer in done)
    assert answer["after"]["pulled_bytes"] < 0.5 * answer["before"]["pulled_bytes"]
    assert answer["converted"]["file_bytes"] == small.stat().st_size
    assert answer["right_after"] > 0.5 * answer["held_out"]
    assert (
        answer["right_before"] - answer["right_after"]
        == answer["only_before_right"] - answer["only_after_right"]
    )
    assert out.read_bytes()[:2] == b"PK"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.keras", "small.tflite"]


def test_all_three_techniques_keep_what_each_has_won_down_to_the_integer_file(folder, tmp_path, capsys):
    out, small = tmp_path / "small.h5", tmp_path / "small.tflite"
    code, answer, _ = optimize(
        capsys,
        *(folder / "plain.keras", "--data", folder / "lesson.npz", "--technique", "prune", "cluster", "qat"),
        *("--clusters", "8", "-o", out, "--convert", small, "--quantize", "uint8"),
    )
    assert code == 0
    assert all(layer["values"] <= 8 for layer in answer["layers"])
    assert all(layer["zeros"] >= 0.48 * layer["weights"] for layer in answer["layers"])
    facts = flatmodel.examine(small.read_bytes())
    assert facts.arithmetic is Arithmetic.INTEGER
    assert (facts.inputs[0].dtype, facts.outputs[0].dtype) == ("uint8", "uint8")


def test_a_layer_of_fewer_weights_than_clusters_keeps_its_zeros(folder, tmp_path, capsys):
    code, answer, _ = optimize(
        capsys,
        *(folder / "separable.keras", "--data", folder / "lesson.npz", "--technique", "prune", "cluster"),
        *("-o", tmp_path / "small.keras", "--epochs", "1"),
    )
    assert code == 0
    apart, head = answer["layers"]
    # Of 9 weights over the place and 12 over the channels, pruning takes the latter.
    assert (apart["weights"], apart["zeros"]) == (21, 6)
    assert head["zeros"] >= 0.49 * head["weights"]
    assert head["values"] <= 16


def test_a_model_of_the_older_keras_learns_to_live_with_8_bits(folder, tmp_path, capsys):
    code, answer, _ = optimize(
        capsys,
        *(folder / "older.h5", "--data", folder / "lesson.npz", "--technique", "qat"),
        *("-o", tmp_path / "learnt.h5", "--epochs", "1"),
    )
    assert code == 0
    assert answer["right_after"] > 0.5 * answer["held_out"]
    # Of so small a network, much of either file is names and scales.
    assert answer["after"]["file_bytes"] < 0.8 * answer["before"]["file_bytes"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("odd.keras", "--data", "lesson.npz", "--technique", "qat", "-o", "made.h5"),
            "the layer 'along' (Conv1D) cannot be trained quantization-aware by",
        ),
        (
            ("plain.keras", "--data", "others.npz", "--technique", "prune", "-o", "made.keras"),
            "y runs from 1 to 4, and the model gives 4 numbers, for the classes 0 to 3",
        ),
        (
            ("plain.keras", "--data", "huge.npz", "--technique", "prune", "-o", "made.keras"),
            "at step 1 of 60 (pruning): give a lower --learning-rate than 0.002",
        ),
        (
            ("lesson.npz", "--data", "lesson.npz", "--technique", "prune", "-o", "made.keras"),
            "lesson.npz",
        ),
    ],
    ids=["unsupported layer", "labels out of range", "nan", "no model"],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing_behind(folder, tmp_path, capsys, words, said):
    places = [
        tmp_path / word if word.startswith("made.") else folder / word if (folder / word).is_file() else word
        for word in words
    ]
    code, answer, errors = optimize(capsys, *places)
    assert (code, answer) == (operator.REFUSED, None)
    assert said in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
