"""`shoal-agent invoke` as a person runs it: a process of its own, files in and out."""

import json

import numpy as np
import pytest

from agent.assemble.desk import desk, invoking
from agent.assemble.desk.desk import Refused
from agent.assemble.desk.invoking import Invoked
from agent.cli.invoke import asked
from agent.cli.main import main, parser
from tests import models
from tests.fakes.tflite import Entry, Form, adder, classifier, rememberer

TWO = (
    Entry("double", {"x": 0, "twice": 1}, {"y": 2}),
    Entry("total", {"a": 0, "b": 1}, {"sum": 2}),
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, array in {
        "one.npy": np.array([1, 2, 3], np.float32),
        "two.npy": np.array([10, 20, 30], np.float32),
        "short.npy": np.array([1, 2], np.float32),
        "whole.npy": np.array([1, 2, 3], np.int32),
        "table.npy": np.ones((2, 2), np.float32),
        "steps.npy": np.array([[[1]], [[2]], [[5]]], np.float32),
    }.items():
        np.save(tmp_path / name, array)
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "total.tflite").write_bytes(adder(TWO[1]))
    (tmp_path / "two.tflite").write_bytes(adder(*TWO))
    (tmp_path / "plain.tflite").write_bytes(adder(names=("left", "right")))
    (tmp_path / "twins.tflite").write_bytes(adder(names=("same", "same")))
    (tmp_path / "memory.tflite").write_bytes(rememberer())
    return tmp_path


def answered(*words):
    """As the child process answers, without one."""
    *_, last = desk.answers(asked(parser().parse_args(["invoke", *words])))
    return last


def invoke(capsys, *words):
    """Status, answer, complaint."""
    status = main(["invoke", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


def results(capsys, *words):
    status, out, err = invoke(capsys, *words, "--json")
    assert status == 0, err
    return json.loads(out)


@pytest.mark.parametrize(
    "words",
    [
        ("total.tflite", "a=one.npy", "b=two.npy"),
        ("two.tflite", "--signature", "total", "b=two.npy", "a=one.npy"),
        ("plain.tflite", "left=one.npy", "right=two.npy"),
        ("twins.tflite", "same=one.npy", "same#2=two.npy"),
        ("two.tflite", "x=one.npy", "--signature", "double", "twice=two.npy", "--runtime", "tflite"),
    ],
    ids=" ".join,
)
def test_inputs_of_any_length_reach_the_signature_that_was_named(folder, words):
    if "tflite" in words:
        pytest.importorskip("tflite_runtime", reason="tflite-runtime is not installed")
    answer = answered(*words, "--out", "sum.npy")
    assert isinstance(answer, Invoked), answer
    assert np.load(folder / "sum.npy").tolist() == [11, 22, 33]
    (output,) = answer.outputs
    assert output.first == (11.0, 22.0, 33.0)
    assert (output.least, output.greatest, output.mean) == (11.0, 33.0, 22.0)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("total.tflite", "a=one.npy"), "input 'b' is missing: give NAME=FILE.npy for each"),
        (("total.tflite", "a=one.npy", "c=two.npy"), "there is no input 'c'"),
        (
            ("total.tflite", "a=one.npy", "b=whole.npy"),
            "input 'b' is int32, the model takes float32: convert it",
        ),
        (("total.tflite", "a=one.npy", "b=table.npy"), "input 'b' has shape 2 x 2, the model takes any"),
        (("total.tflite", "one.npy"), "one.npy: which input is it, of 'a', 'b'? Write NAME=FILE.npy"),
        (("total.tflite", "a=text.npy", "b=two.npy"), "text.npy is no .npy file with numbers"),
        (("total.tflite", "a=none.npy", "b=two.npy"), "none.npy: No such file or directory"),
        (("total.tflite", "a=one.npy", "b=short.npy"), "the runtime refuses to run it"),
        (("nowhere.tflite",), "nowhere.tflite: No such file or directory"),
        (("text.npy",), "not a TFLite model"),
        (("memory.tflite", "table.npy", "--steps"), "input 'tensor 0' has shape 2, the model takes 1 x 1"),
        (("total.tflite", "a=one.npy", "b=two.npy", "--out", "no/where.npz"), "No such file or directory"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_does_not_fit_is_told_in_one_sentence(words, sentence):
    answer = answered(*words)
    assert isinstance(answer, Refused)
    assert sentence in answer.detail
    assert "\n" not in answer.detail


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("two.tflite", "--signature", "totl", "a=one.npy"), "'totl'; did you mean 'total'?"),
        (("two.tflite", "a=one.npy", "b=two.npy"), "name one with --signature: there are 'double', 'total'"),
        (("plain.tflite", "--signature", "total"), "the model declares none: leave --signature out"),
    ],
)
def test_a_signature_that_is_not_clear_is_refused_with_the_list_of_them(words, fault):
    answer = answered(*words)
    assert fault in answer.fault
    assert answer.signatures


