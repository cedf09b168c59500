"""The pure parts of the recipe: labels, photographs, network weights, the card."""

import tomllib

import numpy as np
import pytest
from PIL import Image

from deploy.recipes import lite0_network, photographs
from deploy.recipes.imagenet_labels import short_labels
from deploy.recipes.model_card import toml_document
from deploy.recipes.photographs import Photograph


def synonyms(**changed: str) -> list[str]:
    lines = ["background"] + [f"thing {number}, other name {number}" for number in range(1, 1001)]
    for index, line in changed.items():
        lines[int(index.lstrip("_"))] = line
    return lines


def test_a_label_is_the_first_synonym_without_the_background():
    labels = short_labels(synonyms(_1="tench, Tinca tinca"))
    assert (len(labels), labels[0], labels[1]) == (1000, "tench", "thing 2")


def test_classes_known_to_share_a_name_are_told_apart():
    labels = short_labels(synonyms(_135="crane", _518="crane"))
    assert (labels[134], labels[517]) == ("crane (bird)", "crane (machine)")


def test_an_unexpected_shared_name_is_refused():
    with pytest.raises(ValueError, match=r"share the names \['thing 1'\]"):
        short_labels(synonyms(_2="Thing 1, else"))


@pytest.mark.parametrize("lines", [[], synonyms()[1:], ["tench"] * 1001])
def test_another_list_is_refused(lines):
    with pytest.raises(ValueError, match="expected background"):
        short_labels(lines)


def picture(path, size, colour) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_photographs_are_found_once_and_in_an_order_that_names_do_not_change(tmp_path):
    picture(tmp_path / "one/a.png", (4, 4), "red")
    picture(tmp_path / "one/deep/b.PNG", (4, 4), "blue")
    picture(tmp_path / "two/z.png", (4, 4), "red")
    (tmp_path / "two/notes.txt").write_text("no picture")
    forward = photographs.find([tmp_path / "one", tmp_path / "two"])
    backward = photographs.find([tmp_path / "two", tmp_path / "one"])
    assert len(forward) == 2
    assert [found.sha256 for found in forward] == sorted(found.sha256 for found in backward)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no picture"):
        photographs.find([tmp_path])


def test_no_photograph_both_calibrates_and_judges(tmp_path):
    every = [Photograph(tmp_path / f"{number}.png", f"{number:064}") for number in range(10)]
    division = photographs.split(every)
    assert set(division.calibration) | set(division.held_out) == set(every)
    assert not set(division.calibration) & set(division.held_out)
    assert len(division.held_out) == 3


def test_the_listing_names_digest_role_and_file(tmp_path):
    every = [Photograph(tmp_path / f"album/{number}.png", f"{number:064}") for number in range(2)]
    lines = photographs.listing(photographs.split(every)).splitlines()
    assert [line.split() for line in lines] == [
        [f"{1:064}", "calibration", "album/1.png"],
        [f"{0:064}", "held-out", "album/0.png"],
    ]


def test_a_wide_picture_is_cropped_at_its_centre_and_both_ends():
    assert photographs.crop_boxes(200, 100) == [
        (50, 0, 150, 100),
        (70, 20, 130, 80),
        (0, 0, 100, 100),
        (100, 0, 200, 100),
    ]


def test_a_nearly_square_picture_has_no_ends():
    assert len(photographs.crop_boxes(110, 100)) == 2


def test_crops_are_the_bytes_a_device_feeds(tmp_path):
    wide = Image.new("RGB", (300, 100), "white")
    wide.paste("black", (0, 0, 100, 100))
    wide.save(tmp_path / "wide.png")
    centre, close, left, right = photographs.crops(photographs.find([tmp_path]), 8)
    assert {crop.shape for crop in (centre, close, left, right)} == {(1, 8, 8, 3)}
    assert centre.dtype == np.uint8
    inner = np.s_[:, :, 1:-1]
    assert (left[inner].max(), centre[inner].min(), right.min()) == (0, 255, 255)


def norm(name: str, channels: int, seed: int) -> dict[str, np.ndarray]:
    numbers = np.random.default_rng(seed)
    return {
        f"{name}.weight": numbers.uniform(0.5, 2, channels),
        f"{name}.bias": numbers.normal(size=channels),
        f"{name}.running_mean": numbers.normal(size=channels),
        f"{name}.running_var": numbers.uniform(0.1, 3, channels),
    }


def test_folding_equals_normalizing():
    weights = norm("bn", 4, seed=1)
    signal = np.random.default_rng(2).normal(size=(5, 4))
    deviation = np.sqrt(weights["bn.running_var"] + 1e-3)
    normalized = (signal - weights["bn.running_mean"]) / deviation * weights["bn.weight"] + weights["bn.bias"]
    scale, bias = lite0_network.fold(weights, "bn")
    assert np.allclose(signal * scale + bias, normalized)


def lite0_weights() -> dict[str, np.ndarray]:
    """One channel everywhere: the shape of the network without its size."""
    weights = {"_conv_stem.weight": np.ones((1, 3, 3, 3)), "_conv_head.weight": np.ones((1, 1, 1, 1))}
    weights |= norm("_bn0", 1, seed=0) | norm("_bn1", 1, seed=0)
    weights |= {"_fc.weight": np.ones((1000, 1)), "_fc.bias": np.zeros(1000)}
    for index in range(16):
        block = f"_blocks.{index}."
        weights[f"{block}_depthwise_conv.weight"] = np.ones((1, 1, 3, 3))
        weights[f"{block}_project_conv.weight"] = np.ones((1, 1, 1, 1))
        weights |= norm(f"{block}_bn1", 1, seed=index) | norm(f"{block}_bn2", 1, seed=index)
        if index:
            weights[f"{block}_expand_conv.weight"] = np.ones((1, 1, 1, 1))
            weights |= norm(f"{block}_bn0", 1, seed=index)
    return weights


def test_the_network_has_sixteen_blocks_that_halve_the_picture_four_times():
    layers = lite0_network.network(lite0_weights())
    assert [block.stride for block in layers.blocks] == [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    assert [block.expand is None for block in layers.blocks] == [True] + [False] * 15
    assert layers.stem.kernel.shape == (3, 3, 3, 1)
    assert layers.classifier.kernel.shape == (1, 1000)


def test_a_missing_weight_is_named():
    weights = lite0_weights()
    del weights["_blocks.9._bn2.bias"]
    with pytest.raises(KeyError, match=r"_blocks\.9\._bn2\.bias"):
        lite0_network.network(weights)


def test_the_card_reads_back_as_it_was_written():
    root = {"name": 'a "quoted" name', "length": 5}
    tables = {"input": {"scale": 0.0078125, "shape": [1, 2]}, "agreement": {"same_first": 3}}
    assert tomllib.loads(toml_document(root, tables)) == root | tables
