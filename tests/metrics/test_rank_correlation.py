"""Rank correlation within conditions against scipy and all permutations."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from lossprint.metrics.rank_correlation import rank_correlation


def mean_spearman(x: np.ndarray, y: np.ndarray) -> float:
    return np.mean([spearmanr(x[:, k], y[:, k]).statistic for k in range(x.shape[1])])


def test_it_is_the_mean_of_spearmans_and_p_is_of_all_orders_of_units():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 4, (5, 3)) + 10.0 * np.arange(3)  # with ties
    y = x + rng.normal(0, 2, x.shape)
    found = rank_correlation(x, y)
    assert found.correlation == pytest.approx(mean_spearman(x, y))
    assert found.of_condition.tolist() == pytest.approx(
        [spearmanr(a, b).statistic for a, b in zip(x.T, y.T, strict=True)]
    )
    every = [abs(mean_spearman(x[list(order)], y)) for order in permutations(range(5))]
    assert found.p == pytest.approx(np.mean(np.array(every) >= abs(found.correlation) - 1e-9))
    assert found.smallest_p == 2 / 120


def test_what_conditions_differ_in_is_no_correlation():
    rng = np.random.default_rng(0)
    level = 100.0 * np.arange(4)
    p = [
        rank_correlation(
            level + rng.normal(size=(6, 4)), level + rng.normal(size=(6, 4)), draws=99
        ).p
        for _ in range(200)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.09


def test_measures_of_a_unit_that_hang_together_are_one_witness():
    rng = np.random.default_rng(1)
    p = [
        rank_correlation(
            rng.normal(size=(6, 1)).repeat(5, 1), rng.normal(size=(6, 1)).repeat(5, 1), draws=99
        ).p
        for _ in range(200)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.09


def test_a_condition_under_which_all_are_alike_says_nothing():
    x = np.array([[1.0, 5], [2, 5], [3, 5]])
    found = rank_correlation(x, x)
    assert found.correlation == pytest.approx(1)
    assert np.isnan(found.of_condition[1])
    unknown = rank_correlation(np.ones((3, 1)), x[:, :1])
    assert np.isnan([unknown.correlation, unknown.p]).all()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones(3), np.ones(3), r"x has shape \[3\] and y \[3\]"),
        (np.ones((3, 2)), np.ones((2, 3)), r"x has shape \[3, 2\] and y \[2, 3\]"),
        (np.full((2, 1), np.nan), np.ones((2, 1)), "must be finite"),
    ],
)
def test_bad_input_is_named(x, y, message):
    with pytest.raises(ValueError, match=message):
        rank_correlation(x, y)
