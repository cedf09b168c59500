from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from deploy.cli.factory.number_options import above, between, whole
from deploy.cli.factory.progress_lines import ProgressLines
from deploy.core.factory.words import Progress


@pytest.mark.parametrize(
    ("reads", "text", "value"),
    [
        (whole(1), "1", 1),
        (whole(2, 256), "256", 256),
        (between(0.0), "0", 0.0),
        (between(0.0, 1.0), "1", 1.0),
        (above(0.0, 0.9), "0.9", 0.9),
    ],
)
def test_a_number_within_its_bounds_is_read(reads: Callable[[str], float], text: str, value: float) -> None:
    assert reads(text) == value


@pytest.mark.parametrize(
    ("reads", "text", "said"),
    [
        (whole(1), "0", "'0' is not a whole number from 1 up"),
        (whole(2, 256), "257", "'257' is not a whole number from 2 to 256"),
        (whole(0), "-1", "'-1' is not a whole number from 0 up"),
        (whole(0), "1_0", "'1_0' is not a whole number from 0 up"),
        (whole(0), "²", "'²' is not a whole number from 0 up"),
        (whole(0), "", "'' is not a whole number from 0 up"),
        (between(0.0), "inf", "'inf' is not a number from 0 up"),
        (between(0.0, 1.0), "nan", "'nan' is not a number from 0 to 1"),
        (between(0.0, 1.0), "half", "'half' is not a number from 0 to 1"),
        (above(0.0, 0.9), "0", "'0' is not a number above 0 and at most 0.9"),
    ],
)
def test_what_is_no_such_number_is_told_with_the_bounds(
    reads: Callable[[str], float], text: str, said: str
) -> None:
    with pytest.raises(ArgumentTypeError) as refused:
        reads(text)
    assert str(refused.value) == said


def test_work_makes_a_line_when_it_begins_and_one_a_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ProgressLines(counted_from=20)
    for done in range(1, 41):
        lines.note(Progress(what="looking at pictures", done=done, total=40))
    for done in range(1, 11):
        lines.note(Progress(what="looking at few", done=done, total=10))

    said = capsys.readouterr().err.splitlines()

    assert said[:2] == ["looking at pictures ...", "looking at pictures, 4 of 40 ..."]
    assert said[-2:] == ["looking at pictures, 40 of 40 ...", "looking at few ..."]
    assert len(said) == 12
