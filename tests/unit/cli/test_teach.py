import contextlib
import json
import os
import shutil
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from PIL import Image

from agent.assemble.desk import desk
from agent.assemble.desk.desk import Classify, Refused
from agent.assemble.desk.teaching import Teach
from agent.cli.main import main
from agent.core.inference import labels
from agent.core.serving.delegate import RuntimeChoice
from agent.core.teaching import head, record
from agent.core.tflite import flatedit, flatgraph, flatmodel
from tests.fakes.tflite import (
    FULLY_CONNECTED,
    RESHAPE,
    SOFTMAX,
    Card,
    Form,
    Operator,
    Sketch,
    build,
    card,
    edgetpu,
)
from tests.models import installed

SIDE = 4
NUMBERS = SIDE * SIDE * 3


def network(dtype: str = "float32", **others) -> bytes:
    """Three classes whose embedding is the picture itself, 48 numbers."""
    scale, zero = (0.0, 0) if dtype == "float32" else (1 / 128, 128 if dtype == "uint8" else 0)
    weights = Form((3, NUMBERS), dtype, scale, zero, content=bytes(3 * NUMBERS * np.dtype(dtype).itemsize))
    flat, logits = Form((1, NUMBERS), dtype, scale, zero), Form((1, 3), dtype, scale, zero)
    scores = (
        Form((1, 3), "float32") if dtype == "float32" else Form((1, 3), dtype, 1 / 256, 0 if zero else -128)
    )
    operators = (
        Operator(RESHAPE, (0,), (1,)),
        Operator(FULLY_CONNECTED, (1, 2, -1), (3,)),
        Operator(SOFTMAX, (3,), (4,)),
    )
    return build(
        Sketch(
            (Form((1, SIDE, SIDE, 3), dtype, scale, zero), flat, weights, logits, scores), operators, **others
        )
    )


COLOURS = {"blue": (20, 30, 220), "green": (30, 200, 40), "red": (230, 20, 30)}


