import pytest

from deploy.core.spans import listed, span, volume


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3.0, "0 s"), (0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (7300, "2 h"), (200_000, "2 d")],
)
def test_a_span_is_told_in_its_largest_unit(seconds, said):
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("amount_bytes", "said"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (4_194_304, "4.2 MB"), (3e12, "3.0 TB")],
)
def test_a_volume_is_told_in_the_unit_that_keeps_it_short(amount_bytes, said):
    assert volume(amount_bytes) == said


@pytest.mark.parametrize(("named_max", "said"), [(None, "a, b, c"), (3, "a, b, c"), (2, "a, b and 1 more")])
def test_a_list_names_the_first_and_counts_the_others(named_max, said):
    assert listed(["a", "b", "c"], named_max) == said
