"""Two groups of values compared, and p values corrected for their number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


@dataclass(frozen=True)
class GroupComparison:
    """Two groups of values, compared by ranks.

    Attributes:
        p: Mann–Whitney's, two-sided; exact for small groups without ties.
        superiority: probability that a value of the first group exceeds one of the second, ties
            counting half (Vargha and Delaney's A): U / (n m), 1/2 where the groups are alike.
    """

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
    return GroupComparison(float(test.pvalue), float(test.statistic) / (len(a) * len(b)))


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


def _finite(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).ravel()
    if not len(array):
        raise ValueError(f"{name}: there are no values")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: NaN or infinite values in {array.tolist()}")
    return array
