"""Labelled pictures are divided by what they show, and what cannot be a data set is said in one sentence."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.inference import labels as label_files
from agent.wire.topics import sha256
from deploy.core.factory.training import dataset
from deploy.core.factory.training.dataset import Picture, Shares
from deploy.core.refusal import Refused

SETS = st.lists(st.integers(dataset.PICTURES_MIN, 40), min_size=2, max_size=6)
NAMES = tuple("abcdef")


def pictures(counts):
    return [
        Picture(f"{label}/{number}", label, sha256(f"{label}/{number}".encode()))
        for label, count in enumerate(counts)
        for number in range(count)
    ]


@given(SETS, st.integers(0, 100), st.randoms())
def test_every_picture_is_in_one_part_whatever_the_order_and_the_names_of_files(counts, seed, shuffled):
    every = pictures(counts)
    divided = dataset.divide(every, NAMES[: len(counts)], Shares(), seed)
    parts = (divided.training, divided.validation, divided.test)
    assert Counter(p.digest for part in parts for p in part) == Counter(p.digest for p in every)
    moved = [Picture("elsewhere", p.label, p.digest) for p in every]
    shuffled.shuffle(moved)
    again = dataset.divide(moved, NAMES[: len(counts)], Shares(), seed)
    assert [p.digest for p in again.test] == [p.digest for p in divided.test]


@given(SETS, st.integers(0, 100))
def test_each_label_is_in_each_part_by_its_share(counts, seed):
    divided = dataset.divide(pictures(counts), NAMES[: len(counts)], Shares(0.2, 0.1), seed)
    for label, count in enumerate(counts):
        held = [
            sum(p.label == label for p in part)
            for part in (divided.training, divided.validation, divided.test)
        ]
        assert held == [count - max(1, round(count * 0.2)) - max(1, round(count * 0.1)), *held[1:]]
        assert (held[1], held[2]) == (max(1, round(count * 0.2)), max(1, round(count * 0.1)))


def test_another_seed_divides_otherwise():
    every = pictures([40, 40])
    first, second = (dataset.divide(every, NAMES[:2], Shares(), seed).test for seed in (0, 1))
    assert {p.digest for p in first} != {p.digest for p in second}


def test_a_label_with_three_pictures_is_refused_by_name_and_number():
    with pytest.raises(Refused, match=r"label b has 3 pictures, at least 5 are needed and some 50 advised"):
        dataset.divide(pictures([9, 3]), NAMES[:2], Shares(), 0)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "at least 2: it holds none"),
        (("robin",), "at least 2: it holds only one, robin"),
        (("robin", "wr\nen"), r"'wr\\nen' cannot be a label"),
        (("robin", " wren"), "' wren' cannot be a label"),
        (("1 robin", "2 wren"), "numbers before every name, as in '1 robin'"),
        (("a", "\udcff"), "cannot be a label"),
    ],
)
def test_folders_that_cannot_be_labels_are_refused(names, said):
    with pytest.raises(Refused, match=said):
        dataset.check_labels(names, "birds")


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=5, unique=True).map(sorted))
def test_labels_that_pass_are_read_by_a_device_as_they_are(names):
    try:
        dataset.check_labels(names, "birds")
    except Refused:
        return
    assert label_files.parse("\n".join(names).encode()) == tuple(names)


def test_digits_are_labels():
    dataset.check_labels([str(digit) for digit in range(10)], "digits")


def test_copies_count_once_and_what_has_two_labels_counts_for_none():
    first, second, other = sha256(b"1"), sha256(b"2"), sha256(b"3")
    found = [
        Picture("a/1", 0, first),
        Picture("a/copy of 1", 0, first),
        Picture("a/2", 0, second),
        Picture("b/2", 1, second),
        Picture("b/3", 1, other),
    ]
    kept, remarks = dataset.distinct(found, ("a", "b"))
    assert [picture.place for picture in kept] == ["a/1", "b/3"]
    assert remarks == (
        "a/2 lies under a and b and was left out: one picture has one label",
        "left out, because they are copies of others: 1 of the files",
    )


def test_few_broken_files_are_named_and_many_are_refused():
    assert dataset.check_broken([], 5) == ()
    (said,) = dataset.check_broken(["a/x.jpg"], 9)
    assert said == "left out, because they cannot be decoded: 1 of 10 pictures (a/x.jpg)"
    with pytest.raises(Refused, match=r"2 of 10 pictures cannot be decoded, more than the 10%"):
        dataset.check_broken(["a/x.jpg", "a/y.jpg"], 8)


@given(SETS)
def test_weights_make_every_label_count_the_same(counts):
    every = pictures(counts)
    weights = dataset.weights(every)
    totals = {label: weights[label] * count for label, count in enumerate(counts)}
    assert max(totals.values()) == pytest.approx(min(totals.values()))
    assert sum(weights[p.label] for p in every) == pytest.approx(len(every))


@given(SETS, st.integers(0, 60))
def test_a_spread_takes_evenly_from_all_labels(counts, wanted):
    chosen = Counter(picture.label for picture in dataset.spread(pictures(counts), wanted))
    assert sum(chosen.values()) == min(wanted, sum(counts))
    most = max(chosen.values(), default=0)
    assert all(chosen[label] >= min(count, most - 1) for label, count in enumerate(counts))


def test_the_worst_pairs_come_first_in_words():
    table = [[5, 1, 0], [3, 7, 0], [0, 0, 9]]
    assert dataset.worst_pairs(table, ("cat", "dog", "owl")) == (
        "dog taken for cat 3 of 10 times",
        "cat taken for dog 1 of 6 times",
    )
    assert dataset.worst_pairs([[2, 0], [0, 2]], ("cat", "dog")) == ()


def of_moments(sizes, label=0):
    """Pictures of one label, so many of each moment."""
    return [
        Picture(
            f"{label}/{moment}-{number}",
            label,
            sha256(f"{label}/{moment}-{number}".encode()),
            moment=sha256(f"{label}/{moment}".encode()) if size > 1 else None,
        )
        for moment, size in enumerate(sizes)
        for number in range(size)
    ]


@given(st.lists(st.integers(1, 3), min_size=20, max_size=40), st.integers(0, 100))
def test_pictures_of_one_moment_stay_in_one_part(sizes, seed):
    divided = dataset.divide([*of_moments(sizes), *of_moments([1] * 9, label=1)], NAMES[:2], Shares(), seed)
    parts = (divided.training, divided.validation, divided.test)
    held = [{p.moment for p in part if p.moment} for part in parts]
    assert sum(map(len, held)) == len(set().union(*held))
    assert not any("look nearly like ones that taught" in said for said in dataset.moments(divided, NAMES))


def test_a_label_of_one_moment_is_divided_and_that_is_said():
    every = [*of_moments([20]), *of_moments([1] * 20, label=1)]
    divided = dataset.divide(every, ("robin", "wren"), Shares(), 0)
    assert [sum(p.label == 0 for p in part) for part in (divided.training, divided.test)] == [14, 3]
    (said,) = dataset.moments(divided, ("robin", "wren"))
    assert said.startswith("3 of the 6 pictures that judge look nearly like ones that taught: robin (3);")


def test_nothing_is_said_of_pictures_that_differ():
    divided = dataset.divide(pictures([9, 9]), NAMES[:2], Shares(), 0)
    assert dataset.moments(divided, NAMES) == ()
