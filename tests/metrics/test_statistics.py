"""Statistics over runs against scipy, hand calculation and enumeration."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from lossprint.metrics.statistics import (
    bootstrap_interval,
    compare_groups,
    holm,
    within_against_between,
)


def test_group_comparison_by_counting_pairs():
    a, b = [3.0, 5.0, 5.0, 9.0], [1.0, 5.0, 4.0]
    pairs = [(x > y) + (x == y) / 2 for x in a for y in b]
    found = compare_groups(a, b)
    assert found.superiority == pytest.approx(np.mean(pairs))
    assert found.statistic == pytest.approx(sum(pairs))
    assert found.p == stats.mannwhitneyu(a, b).pvalue
    assert compare_groups([1, 2], [3, 4]).p == pytest.approx(2 / 6)  # exact


def test_holm_by_hand():
    # sorted 0.005·4, 0.01·3, 0.03·2, 0.04·1, each no smaller than the one before
    expected = [0.03, 0.06, 0.06, 0.02]
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), expected)
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])
    np.testing.assert_allclose(holm([np.nan, 0.02]), [np.nan, 0.02])


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=12)
    low, high = bootstrap_interval(values, seed=0)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    # Both draw 9,999 times; the interval's ends vary by about 1 % of its width.
    width = expected.high - expected.low
    assert low == pytest.approx(expected.low, abs=0.05 * width)
    assert high == pytest.approx(expected.high, abs=0.05 * width)
    assert bootstrap_interval(values, seed=0) == (low, high)
    assert np.isnan(bootstrap_interval([1.0], seed=0)).all()


def test_permutation_test_against_all_relabelings():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(6, 6))
    matrix += matrix.T
    groups = np.array(["a", "a", "a", "b", "b", "c"])
    same = groups[:, None] == groups[None, :]
    matrix += 1.5 * same

    def difference(labels):
        pairs = [(i, j) for i in range(6) for j in range(i)]
        near = [matrix[i, j] for i, j in pairs if labels[i] == labels[j]]
        far = [matrix[i, j] for i, j in pairs if labels[i] != labels[j]]
        return np.mean(near), np.mean(far)

    near, far = difference(groups)
    every = [np.subtract(*difference(groups[list(order)])) for order in permutations(range(6))]
    exact = np.mean(np.array(every) >= near - far - 1e-9)
    found = within_against_between(matrix, list(groups), seed=0)
    assert (found.within, found.between) == pytest.approx((near, far))
    # Binomial standard error at 9,999 draws.
    assert found.p == pytest.approx(exact, abs=5 * np.sqrt(exact * (1 - exact) / 9999) + 1e-4)


def test_permutation_p_is_uniform_without_groups():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(60):
        matrix = rng.normal(size=(8, 8))
        found = within_against_between(matrix + matrix.T, list("aabbccdd"), seed=1, permutations=99)
        p.append(found.p)
    assert stats.kstest(p, "uniform").pvalue > 0.001


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare_groups([], [1.0]), "first group: there are no values"),
        (lambda: compare_groups([1.0], [np.nan]), "second group: NaN"),
        (lambda: bootstrap_interval([np.inf, 1.0], seed=0), "NaN or infinite"),
        (lambda: within_against_between(np.eye(3), ["a", "b"], seed=0), r"shape \[3, 3\].*2 runs"),
        (lambda: within_against_between(np.eye(2), ["a", "a"], seed=0), "two groups"),
        (lambda: within_against_between(np.eye(2), ["a", "b"], seed=0), "one with two runs"),
        (
            lambda: within_against_between(np.triu(np.ones((3, 3))), list("aab"), seed=0),
            "symmetric",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
