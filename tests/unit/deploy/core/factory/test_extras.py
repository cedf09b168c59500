import tomllib
from pathlib import Path

import pytest

from deploy.core.factory import extras

PROJECT = tomllib.loads((Path(__file__).parents[5] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("tensorflow.lite.python", "convert"),
        ("jax", "convert"),
        ("torch.nn", "convert-torch"),
        ("onnxruntime", "convert-onnx"),
    ],
)
def test_what_is_missing_is_named_with_an_extra_that_there_is(module, extra):
    said = extras.missing(module)

    assert said == f"{module.partition('.')[0]} is not installed: pip install 'shoal[{extra}]'"
    assert extra in PROJECT["optional-dependencies"]


def test_the_operators_own_packages_are_in_no_extra():
    assert extras.missing("birdwatching.weights") is None
