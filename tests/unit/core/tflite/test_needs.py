"""Which runtime a file needs; that the runtimes agree is in tests/contract/test_runtime_needs.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.tflite import flatmodel, needs
from agent.core.tflite.needs import Need
from tests.fakes.tflite import Form, Operator, Sketch, build, classifier, dense, named


def noted(version):
    metadata = {"min_runtime_version": version.encode().ljust(16, b"\0")}
    return classifier(Form((1, 2, 2, 3), "float32"), Form((1, 12), "float32"), metadata=metadata)


@pytest.mark.parametrize(
    ("content", "need"),
    [
        (dense(9), None),
        (dense(12), Need("2.17.0", "FULLY_CONNECTED version 12")),
        (dense(9, "int4"), Need("2.15.0", "int4 tensors")),
        (dense(14, "int4"), Need("2.21.0", "FULLY_CONNECTED version 14")),
        (noted("1.14.0"), None),
        (noted("2.14.0"), None),
        (noted("2.16.1"), Need("2.16.1", "")),
        (noted("soon"), None),
        (named(0, 6), Need("2.23.0", "ADD version 6")),
        (named(25, 4), Need("ai-edge-litert 2.2.0", "SOFTMAX version 4")),
        (named(206, 1), Need("2.17.0", "STABLEHLO_COMPOSITE version 1")),
    ],
)
def test_a_file_needs_the_newest_of_what_it_says_and_what_its_operators_say(content, need):
    assert needs.need(flatmodel.examine(content)) == need


@pytest.mark.parametrize(("inside", "runtime"), [("int16", "ai-edge-litert 2.2.0"), ("float32", None)])
def test_an_operator_whose_version_does_not_say_that_it_computes_in_16_bits_needs_a_newer_runtime(
    inside, runtime
):
    image = (Form((1, 4), "float32"), Form((1, 4), inside), Form((1, 4), inside), Form((1, 4), "float32"))
    operators = (Operator(114, (0,), (1,)), Operator(150, (1,), (2,)), Operator(6, (2,), (3,)))

    found = needs.need(flatmodel.examine(build(Sketch(image, operators))))

    assert (found and found.runtime) == runtime


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (dense(12), ()),
        (dense(15), ("FULLY_CONNECTED version 15",)),
        (named(250, 1), ("BUILTIN_250 version 1",)),
    ],
)
def test_an_operator_newer_than_this_program_is_named(content, found):
    assert needs.unknown(flatmodel.examine(content)) == found


@given(st.integers(0, 209), st.integers(1, 20), st.integers(0, 209), st.integers(1, 20))
def test_an_operator_more_never_needs_an_older_runtime(first, of_first, second, of_second):
    image = (Form((1, 4), "float32"), Form((1, 4), "float32"), Form((1, 4), "float32"))
    one = Operator(first, (0,), (1,), version=of_first)
    two = Operator(second, (1,), (2,), version=of_second)

    found = [
        needs.need(flatmodel.examine(build(Sketch(image, operators))))
        for operators in ((one,), (two,), (one, two))
    ]

    assert found[2] in found[:2]
    assert found[2] is not None or found[:2] == [None, None]