def test_a_wrong_name_ends_with_1_and_one_sentence_beside_the_list(capsys):
    status, out, err = invoke(capsys, "two.tflite", "--signature", "totl")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("shoal-agent: two.tflite: there is no signature 'totl'")
    assert out.startswith("signature double")


def test_an_input_that_is_given_twice_is_refused(capsys):
    assert invoke(capsys, "total.tflite", "a=one.npy", "a=two.npy")[0] == 1


def test_without_inputs_all_signatures_are_listed_with_their_tensors(capsys):
    status, out, _ = invoke(capsys, "two.tflite")
    assert status == 0
    assert out.splitlines() == [
        "signature double",
        "  input   twice: any float32",
        "  input   x: any float32",
        "  output  y: any float32",
        "signature total",
        "  input   a: any float32",
        "  input   b: any float32",
        "  output  sum: any float32",
    ]


def test_a_recurrent_model_remembers_between_the_steps_and_starts_anew_each_time(folder):
    for _ in range(2):
        answered("memory.tflite", "--steps", "steps.npy", "--out", "seen.npy")
        assert np.load(folder / "seen.npy").ravel().tolist() == [1, 3, 7]


def test_several_outputs_go_into_one_archive(folder, capsys):
    model, words = str(models.shared("ssd_postprocess_head_only.tflite")), []
    for index, port in enumerate(answered(model).signatures[0].inputs):
        np.save(folder / f"{index}.npy", np.zeros(port.shape, port.dtype))
        words.append(f"{port.name}={index}.npy")
    answer = results(capsys, model, *words, "--out", "found.npz")
    shapes = {output["name"]: tuple(output["shape"]) for output in answer["outputs"]}
    with np.load(folder / "found.npz") as found:
        assert {name: found[name].shape for name in found.files} == shapes
    assert shapes["TFLite_Detection_PostProcess"] == (1, 20, 4)
    refused = answered(model, *words, "--out", "found.npy")
    assert "there are 4 outputs, and a .npy file holds one: write a .npz file" in refused.detail


@pytest.mark.parametrize(
    "values",
    [
        np.array([0x7FA00000, 0], np.uint32).view(np.float32),
        np.array([np.inf, -np.inf], np.float32),
        np.array([1.7e308, 1.7e308]),
    ],
    ids=["a signalling NaN", "both infinities", "a sum beyond the largest number"],
)
def test_outputs_that_are_no_numbers_are_summed_up_without_a_warning(values):
    output = invoking._output("boxes", values)
    assert len(output.first) == 2
    assert not np.isfinite(output.mean)


def test_a_model_that_kills_its_process_costs_one_sentence(folder, capsys):
    side = Form((1, 4, 4, 3), "float32")
    content = models.that_crashes(classifier(side, Form((1, 48), "float32")))
    (folder / "bad.tflite").write_bytes(content)
    np.save(folder / "image.npy", np.zeros((1, 4, 4, 3), np.float32))
    status, _, err = invoke(capsys, "bad.tflite", "image.npy")
    assert status == 1
    assert "killed by SIGSEGV" in err
