import pytest

from deploy.core import names
from deploy.core.refusal import Refused


def test_a_name_is_one_segment():
    assert names.segment("name", "mobilenet_v2-1.0") == "mobilenet_v2-1.0"


@pytest.mark.parametrize("text", ["", "a/b", "..", "-x", "a b", "a" * 65, "a\n", "é"])
def test_what_would_not_be_one_segment_is_refused(text):
    with pytest.raises(Refused, match="use 1 to 64 letters"):
        names.segment("name", text)


@pytest.mark.parametrize(
    ("known", "said"),
    [((), ""), (("birds", "cats"), ": did you mean 'birds'?"), (("x", "a"), ": there are a, x")],
)
def test_an_unknown_name_is_answered_with_what_there_is(known, said):
    assert names.nearest("brids", known) == said
