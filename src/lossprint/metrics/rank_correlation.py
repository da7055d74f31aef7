"""Whether two things that were measured under several conditions go together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from lossprint.metrics.relabelings import within_blocks


@dataclass(frozen=True)
class RankCorrelation:
    """Of U units under K conditions; NaN is what cannot be told.

    Attributes:
        correlation: mean over conditions.
        of_condition: [K] Spearman's, NaN where all units are alike.
        p: two-sided, of the mean.
        smallest_p: the least p of so many units, the reverse of an order being as telling.
    """

    correlation: float
    of_condition: NDArray[np.float64]
    p: float
    smallest_p: float


def rank_correlation(
    x: ArrayLike, y: ArrayLike, *, draws: int = 9999, seed: int = 0
) -> RankCorrelation:
    """Spearman's correlation of x and y over units, within each condition, and its mean.

    Ranks are taken within conditions, so that what these differ in goes for nothing: that a large
    region has much of everything makes no correlation. Units are permuted as a whole, all
    conditions together, since what is measured of one unit hangs together.

    Args:
        x, y: [U, K].
        draws: permutations drawn where there are more than so many; else all.
        seed: of drawing.

    Raises:
        ValueError: shapes that differ or are not [U, K], or values that are not finite.

    Example:
        >>> found = rank_correlation([[1], [2], [3], [4]], [[10], [20], [30], [40]])
        >>> found.correlation, round(found.p, 3)  # the same order or its reverse, 2 of 4!
        (1.0, 0.083)
    """
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(
            f"x has shape {list(first.shape)} and y {list(second.shape)}: both must be one [U, K]"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("x and y must be finite")
    units = len(first)
    a, b = standard_ranks(first), standard_ranks(second)
    each = (a * b).sum(0)
    known = np.isfinite(each)
    if not known.any():
        return RankCorrelation(np.nan, each, np.nan, np.nan)
    # Entry v, u: what it adds that unit u's y meets unit v's x.
    meeting = a[:, known] @ b[:, known].T / known.sum()
    every = np.arange(units)
    relabelings = within_blocks(every, [every], draws=draws, seed=seed, equivalent=2)
    permuted = meeting[relabelings.labels, every].sum(1)
    mean = float(each[known].mean())
    p = relabelings.p(np.abs(permuted), abs(mean))
    return RankCorrelation(mean, each, p, relabelings.smallest_p)


def standard_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks within columns, or of [N], with mean 0 and length 1; NaN where all are equal."""
    ranks = rankdata(values, axis=0)
    ranks -= ranks.mean(0)
    length = np.linalg.norm(ranks, axis=0)
    return ranks / np.where(length > 0, length, np.nan)
