"""Two tables of scores over the same crops, held side by side."""

import numpy as np
import pytest

from deploy.core.factory.evaluation.score_tables import compare


def test_agreement_counts_the_same_first_class_and_the_first_five():
    original = np.zeros((3, 7))
    quantized = np.zeros((3, 7))
    original[:, 0] = (0.9, 0.4, 0.3)
    quantized[0, 0] = 0.8
    quantized[1, :2] = (0.3, 0.5)
    quantized[2, 1:7] = (0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
    result = compare(original, quantized)
    assert (result.crops, result.same_first, result.first_in_top5) == (3, 1, 2)
    assert (result.confident, result.confident_same_first) == (1, 1)
    assert result.score_difference_max == pytest.approx(0.3)
    assert result.score_difference_mean == pytest.approx(0.5 / 3)


@pytest.mark.parametrize("shapes", [((2, 5), (3, 5)), ((0, 5), (0, 5)), ((5,), (5,))])
def test_scores_that_cannot_be_compared_are_refused(shapes):
    with pytest.raises(ValueError, match="cannot compare"):
        compare(np.zeros(shapes[0]), np.zeros(shapes[1]))
