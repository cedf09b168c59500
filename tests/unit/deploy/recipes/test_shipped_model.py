"""What lies in models/ is what its cards say."""

import hashlib
import importlib
import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agent.core.inference.labels import embedded
from agent.core.tflite import flatmodel
from agent.wire.documents import Normalization

MODELS = Path(__file__).parents[4] / "models"
MODEL = MODELS / "efficientnet_lite0"
PHOTOGRAPHS = MODELS / "photographs"
CARD = tomllib.loads((MODEL / "model.toml").read_text(encoding="utf-8"))
LABELS = (MODEL / CARD["labels"]).read_text(encoding="utf-8").splitlines()
REGISTRY = tomllib.loads((MODELS / "registry.toml").read_text(encoding="utf-8"))
FLOAT32 = json.loads(Path(__file__).with_name("efficientnet_lite0_float32.json").read_text(encoding="utf-8"))
"""By photograph, the five highest scores of the network as it was published, in 32 bits, by class."""
RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


def credited() -> dict[str, tuple[str, float]]:
    """The photographs in the table of credits: what the model sees in each, and its score."""
    lines = (PHOTOGRAPHS / "CREDITS.md").read_text(encoding="utf-8").splitlines()
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines]
    return {row[0]: (row[4], float(row[5])) for row in rows if row[0].endswith(".jpg")}


def test_the_model_is_the_file_that_its_card_names():
    artifact = (MODEL / CARD["file"]).read_bytes()
    assert (hashlib.sha256(artifact).hexdigest(), len(artifact)) == (CARD["sha256"], CARD["length"])


def test_the_float_file_is_the_one_that_the_card_names_and_describes_itself():
    content = (MODEL / CARD["float16"]["file"]).read_bytes()
    found = CARD["float16"]
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (found["sha256"], found["length"])
    facts = flatmodel.examine(content)
    assert facts.card.normalization == Normalization(mean=(found["mean"],), std=(found["std"],))
    assert list(embedded(content, facts)) == LABELS


def test_the_licence_is_the_one_that_came_with_the_weights():
    licence = (MODEL / "LICENSE").read_bytes()
    assert hashlib.sha256(licence).hexdigest() == CARD["provenance"]["licence_file_sha256"]


def test_a_thousand_labels_read_differently():
    assert len({label.casefold() for label in LABELS}) == len(LABELS) == 1000
    assert all(label == label.strip() and label for label in LABELS)


def test_the_calibration_list_has_the_photographs_that_the_card_counts():
    lines = (MODEL / "calibration.txt").read_text(encoding="utf-8").splitlines()
    roles = [line.split()[1] for line in lines]
    assert roles.count("calibration") == CARD["calibration"]["photographs"]
    assert roles.count("held-out") == CARD["agreement"]["photographs"]
    assert len({line.split()[0] for line in lines}) == len(lines)


def test_every_photograph_is_credited_and_every_credit_has_its_photograph():
    assert sorted(credited()) == sorted(path.name for path in PHOTOGRAPHS.glob("*.jpg"))
    assert len(credited()) == 12


@pytest.mark.parametrize("name", sorted(credited()))
def test_a_photograph_is_small_and_shows_something_the_model_knows(name):
    path = PHOTOGRAPHS / name
    with Image.open(path) as picture:
        assert (picture.format, max(picture.size) <= 640) == ("JPEG", True)
    assert path.stat().st_size < 120_000
    assert credited()[name][0] in LABELS


@pytest.mark.parametrize(
    "variant",
    [variant for entry in REGISTRY.values() for variant in entry["variant"]],
    ids=lambda entry: entry["file"],
)
def test_a_registry_entry_names_one_file_at_a_fixed_commit(variant):
    address = (
        rf"https://raw\.githubusercontent\.com/google-coral/test_data/[0-9a-f]{{12,40}}/{variant['file']}"
    )
    assert re.fullmatch(address, variant["url"])
    assert re.fullmatch(r"[0-9a-f]{64}", variant["sha256"])
    assert variant["length"] > 100_000
    assert variant["delegate"] == ("edgetpu" if variant["file"].endswith("_edgetpu.tflite") else "cpu")


def test_each_registry_model_has_a_variant_for_the_cpu():
    for entry in REGISTRY.values():
        assert entry["licence"] == "Apache-2.0"
        assert [variant["delegate"] for variant in entry["variant"]].count("cpu") == 1


@pytest.fixture(scope="module", params=RUNTIMES)
def interpreter(request) -> Any:
    if importlib.util.find_spec(request.param.split(".", maxsplit=1)[0]) is None:
        pytest.skip(f"{request.param} is not installed")
    loaded = importlib.import_module(request.param).Interpreter(str(MODEL / CARD["file"]))
    loaded.allocate_tensors()
    return loaded


def test_the_tensors_are_those_of_the_card(interpreter):
    (entry,), (scores,) = interpreter.get_input_details(), interpreter.get_output_details()
    wanted = CARD["input"]
    assert tuple(entry["shape"]) == (1, wanted["height_px"], wanted["width_px"], 3)
    assert entry["quantization"] == (wanted["scale"], wanted["zero_point"])
    assert (entry["dtype"], scores["dtype"], tuple(scores["shape"])) == (np.uint8, np.uint8, (1, 1000))


@pytest.mark.parametrize("name", sorted(credited()))
def test_the_model_sees_what_the_credits_say(interpreter, name):
    (entry,), (scores,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(entry["index"], centre(PHOTOGRAPHS / name)[np.newaxis])
    interpreter.invoke()
    answer = interpreter.get_tensor(scores["index"])[0]
    label, score = credited()[name]
    assert LABELS[answer.argmax()] == label
    assert answer.max() / 256 == pytest.approx(score, abs=0.05)


@pytest.fixture(scope="module", params=RUNTIMES)
def float_scores(request) -> Any:
    """Of the float16 file, by photograph."""
    if importlib.util.find_spec(request.param.split(".", maxsplit=1)[0]) is None:
        pytest.skip(f"{request.param} is not installed")
    path = str(MODEL / CARD["float16"]["file"])
    loaded = importlib.import_module(request.param).Interpreter(path, num_threads=2)
    loaded.allocate_tensors()
    (entry,), (scores,) = loaded.get_input_details(), loaded.get_output_details()
    found = {}
    for name in FLOAT32:
        pixels = centre(PHOTOGRAPHS / name)[np.newaxis].astype(np.float32)
        loaded.set_tensor(entry["index"], (pixels - CARD["float16"]["mean"]) / CARD["float16"]["std"])
        loaded.invoke()
        found[name] = loaded.get_tensor(scores["index"])[0]
    return found


def test_weights_of_16_bits_give_the_scores_of_32(float_scores):
    distances = [
        abs(float_scores[name][int(number)] - score)
        for name, best in FLOAT32.items()
        for number, score in best.items()
    ]
    assert len(distances) == 60
    assert np.mean(distances) < 1e-3
    assert max(distances) < 1.5e-2
    for name, best in FLOAT32.items():
        assert str(float_scores[name].argmax()) == max(best, key=best.get)


def centre(path: Path) -> Any:
    with Image.open(path) as picture:
        width_px, height_px = picture.size
        side = min(picture.size)
        left, top = (width_px - side) / 2, (height_px - side) / 2
        box = (left, top, left + side, top + side)
        return np.asarray(picture.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR, box))