def _picture(path, colour, seed):
    noise = np.random.default_rng(seed).integers(-15, 16, (8, 8, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Six noisy pictures of each colour, and a network."""
    for label, colour in COLOURS.items():
        for index in range(6):
            _picture(tmp_path / "pictures" / label / f"{index}.png", colour, index)
    (tmp_path / "model.tflite").write_bytes(network())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _best(model, picture, runtime="auto"):
    *_, found = desk.answers(Classify(model=model, images=(picture,), runtime=RuntimeChoice(runtime)))
    return found.predictions[0].label


def _lesson(model="model.tflite", images="pictures", out="taught.tflite", **others):
    """What the child process would say last, without the process."""
    *_, last = desk.answers(Teach(model=model, images=images, out=out, **others))
    return last


def _teach(*options, model="model.tflite"):
    return main(["teach", "--model", model, "-o", "taught.tflite", *options])


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
@pytest.mark.parametrize("runtime", ["litert", "tflite"])
def test_a_taught_model_names_new_pictures_in_both_runtimes(folder, dtype, runtime):
    installed(RuntimeChoice(runtime))
    (folder / "model.tflite").write_bytes(network(dtype))
    lesson = _lesson(runtime=RuntimeChoice(runtime))
    assert (lesson.right, lesson.held_out, lesson.mistaken) == (18, 18, ())
    for label, colour in COLOURS.items():
        _picture(folder / "new.png", colour, 99)
        assert _best("taught.tflite", "new.png", runtime) == label


def test_the_command_says_how_good_the_model_is(folder, capsys):
    (folder / "pictures" / "red" / "z.png").write_bytes(b"no picture")
    assert _teach("--images", "pictures") == 0
    out, err = capsys.readouterr()
    assert "taught 3 labels: blue (6), green (6), red (6)" in out
    assert "held out: 18 of 18 pictures right (100.0%; with 95 % confidence 82% to 100%)" in out
    assert "it names one of its labels whatever it sees" in out
    assert err.endswith("pictures/red/z.png: not a picture of a known format; it is left out\n")


@pytest.mark.usefixtures("folder")
def test_programs_are_told_in_json(capsys):
    assert _teach("--images", "pictures", "--json", "--unknown", "none") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["right"], told["held_out"], told["unknown_share"]) == (18, 18, 0.0)
    assert told["labels"][0] == {"name": "blue", "pictures": 6}


def test_the_same_pictures_make_the_same_bytes(folder):
    _lesson()
    _lesson(out="again.tflite", name="taught")
    assert (folder / "taught.tflite").read_bytes() == (folder / "again.tflite").read_bytes()


def test_a_taught_model_carries_labels_normalization_and_what_it_was_taught(folder):
    model = network(metadata={"TFLITE_METADATA": card(Card(mean=(10.0,), std=(50.0,)))})
    (folder / "model.tflite").write_bytes(model)
    _lesson(unknown="none of them", name="colours")
    content = (folder / "taught.tflite").read_bytes()
    facts = flatmodel.examine(content)
    assert (facts.card.name, facts.card.licence) == ("colours", "Apache-2.0")
    assert facts.card.normalization.std == (50.0,)
    assert labels.embedded(content, facts) == ("blue", "green", "red", "none of them")
    kept = record.read(flatedit.entries(content))
    assert [(label.name, label.pictures) for label in kept.labels] == [("blue", 6), ("green", 6), ("red", 6)]


def test_what_is_like_no_label_is_unknown(folder):
    _lesson(unknown="none of them")
    _picture(folder / "new.png", (255, 255, 255), 1)
    assert _best("taught.tflite", "new.png") == "none of them"
    assert _best("taught.tflite", "pictures/red/0.png") == "red"


def test_a_label_added_later_stands_beside_the_old_ones(folder):
    _picture(folder / "more" / "yellow" / "a.png", (240, 230, 20), 1)
    _picture(folder / "more" / "yellow" / "b.png", (240, 230, 20), 2)
    before = _lesson()
    after = _lesson(model="taught.tflite", images="more", add=True)
    assert [label.name for label in after.labels] == ["blue", "green", "red", "yellow"]
    assert after.layer == before.layer
    assert after.file_bytes < before.file_bytes + 1000
    for label, picture in (("red", "pictures/red/0.png"), ("yellow", "more/yellow/a.png")):
        assert _best("taught.tflite", picture) == label


def test_pictures_added_to_a_label_count_as_if_they_had_been_there(folder):
    for index in range(6):
        _picture(folder / "more" / "red" / f"{index}.png", (180, 60, 10), 50 + index)
    _lesson()
    _lesson(model="taught.tflite", images="more", add=True)
    in_steps = _rows(folder / "taught.tflite")
    for index in range(6):
        _picture(folder / "pictures" / "red" / f"x{index}.png", (180, 60, 10), 50 + index)
    _lesson()
    np.testing.assert_allclose(in_steps, _rows(folder / "taught.tflite"), atol=1e-5)


def _rows(path):
    graph = flatgraph.opened(path.read_bytes())
    known = record.prototypes(record.read(graph.entries), head.classes(graph))
    return np.stack([each.unit for each in known])


def test_frames_of_a_camera_teach_as_pictures_do(folder, capsys):
    _lesson()
    _picture(folder / "scene" / "a.png", (240, 230, 20), 1)
    _picture(folder / "scene" / "b.png", (240, 230, 60), 2)
    camera = ["--camera", "replay:scene", "--countdown", "0", "--frames-per-label", "2", "--keep", "kept"]
    assert _teach(*camera, "--label", "yellow", "--add", model="taught.tflite") == 0
    assert "yellow (2)" in capsys.readouterr().out
    assert sorted(path.name for path in (folder / "kept" / "yellow").iterdir()) == ["0000.png", "0001.png"]
    assert _best("taught.tflite", "scene/a.png") == "yellow"


def test_labels_that_look_alike_are_named(folder):
    for index in range(6):
        _picture(folder / "pictures" / "crimson" / f"{index}.png", COLOURS["red"], 20 + index)
    lesson = _lesson()
    assert any(remark.startswith("'crimson' and 'red' look alike") for remark in lesson.remarks)


def _one(folder):
    for label in ("blue", "green"):
        for path in (folder / "pictures" / label).iterdir():
            path.unlink()
        (folder / "pictures" / label).rmdir()


def _single(folder):
    for index in range(1, 6):
        (folder / "pictures" / "red" / f"{index}.png").unlink()


def _flat(folder):
    for label in COLOURS:
        (folder / "pictures" / label).rename(folder / label)


def _twice(folder):
    for index in range(6):
        _picture(folder / "pictures" / "also red" / f"{index}.png", COLOURS["red"], index)


def _compiled(folder):
    (folder / "model.tflite").write_bytes(
        edgetpu(Form((1, 2, 2, 3), "uint8", 1 / 128, 128), Form((1, 3), "uint8", 1 / 256, 0))
    )


def _damaged(folder):
    (folder / "model.tflite").write_bytes(network()[:400])


@pytest.mark.parametrize(
    ("spoil", "options", "why"),
    [
        (_one, {}, "'red' is the only label; at least 2 are needed"),
        (_single, {}, "'red' needs at least 2 different pictures and has 1"),
        (_flat, {}, "pictures has no folders: put the pictures of each label into a folder of its name"),
        (_twice, {}, "'also red' and 'red' hold the same pictures"),
        (_compiled, {}, "model.tflite: compiled for an Edge TPU, which seals all operators in one"),
        (_damaged, {}, "model.tflite: damaged"),
        (None, {"add": True}, "model.tflite: it was not taught with `shoal-agent teach`"),
        (None, {"layer": "nothing"}, "model.tflite: no operator makes a tensor 'nothing'"),
        (None, {"unknown": "red"}, "'red' is a label with pictures of its own"),
        (None, {"out": "nowhere/a.tflite"}, "nowhere/a.tflite cannot be written: there is no such folder"),
        (None, {"images": "nowhere"}, "nowhere: No such file or directory"),
    ],
)
def test_what_cannot_be_taught_is_refused_in_one_sentence_and_nothing_is_written(folder, spoil, options, why):
    if spoil is not None:
        spoil(folder)
    before = set(folder.iterdir())
    refused = _lesson(**options)
    assert isinstance(refused, Refused)
    assert refused.detail.startswith(why)
    assert set(folder.iterdir()) == before


def test_a_refusal_is_one_line(folder, capsys):
    _damaged(folder)
    assert _teach("--images", "pictures") == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("shoal-agent: model.tflite: damaged")


def _at_a_terminal(command, typed):
    """What the command says on a terminal on which these lines are typed, and its exit status."""
    ours, theirs = os.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        os.write(ours, typed)
        said = b""
        with contextlib.suppress(OSError):  # the other side is closed when the child is gone
            while more := os.read(ours, 65536):
                said += more
        status = child.wait(60)
    os.close(ours)
    return said.decode(), status


def test_a_person_at_a_terminal_is_asked_what_will_be_shown(folder):
    _lesson()
    _picture(folder / "scene" / "a.png", (240, 230, 20), 1)
    _picture(folder / "scene" / "b.png", (240, 230, 60), 2)
    command = [
        sys.executable,
        "-m",
        "agent",
        "teach",
        "--model",
        "taught.tflite",
        "--add",
        "-o",
        "more.tflite",
    ]
    options = ["--camera", "replay:scene", "--frames-per-label", "2"]
    said, status = _at_a_terminal([*command, *options], b"../x\nyellow\n\n\n")
    assert "What will you show" in said
    assert "'../x' is no label" in said
    assert "yellow: show it to the camera and press Enter" in said
    assert "yellow: 2 of 2" in said
    assert "yellow (2)" in said
    assert status == 0


def test_a_person_who_shows_nothing_is_told_so(folder):
    command = [sys.executable, "-m", "agent", "teach", "--model", "model.tflite", "-o", "more.tflite"]
    said, status = _at_a_terminal([*command, "--camera", "replay:scene"], b"\x04")
    assert "no label was named, so nothing is taught" in said
    assert status == 1
    assert not (folder / "more.tflite").exists()


def test_one_label_alone_is_not_enough_and_the_person_is_asked_on(folder):
    _picture(folder / "scene" / "a.png", (240, 230, 20), 1)
    _picture(folder / "scene" / "b.png", (240, 230, 60), 2)
    command = [sys.executable, "-m", "agent", "teach", "--model", "model.tflite", "-o", "more.tflite"]
    options = ["--camera", "replay:scene", "--frames-per-label", "2"]
    said, status = _at_a_terminal([*command, *options], b"yellow\n\n\n\x04")
    assert "One label tells nothing apart: show something else too." in said
    assert "'yellow' is the only label" in said
    assert status == 1


@pytest.mark.parametrize(
    ("spoil", "options", "why"),
    [
        (_damaged, [], "model.tflite: damaged"),
        (None, ["--out", "nowhere/a.tflite"], "nowhere/a.tflite cannot be written: there is no such folder"),
        (None, ["--out", "pictures"], "pictures cannot be written: it is a folder"),
    ],
)
def test_nobody_shows_anything_to_a_camera_in_vain(folder, capsys, spoil, options, why):
    if spoil is not None:
        spoil(folder)
    shown = ["--camera", "replay:pictures/red", "--label", "a", "--label", "b", "--countdown", "0"]
    assert _teach(*shown, "--keep", "kept", *options) == 1
    assert why in capsys.readouterr().err
    assert not (folder / "kept").exists()


def test_copies_of_a_picture_judge_nothing(folder):
    for index in range(4):
        shutil.copy(folder / "pictures" / "red" / "0.png", folder / "pictures" / "red" / f"copy {index}.png")
    lesson = _lesson()
    assert (lesson.right, lesson.held_out) == (18, 18)
    assert "left out, because they are copies of others: 4 pictures" in lesson.remarks


def test_a_camera_that_is_not_there_is_said(folder, capsys):
    labels = ["--label", "a", "--label", "b"]
    assert _teach("--camera", "replay:nowhere", *labels, "--countdown", "0") == 1
    assert "name an existing folder" in capsys.readouterr().err
    assert not (folder / "taught.tflite").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--camera", "telescope", "--label", "a"],
        ["--camera", "auto", "--label", "../a"],
        ["--camera", "auto", "--label", "a", "--label", "a"],
        ["--camera", "auto", "--label", "a", "--frames-per-label", "1"],
        ["--camera", "auto", "--label", "a", "--countdown", "soon"],
        ["--images", "pictures", "--label", "a"],
        ["--camera", "auto", "--images", "pictures"],
        [],
    ],
)
@pytest.mark.usefixtures("folder")
def test_wrong_usage_is_refused(options):
    with pytest.raises(SystemExit) as ended:
        _teach(*options)
    assert ended.value.code == 2


def test_a_record_that_belongs_to_other_weights_is_refused(folder):
    _lesson()
    content = (folder / "taught.tflite").read_bytes()
    kept = record.read(flatedit.entries(content))
    odd = msgspec.json.encode(msgspec.structs.replace(kept, labels=kept.labels[:2]))
    (folder / "odd.tflite").write_bytes(flatedit.with_entries(content, {record.ENTRY: odd}))
    refused = _lesson(model="odd.tflite", add=True)
    assert "changed by another program since: teach it anew" in refused.detail
