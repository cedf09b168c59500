"""`shoal evaluate`, with the runtimes themselves in a process of their own."""

import csv
import json
import re
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from deploy.cli.main import main
from deploy.core.factory.evaluation.document import Report
from tests import models
from tests.models import TINY, TINY_FLOAT, TINY_INT8, shared

EDGETPU = "mobilenet_v1_0.25_128_quant_edgetpu.tflite"
LABELLED = {"parrot.jpg": "macaw", "cat.bmp": "Egyptian cat", "sunflower.bmp": "daisy"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pictures in folders of their label, and parts of them, so that there is something to count."""
    for name, label in LABELLED.items():
        folder = tmp_path / "data" / label
        folder.mkdir(parents=True)
        with Image.open(models.pictures() / name) as picture:
            whole = picture.convert("RGB")
        for number, share in enumerate((1.0, 0.8, 0.6)):
            side = int(min(whole.size) * share)
            whole.crop((0, 0, side, side)).resize((160, 160)).save(folder / f"{number}.png")
    return tmp_path / "data"


def with_a_cramped_layer(content: bytes) -> bytes:
    """The range of one tensor in the middle is a tenth of what it ought to be."""

    def cramp(model) -> None:
        graph = model.subgraphs[0]
        tensor = graph.tensors[graph.operators[12].outputs[0]]
        tensor.quantization.scale = np.asarray(tensor.quantization.scale, np.float32) / 10

    return models._changed(content, cramp)


def refusal(capsys, *words: object) -> str:
    assert main(["evaluate", *map(str, words)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1, told.err
    return told.err


def test_models_are_compared_in_one_table_with_the_document_and_a_page(tmp_path, data, capsys):
    pytest.importorskip("matplotlib", reason="plots need it")
    cramped = tmp_path / "cramped.tflite"
    cramped.write_bytes(with_a_cramped_layer(shared(TINY_INT8).read_bytes()))
    out, page = tmp_path / "evaluation.json", tmp_path / "report.html"
    words = [shared(TINY), cramped, "--reference", shared(TINY_FLOAT), "--data", data, "--layers"]
    assert main(["evaluate", *map(str, words), "-o", str(out), "--report", str(page)]) == 0

    table = capsys.readouterr().out
    found = msgspec.json.decode(out.read_bytes(), type=Report)
    files = [model.evaluation.model.file for model in found.models]
    assert set(files) == {TINY, TINY_FLOAT, "cramped.tflite"}
    by_file = dict(zip(files, found.models, strict=True))
    assert by_file[TINY_FLOAT].evaluation.beside is None
    assert by_file[TINY].evaluation.beside.same_first.of == 9
    assert by_file[TINY].evaluation.accuracy.top1.of == 9
    assert 0 < by_file[TINY].evaluation.model.pulled < by_file[TINY].evaluation.model.length
    assert len(found.pairs) == 3
    assert all(pair.verdict in table for pair in found.pairs)

    hurt = next(each for each in found.layers if files[each.model] == "cramped.tflite")
    assert hurt.matched_by == "name"
    assert max(hurt.layers, key=lambda layer: layer.added).place == 12
    assert "outside the calibrated range" in hurt.advice[0]
    assert hurt.advice[0] in table

    written = page.read_text()
    assert not re.search(r'(src|href|url\()\s*=?\s*["\']?(https?:)?//', written)
    assert "<script" not in written
    assert written.count("<svg") == written.count("</svg>") >= 5
    assert 'src="data:image/jpeg;base64,' in written


def test_the_same_evaluation_twice_differs_in_milliseconds_alone(data, capsys):
    def run() -> list:
        assert main(["evaluate", str(shared(TINY)), "--data", str(data), "--json"]) == 0
        return [model["evaluation"] for model in json.loads(capsys.readouterr().out)["models"]]

    assert run() == run()


def test_arrays_and_numbers_of_classes_are_data_too(tmp_path, data, capsys):
    pictures = sorted(data.rglob("*.png"))
    x = np.stack([np.asarray(Image.open(path)) for path in pictures])
    labels = models.labels_of(shared(TINY))
    y = [
        next(n for n, label in enumerate(labels) if path.parent.name in label.split(", "))
        for path in pictures
    ]
    np.savez(tmp_path / "d.npz", x=x, y=np.array(y))
    answers = []
    for given in (data, tmp_path / "d.npz"):
        assert main(["evaluate", str(shared(TINY)), "--data", str(given), "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out)["models"][0]["evaluation"]["accuracy"])
    assert answers[0]["top1"] == answers[1]["top1"]
    assert answers[0]["brier"] == pytest.approx(answers[1]["brier"])


def test_each_runtime_has_its_row_where_both_are_asked_for(data, capsys):
    pytest.importorskip("tflite_runtime", reason="it has no wheel for this Python")
    words = [str(shared(TINY)), "--data", str(data), "--runtime", "both", "--limit", "3"]
    assert main(["evaluate", *words]) == 0
    told = capsys.readouterr().out
    assert f"{TINY} (litert)" in told
    assert f"{TINY} (tflite)" in told
    assert "3 pictures on ai-edge-litert" in told
    assert "and tflite-runtime" in told


def test_pictures_without_labels_tell_agreement(capsys):
    words = [str(shared(TINY)), str(shared(TINY_FLOAT)), "--data", str(models.pictures())]
    assert main(["evaluate", *words]) == 0
    told = capsys.readouterr()
    assert "AGREES" in told.out
    assert "TOP-1" not in told.out
    assert f"the others are held against {TINY}" in told.err


def test_a_picture_that_cannot_be_read_is_passed_over_and_named(data, capsys):
    (data / "daisy" / "0.png").write_bytes(b"\x89PNG and no more")
    assert main(["evaluate", str(shared(TINY)), "--data", str(data)]) == 0
    told = capsys.readouterr()
    assert "1 picture was passed over" in told.err
    assert "0.png is no picture" in told.err
    assert "8 pictures on" in told.out


def test_an_answer_that_is_no_number_is_named(tmp_path, data, capsys):
    broken = tmp_path / "nan.tflite"
    broken.write_bytes(models.with_nan_output(shared(TINY_FLOAT).read_bytes()))
    words = [str(broken), str(shared(TINY)), "--data", str(data)]
    assert main(["evaluate", *words, "--layers", "--reference", str(shared(TINY_FLOAT))]) == 0
    told = capsys.readouterr()
    assert "nan.tflite: CONV_2D" in told.out
    assert "nan.tflite answers 9 of 9 pictures with NaN or infinity" in told.err
    assert told.out.splitlines()[3].startswith("nan.tflite"), "the worst is last"


def test_a_model_that_kills_its_runtime_is_named_in_a_sentence(tmp_path, data, capsys):
    deadly = tmp_path / "deadly.tflite"
    deadly.write_bytes(models.that_crashes(shared(TINY).read_bytes()))
    page = tmp_path / "report.html"
    said = refusal(capsys, shared(TINY), deadly, "--data", data, "--report", page)
    assert "died while" in said
    assert "deadly.tflite: the file is damaged" in said
    assert not page.exists()


def test_what_cannot_be_evaluated_is_refused_in_a_sentence(tmp_path, data, capsys):
    truncated = tmp_path / "half.tflite"
    truncated.write_bytes(models.truncated(shared(TINY).read_bytes()))
    assert "half.tflite" in refusal(capsys, truncated, "--data", data)
    assert "evaluate the file that it was compiled from" in refusal(capsys, shared(EDGETPU), "--data", data)
    assert "no such file" in refusal(capsys, shared(TINY), "--data", tmp_path / "nowhere").lower()
    assert "No such file" in refusal(capsys, tmp_path / "none.tflite", "--data", data)
    assert "(.html) or a picture (.png)" in refusal(
        capsys, shared(TINY), "--data", data, "--report", tmp_path / "r.pdf"
    )
    assert "there is no folder" in refusal(
        capsys, shared(TINY), "--data", data, "-o", tmp_path / "no" / "e.json"
    )
    assert "--reference" in refusal(capsys, shared(TINY), "--data", data, "--layers")
    bare = refusal(capsys, shared(TINY_FLOAT), "--data", data)
    assert "the models know classes 0 to 1000" in bare
    short = models.label_file(tmp_path / "labels.txt", 1000)
    assert "1000 labels for 1001 classes; the model may count a background class" in refusal(
        capsys, shared(TINY_FLOAT), "--data", data, "--labels", short
    )


def test_unknown_labels_are_refused_or_left_out(data, capsys):
    shutil.copytree(data / "daisy", data / "toastr")
    said = refusal(capsys, shared(TINY), "--data", data)
    assert "'toastr' (is it 'toaster'?)" in said
    assert main(["evaluate", str(shared(TINY)), "--data", str(data), "--known-only"]) == 0
    told = capsys.readouterr()
    assert "3 of 12 pictures are left out" in told.err
    assert "9 pictures on" in told.out


def test_a_table_of_labels_gives_what_folders_give(tmp_path, data, capsys):
    flat = tmp_path / "flat"
    flat.mkdir()
    with (flat / "labels.csv").open("w", newline="") as opened:
        table = csv.writer(opened)
        table.writerow(["file", "label"])
        for path in sorted(data.rglob("*.png")):
            name = f"{path.parent.name}-{path.name}"
            shutil.copy(path, flat / name)
            table.writerow([name, path.parent.name])
    tops = []
    for given in (data, flat):
        assert main(["evaluate", str(shared(TINY)), "--data", str(given), "--json"]) == 0
        tops.append(json.loads(capsys.readouterr().out)["models"][0]["evaluation"]["accuracy"])
    assert tops[0] == tops[1]


def test_a_picture_of_the_plots_is_a_png(tmp_path, data):
    pytest.importorskip("matplotlib", reason="plots need it")
    picture = tmp_path / "report.png"
    words = [str(shared(TINY)), "--data", str(data), "--report", str(picture)]
    assert main(["evaluate", *words]) == 0
    with Image.open(picture) as opened:
        assert opened.format == "PNG"
        assert min(opened.size) > 500
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_operators_normalization_counts_where_the_file_says_none(data, capsys):
    def agreement(*more: str) -> float:
        words = [
            str(shared(TINY)),
            "--reference",
            str(shared(TINY_FLOAT)),
            "--data",
            str(data),
            "--json",
            *more,
        ]
        assert main(["evaluate", *words]) == 0
        found = msgspec.json.decode(capsys.readouterr().out, type=Report)
        return next(m.evaluation.beside.score_distance_mean for m in found.models if m.evaluation.beside)

    assert agreement("--mean", "127.5", "--std", "127.5") < 0.15
    assert agreement("--mean", "0", "--std", "40") != agreement()
    assert main(["evaluate", str(shared(TINY)), "--data", str(data), "--mean", "0"]) == 1
    assert "--mean and --std belong together" in capsys.readouterr().err


def test_where_nothing_draws_the_page_and_the_table_still_come(tmp_path, data, capsys, monkeypatch):
    absent = tmp_path / "path" / "matplotlib"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ModuleNotFoundError(name='matplotlib')")
    monkeypatch.setenv("PYTHONPATH", str(absent.parent))
    words = ["evaluate", str(shared(TINY)), "--data", str(data), "--report"]
    assert main([*words, str(tmp_path / "r.html")]) == 0
    told = capsys.readouterr()
    assert "the report has no plots: plots need matplotlib: pip install 'shoal[evaluate]'" in told.err
    assert "TOP-1" in told.out
    assert "<table" in (tmp_path / "r.html").read_text()
    assert main([*words, str(tmp_path / "r.png")]) == 1
    assert "pip install 'shoal[evaluate]'" in capsys.readouterr().err
    assert not (tmp_path / "r.png").exists()
