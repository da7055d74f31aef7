"""Statistics over runs against scipy, hand calculation and enumeration."""

import numpy as np
import pytest
from scipy import stats

from lossprint.metrics.statistics import (
    compare_groups,
    holm,
)


def test_group_comparison_by_counting_pairs():
    a, b = [3.0, 5.0, 5.0, 9.0], [1.0, 5.0, 4.0]
    pairs = [(x > y) + (x == y) / 2 for x in a for y in b]
    found = compare_groups(a, b)
    assert found.superiority == pytest.approx(np.mean(pairs))
    assert found.p == stats.mannwhitneyu(a, b).pvalue
    assert compare_groups([1, 2], [3, 4]).p == pytest.approx(2 / 6)  # exact


def test_holm_by_hand():
    # sorted 0.005·4, 0.01·3, 0.03·2, 0.04·1, each no smaller than the one before
    expected = [0.03, 0.06, 0.06, 0.02]
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), expected)
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])
    np.testing.assert_allclose(holm([np.nan, 0.02]), [np.nan, 0.02])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare_groups([], [1.0]), "first group: there are no values"),
        (lambda: compare_groups([1.0], [np.nan]), "second group: NaN"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
