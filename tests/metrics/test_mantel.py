"""Likeness against the difference of a value: by brute force, and on planted truths."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from lossprint.metrics import likeness_against_difference


def symmetric(rng, count):
    noise = rng.normal(size=(count, count))
    return noise + noise.T


def test_is_spearmans_over_pairs_and_p_counts_every_permutation():
    rng = np.random.default_rng(0)
    likeness, values = symmetric(rng, 5), rng.normal(size=5)
    pairs = np.triu_indices(5, 1)

    def correlation(order):
        permuted = values[list(order)]
        return spearmanr(likeness[pairs], np.abs(np.subtract.outer(permuted, permuted))[pairs])[0]

    every = np.array([correlation(order) for order in permutations(range(5))])
    found = likeness_against_difference(likeness, values)
    assert found.correlation == pytest.approx(every[0])
    assert found.p == pytest.approx(np.mean(every <= every[0] + 1e-12))
    assert found.smallest_p == pytest.approx(1 / 120)
    drawn = likeness_against_difference(likeness, values, draws=99)
    assert drawn.smallest_p == 0.01
    assert drawn.p == pytest.approx(found.p, abs=0.15)


def test_what_goes_with_the_difference_is_found_and_what_does_not_is_not():
    rng = np.random.default_rng(1)
    claims = {True: 0, False: 0}
    for _ in range(60):
        values = rng.normal(size=7)
        for planted in claims:
            apart = np.abs(np.subtract.outer(values, values))
            likeness = 0.5 * symmetric(rng, 7) - planted * apart
            claims[planted] += likeness_against_difference(likeness, values, draws=199).p <= 0.05
    assert claims[True] >= 0.8 * 60
    assert claims[False] <= 0.13 * 60  # 0.05 and three standard errors


@pytest.mark.parametrize(
    ("likeness", "values"),
    [
        (np.ones((2, 2)), [0.1, 0.2]),
        (np.ones((3, 3)), [0.1, 0.2, 0.4]),
        (np.eye(4) + np.arange(4), [0.1] * 4),
        (np.full((3, 3), np.nan), [0.1, 0.2, 0.4]),
        (np.arange(9).reshape(3, 3), [0.1, np.nan, 0.4]),
    ],
    ids=["two things", "equally alike", "equal values", "no likeness", "no value"],
)
def test_what_cannot_be_told_is_nan(likeness, values):
    found = likeness_against_difference(likeness, values)
    assert np.isnan([found.correlation, found.p, found.smallest_p]).all()


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"shape \[3, 3\] for values of shape \[2\]"):
        likeness_against_difference(np.eye(3), [1.0, 2.0])
