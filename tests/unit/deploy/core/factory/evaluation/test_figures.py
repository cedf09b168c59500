"""From answers to figures, and from figures to a verdict."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.wire.documents import Fit
from agent.wire.topics import Digest
from deploy.core.factory.evaluation import document, figures, plotting, summary, verdicts
from deploy.core.factory.evaluation.document import Evaluation, Model, ModelSaid, Report
from deploy.core.factory.evaluation.seen import Seen
from deploy.core.factory.evaluation.verdicts import Marked

DATA, MODEL = Digest("a" * 64), Digest("b" * 64)
SAID = ModelSaid(
    file="m.tflite",
    digest=MODEL,
    length=10,
    pulled=8,
    arithmetic="integer",
    runtime="r 1",
    delegate="cpu",
    threads=1,
    fit=Fit.CENTRE_CROP,
)


def seen(scores: list[float], truth: int | None, *, finite: bool = True, distance: float = 0.0) -> Seen:
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    return Seen(
        top=tuple((place, scores[place]) for place in order[:5]),
        rank=None if truth is None else order.index(truth),
        truth_score=0.0 if truth is None else scores[truth],
        squares=sum(score * score for score in scores),
        finite=finite,
        distance=distance,
        invoke_ms=1.0,
        whole_ms=2.0,
    )


def evaluated(answers: list[Seen], truths: list[int | None], classes: int = 3) -> Evaluation:
    labels = [f"label {place}" for place in range(classes)]
    return figures.evaluation(SAID, answers, truths, labels, ("shoal 0", DATA))


def test_figures_of_three_pictures_are_what_a_hand_counts():
    answers = [seen([0.7, 0.2, 0.1], 0), seen([0.6, 0.3, 0.1], 1), seen([0.0, 0.0, 1.0], 2)]
    found = evaluated(answers, [0, 1, 2]).accuracy
    assert (found.top1.count, found.top1.of) == (2, 3)
    assert found.top5 is None, "of three classes each is among the first five"
    assert found.brier == pytest.approx((0.09 + 0.04 + 0.01 + 0.36 + 0.49 + 0.01) / 3)
    assert found.calibration_error == pytest.approx((0.3 + 0.6 + 0.0) / 3)
    assert [(each.support, each.named, each.right) for each in found.classes] == [
        (1, 2, 1),
        (1, 0, 0),
        (1, 1, 1),
    ]
    assert [(each.precision, each.recall) for each in found.classes] == [(0.5, 1.0), (0.0, 0.0), (1.0, 1.0)]
    assert [(each.truth, each.named, each.count) for each in found.confused] == [("label 1", "label 0", 1)]


def test_of_six_classes_it_tells_how_often_the_truth_is_among_the_first_five():
    scores = [0.3, 0.25, 0.2, 0.15, 0.06, 0.04]
    found = evaluated([seen(scores, 4), seen(scores, 5), seen(scores, 0, finite=False)], [4, 5, 0], 6)
    assert (found.accuracy.top1.count, found.accuracy.top5.count, found.accuracy.top5.of) == (0, 1, 3)


@pytest.mark.parametrize(("top5", "shown"), [(None, False), (figures.rate(9, 10), True)])
def test_the_first_five_have_a_column_and_figures_only_where_they_mean_something(top5, shown):
    of = evaluated([seen([0.7, 0.2, 0.1], 0)], [0])
    of = replace(of, accuracy=replace(of.accuracy, top5=top5))
    model = Model(evaluation=of, latency=figures.latency([seen([1.0], 0)]))
    headings, (row,) = summary.table(Report(models=(model,), reference=None, pairs=()))
    assert ("top-5" in headings, "90.0 %" in row, len(row)) == (shown, shown, len(headings))
    assert ("top5_low" in document.figures(of)) is shown


def test_an_answer_that_is_no_number_is_wrong_and_counted():
    found = evaluated([seen([0.9, 0.1, 0.0], 0, finite=False), seen([0.9, 0.1, 0.0], 0)], [0, 0])
    assert found.not_finite == 1
    assert found.accuracy.top1.count == 1
    assert found.accuracy.brier == pytest.approx((2.0 + 0.02) / 2)


def test_without_labels_there_is_no_accuracy_but_agreement():
    held = [seen([0.9, 0.1, 0.0], None), seen([0.1, 0.9, 0.0], None)]
    own = [seen([0.8, 0.2, 0.0], None, distance=0.1), seen([0.6, 0.4, 0.0], None, distance=0.5)]
    assert evaluated(own, [None, None]).accuracy is None
    beside = figures.beside(MODEL, held, own)
    assert (beside.same_first.count, beside.score_distance_max) == (1, 0.5)
    assert beside.score_distance_mean == pytest.approx(0.3)


@given(st.lists(st.tuples(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.integers(0, 3)), min_size=1))
def test_every_picture_is_counted_once_in_classes_confusions_and_the_matrix(drawn):
    answers = [seen(scores, truth) for scores, truth in drawn]
    found = evaluated(answers, [truth for _, truth in drawn], classes=4).accuracy
    assert (
        sum(each.support for each in found.classes) == sum(each.named for each in found.classes) == len(drawn)
    )
    assert sum(each.right for each in found.classes) == found.top1.count
    assert sum(each.count for each in found.confused) == len(drawn) - found.top1.count
    matrix = plotting.matrix(found)
    assert matrix.counts.sum() == len(drawn)
    assert matrix.counts.trace() == found.top1.count


def test_the_document_is_the_same_bytes_for_the_same_answers_and_reads_back():
    found = evaluated([seen([0.7, 0.2, 0.1], 0)], [0])
    written = msgspec.json.encode(found)
    assert written == msgspec.json.encode(evaluated([seen([0.7, 0.2, 0.1], 0)], [0]))
    assert msgspec.json.decode(written, type=Evaluation) == found
    assert document.figures(found)["top1"] == 1.0


def marked(name: str, right: int, of: int, shift: int = 0) -> Marked:
    return Marked(name, tuple((place + shift) % of < right for place in range(of)))


def test_a_tenth_of_a_point_on_a_thousand_pictures_is_not_sold_as_a_difference():
    # 910 right against 909, and ten pictures each that only one gets right.
    first = tuple([True] * 910 + [False] * 90)
    second = tuple([False] * 10 + [True] * 909 + [False] * 81)
    (pair,) = verdicts.pairs([Marked("a", first), Marked("b", second)])
    assert (pair.only_first_right, pair.only_second_right) == (10, 9)
    assert pair.p == pytest.approx(1.0)
    assert pair.verdict.startswith(
        "a and b cannot be told apart: 0.1 points on 1,000 pictures (95 %: -0.8 to 1.0"
    )
    assert pair.verdict.endswith("pictures would be needed to show it")
    assert pair.pictures_needed > 100_000


def test_a_clear_difference_is_one_and_says_whose_it_is():
    (pair,) = verdicts.pairs([marked("a", 700, 1000), marked("b", 900, 1000)])
    assert pair.verdict.startswith("b is better than a by 20.0 points on 1,000 pictures")
    assert "p below 0.001" in pair.verdict
    assert pair.difference == pytest.approx(-0.2)
    assert pair.low < pair.difference < pair.high < 0


def test_equal_models_are_right_equally_often():
    (pair,) = verdicts.pairs([marked("a", 5, 10), marked("b", 5, 10)])
    assert pair.verdict.startswith("a and b are right equally often on 10 pictures (95 %: -")
    assert pair.low == -pair.high
    assert pair.pictures_needed is None


def test_one_of_many_comparisons_is_judged_more_strictly_than_a_single_one():
    first, second = marked("a", 994, 1000), marked("b", 1000, 1000)
    (alone,) = verdicts.pairs([first, second])
    several = verdicts.pairs([first, second, marked("c", 1000, 1000), marked("d", 1000, 1000)])
    assert "is better than" in alone.verdict
    assert "cannot be told apart" in several[0].verdict
    assert several[0].p > alone.p
