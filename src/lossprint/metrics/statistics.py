"""Comparisons over runs: two groups, resampled intervals, between against within."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


@dataclass(frozen=True)
class GroupComparison:
    """Two groups of values, compared by ranks.

    Attributes:
        statistic: Mann–Whitney U of the first group.
        p: two-sided; exact for small groups without ties.
        superiority: probability that a value of the first group exceeds one of the second, ties
            counting half (Vargha and Delaney's A): U / (n m), 1/2 where the groups are alike.
    """

    statistic: float
    p: float
    superiority: float


def compare_groups(first: ArrayLike, second: ArrayLike) -> GroupComparison:
    """Mann–Whitney U test of two groups of values, with its effect size.

    Args:
        first: [n] values.
        second: [m] values.

    Raises:
        ValueError: a group is empty or holds NaN or infinite values.
    """
    a, b = _finite(first, "first group"), _finite(second, "second group")
    test = stats.mannwhitneyu(a, b)
    return GroupComparison(
        float(test.statistic), float(test.pvalue), float(test.statistic) / (len(a) * len(b))
    )


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down correction of p values [K]; NaN stays NaN and is no test.

    The i-th smallest of K is multiplied by K − i + 1, at least by as much as makes it no smaller
    than the one before, and at most up to 1.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    steps = np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1))
    adjusted = np.full(values.shape, np.nan)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def bootstrap_interval(
    values: ArrayLike,
    *,
    seed: int,
    statistic: Callable[..., NDArray] = np.mean,
    confidence: float = 0.95,
    resamples: int = 9999,
) -> tuple[float, float]:
    """Percentile interval of a statistic by resampling runs.

    Args:
        values: [n] one value for each run; not one for each query, which are dependent.
        seed: of the resampling.
        statistic: takes `axis`.
        confidence: level of the interval.
        resamples: how many.

    Returns:
        Low and high; NaN for fewer than two values, which tell nothing of the spread.

    Raises:
        ValueError: no value, or NaN or infinite ones.
    """
    sample = _finite(values, "values")
    if len(sample) < 2:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(0, len(sample), (resamples, len(sample)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(statistic(sample[drawn], axis=1), [tail, 1 - tail])
    return float(low), float(high)


@dataclass(frozen=True)
class WithinBetween:
    """Agreement within groups of runs against agreement between them.

    Attributes:
        within: mean agreement of pairs of one group.
        between: mean agreement of pairs of two groups.
        p: one-sided, for `within - between` as large as this if groups meant nothing.
    """

    within: float
    between: float
    p: float


def within_against_between(
    agreement: ArrayLike, groups: Sequence[str], *, seed: int, permutations: int = 9999
) -> WithinBetween:
    """Are runs of one group (one loss, several seeds) more alike than runs of different groups?

    Pairs that share a run are not independent, so whole runs are permuted: the group labels are
    shuffled over the runs, and p = (1 + shuffles with a difference at least as large) /
    (1 + shuffles).

    Args:
        agreement: [M, M] symmetric, of M runs; a higher value means more alike. The diagonal is
            not looked at.
        groups: [M] the group of each run.
        seed: of the permutations.
        permutations: how many.

    Raises:
        ValueError: shapes that disagree, an agreement that is not symmetric or not finite, no
            group with two runs, or fewer than two groups.
    """
    matrix = np.asarray(agreement, dtype=np.float64)
    count = len(groups)
    if matrix.shape != (count, count):
        raise ValueError(f"agreement has shape {list(matrix.shape)} for {count} runs")
    above = np.triu_indices(count, 1)
    if not np.isfinite(matrix[above]).all() or not np.allclose(matrix[above], matrix.T[above]):
        raise ValueError("agreement must be symmetric and finite off the diagonal")
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    if len(np.unique(codes)) < 2 or np.bincount(codes).max() < 2:
        raise ValueError(
            f"groups are {list(groups)}: there must be two groups, and one with two runs"
        )
    values = matrix[above]

    def means(labels: NDArray[np.int64]) -> tuple[float, float]:
        same = labels[above[0]] == labels[above[1]]
        return float(values[same].mean()), float(values[~same].mean())

    within, between = means(codes)
    rng = np.random.default_rng(seed)
    # Relabelings that permute whole groups give the observed difference up to rounding.
    least = within - between - 1e-12 * float(np.abs(values).max())
    larger = 0
    for _ in range(permutations):
        near, far = means(rng.permutation(codes))
        larger += near - far >= least
    return WithinBetween(within, between, (1 + larger) / (1 + permutations))


def _finite(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).ravel()
    if not len(array):
        raise ValueError(f"{name}: there are no values")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: NaN or infinite values in {array.tolist()}")
    return array
