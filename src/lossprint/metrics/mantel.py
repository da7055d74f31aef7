"""Does likeness go with something else in which two things differ? Mantel's test, by ranks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossprint.metrics.rank_correlation import standard_ranks
from lossprint.metrics.relabelings import within_blocks

BLOCK = 1 << 20  # values of permuted ranks at once, 8 MiB


@dataclass(frozen=True)
class RankRelation:
    """How the likeness of L things goes with the difference of their values. NaN: cannot be told.

    Attributes:
        correlation: Spearman's, over pairs of two: negative where two are the less alike the
            further their values are apart.
        p: one-sided, of a correlation as low, from permuting values among the L things.
        smallest_p: the least p that so few things allow.
    """

    correlation: float
    p: float
    smallest_p: float


def likeness_against_difference(
    likeness: ArrayLike, values: ArrayLike, *, draws: int = 9999, seed: int = 0
) -> RankRelation:
    """Relate the likeness of things to the difference of their values (Mantel, 1967).

    Pairs are not independent, things are: values are permuted among these, all L! ways where
    there are no more than `draws`; else p = (1 + as extreme) / (1 + draws).

    Args:
        likeness: [L, L] symmetric; the diagonal is not looked at.
        values: [L].
        draws: permutations drawn where there are too many to try all.
        seed: of drawing.

    Returns:
        NaN with fewer than three things, with values or a likeness that are not finite, and where
        all pairs are equally alike or equally far apart.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> apart = np.abs(np.subtract.outer([0.1, 0.2, 0.5], [0.1, 0.2, 0.5]))
        >>> relation = likeness_against_difference(1 - apart, [0.1, 0.2, 0.5])
        >>> round(relation.correlation, 6), round(relation.p, 6)
        (-1.0, 0.166667)
    """
    matrix, numbers = np.asarray(likeness, dtype=float), np.asarray(values, dtype=float)
    count = len(numbers) if numbers.ndim == 1 else -1
    if matrix.shape != (count, count):
        raise ValueError(
            f"likeness has shape {list(matrix.shape)} for values of shape {list(numbers.shape)}: "
            "it must be [L, L], with one value for each of L things"
        )
    rows, columns = np.triu_indices(count, 1)
    alike = matrix[rows, columns]
    if count < 3 or not (np.isfinite(alike).all() and np.isfinite(numbers).all()):
        return RankRelation(np.nan, np.nan, np.nan)
    apart = np.zeros((count, count))
    apart[rows, columns] = standard_ranks(np.abs(numbers[rows] - numbers[columns]))
    apart += apart.T
    ranks = standard_ranks(alike)
    permuted = within_blocks(np.arange(count), [np.arange(count)], draws=draws, seed=seed)
    correlation = _products(apart, ranks, permuted.labels)
    observed = float(ranks @ apart[rows, columns])
    if not np.isfinite(observed):
        return RankRelation(np.nan, np.nan, np.nan)
    return RankRelation(observed, permuted.p(-correlation, -observed), permuted.smallest_p)


def _products(
    apart: NDArray[np.float64], ranks: NDArray[np.float64], labels: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Correlation [B] of ranks of pairs with `apart`, its rows and columns relabeled [B, L]."""
    rows, columns = np.triu_indices(labels.shape[1], 1)
    size = max(1, BLOCK // len(rows))
    return np.concatenate(
        [
            apart[labels[start : start + size, rows], labels[start : start + size, columns]] @ ranks
            for start in range(0, len(labels), size)
        ]
    )
