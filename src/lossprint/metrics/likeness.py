"""Likeness of trained networks, corrected for the noise of training.

If the map (or Gram matrix) of run i is a signal plus training noise of its own, and aᵢ is the share
of the signal, then two runs are alike by S_ij = √(aᵢ aⱼ) ρ, where ρ is how alike their signals are.
Noise therefore adds to log S as a sum of effects of runs: whatever weighs each run the same within
losses as between them is free of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

FLOOR = 0.01
"""Likeness below it counts as it: a logarithm needs a positive number."""


@dataclass(frozen=True)
class Likeness:
    """How alike runs are, and which of their pairs count.

    Attributes:
        plain: [R, R] likeness as it is, 0 where a pair does not count.
        log: [R, R] its logarithm, NaN where it is not finite, 0 where a pair does not count.
        counts: [R, R] pairs of two replicates of one stratum.
        losses: [L] names, sorted.
        codes: [R] the place of each run's loss among them.
        blocks: for each stratum the runs of each replicate, among which losses may be permuted.
    """

    plain: NDArray[np.float64]
    log: NDArray[np.float64]
    counts: NDArray[np.bool_]
    losses: NDArray
    codes: NDArray[np.intp]
    blocks: list[list[NDArray[np.intp]]]

    @classmethod
    def of(
        cls,
        likeness: ArrayLike,
        loss: ArrayLike,
        replicate: ArrayLike,
        stratum: ArrayLike | None = None,
    ) -> "Likeness":
        """Check and prepare likeness [R, R] of runs, of which `loss`, … [R] say what they are.

        Raises:
            ValueError: shapes that do not fit, or likeness that is not symmetric.
        """
        matrix, losses = np.asarray(likeness, dtype=np.float64), np.asarray(loss)
        count = len(losses) if losses.ndim else -1
        if matrix.shape != (count, count):
            raise ValueError(
                f"likeness has shape {list(matrix.shape)} for losses of shape {list(losses.shape)}:"
                " it must be [R, R], with one loss for each of R runs"
            )
        replicates = _codes(replicate, "replicate", count)
        strata = _codes(np.zeros(count) if stratum is None else stratum, "stratum", count)
        counts = (replicates[:, None] != replicates) & (strata[:, None] == strata)
        if not np.allclose(matrix[counts], matrix.T[counts], equal_nan=True):
            raise ValueError("likeness is not symmetric: a pair of runs has two values")
        plain = np.where(counts, matrix, 0.0)
        log = np.where(counts & np.isfinite(matrix), np.log(np.clip(plain, FLOOR, None)), np.nan)
        log[~counts] = 0.0
        names, codes = np.unique(losses, return_inverse=True)
        blocks = [
            [
                np.flatnonzero((strata == stratum) & (replicates == replicate))
                for replicate in np.unique(replicates[strata == stratum])
            ]
            for stratum in np.unique(strata)
        ]
        return cls(plain, log, counts, names, codes, blocks)

    def of_runs(self, kept: NDArray[np.bool_]) -> "Likeness":
        """The same of some runs [R] only, and of their losses."""
        place, pairs = np.cumsum(kept) - 1, np.ix_(kept, kept)
        found, codes = np.unique(self.codes[kept], return_inverse=True)
        blocks = [[place[b[kept[b]]] for b in of if kept[b].any()] for of in self.blocks]
        return Likeness(
            self.plain[pairs],
            self.log[pairs],
            self.counts[pairs],
            self.losses[found],
            codes,
            [of for of in blocks if of],
        )

    def means(
        self, values: NDArray[np.float64], labels: NDArray[np.intp] | None = None
    ) -> NDArray[np.float64]:
        """Mean of values of pairs of runs, for each pair of losses, over the pairs that count.

        Args:
            values: [R, R], `plain` or `log`.
            labels: [B, R] the losses permuted within blocks, so that every pair of losses keeps
                its number of pairs of runs; without them the losses that the runs have.

        Returns:
            [B, L, L], or [L, L] without labels; NaN where no pair of runs counts.
        """
        if labels is None:
            return self.means(values, self.codes[None])[0]
        return self._sums(values, labels) / np.where(self.numbers > 0, self.numbers, np.nan)

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """[L, L] pairs of runs that count, in both orders, of each pair of losses."""
        return self._sums(self.counts, self.codes[None])[0]

    def _sums(self, values: NDArray, labels: NDArray[np.intp]) -> NDArray[np.float64]:
        starts = np.concatenate([[0], np.cumsum(np.bincount(self.codes))[:-1]])
        # Runs sorted by their new loss: the pairs of two losses lie in one rectangle.
        order = np.argsort(labels, axis=1, kind="stable")
        permuted = values[order[:, :, None], order[:, None, :]]
        by_row = np.add.reduceat(permuted, starts, axis=1, dtype=np.float64)
        return np.add.reduceat(by_row, starts, axis=2)


def log_rho(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log likeness of losses [..., L, L] less what the noise of their trainings takes from it."""
    own = np.diagonal(means, axis1=-2, axis2=-1)
    return means - (own[..., :, None] + own[..., None, :]) / 2


def training_corrected(
    likeness: ArrayLike,
    loss: ArrayLike,
    replicate: ArrayLike,
    *,
    stratum: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """ρ [L, L] of losses (sorted): 1 where two differ by the noise of training alone.

    exp(A[a, b] − (A[a, a] + A[b, b]) / 2), where A is the mean log likeness over pairs of runs of
    two replicates. Being an estimate it may exceed 1. NaN in row and column of a loss of which
    there is one replicate only.

    Args: as for `lossprint.metrics.loss_contrast`.
    """
    runs = Likeness.of(likeness, loss, replicate, stratum)
    return np.exp(log_rho(runs.means(runs.log)))


def unusable_runs(likeness: ArrayLike) -> list[int]:
    """Runs to leave out so that all likeness [R, R] of the others is finite, in rising order.

    A network whose maps or embeddings are constant, zero or not finite is like no other by no
    finite number; the others are. So the run with the most missing values goes first.
    """
    missing = ~np.isfinite(np.asarray(likeness, dtype=np.float64))
    np.fill_diagonal(missing, False)
    missing |= missing.T
    left_out: list[int] = []
    while missing.any():
        worst = int(missing.sum(1).argmax())
        left_out.append(worst)
        missing[worst] = missing[:, worst] = False
    return sorted(left_out)


def _codes(labels: ArrayLike | Sequence, name: str, count: int) -> NDArray[np.intp]:
    values = np.asarray(labels)
    if values.shape != (count,):
        raise ValueError(
            f"{name} has shape {list(values.shape)}: it must have one value for each of the "
            f"{count} runs"
        )
    return np.unique(values, return_inverse=True)[1]
