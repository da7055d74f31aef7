"""Do losses differ by more than trainings of one loss do, by how much, and which?"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial, prod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lossprint.metrics.intervals import CONFIDENCE
from lossprint.metrics.likeness import FLOOR, Likeness, log_rho
from lossprint.metrics.relabelings import Relabelings, within_blocks

LEVEL, POWER = 0.05, 0.8
"""Of the test, and of the smallest difference that is said to be detectable."""

FOR_INTERVALS = 3
"""Replicates of each loss that an interval takes."""

BLOCK = 1 << 20  # values of permuted likeness at once, 8 MiB

PLANTED = 200
"""Relabelings in which a difference is planted to see whether the test finds it."""


def seeds_needed(losses: int, level: float) -> int:
    """The fewest seeds with which so many losses can be shown to differ, and by how much.

    Permuting L losses within each of S seeds gives (L!)^(S − 1) relabelings that differ, so no p is
    less than one over that.

    Args:
        losses: L, two or more.
        level: that p has to reach.

    Example:
        >>> [seeds_needed(losses, 0.025) for losses in (2, 3, 4, 15)]
        [7, 4, 3, 3]
    """
    seeds = FOR_INTERVALS
    while factorial(losses) ** (seeds - 1) * level < 1:
        seeds += 1
    return seeds


@dataclass(frozen=True)
class LossContrast:
    """L losses, contrasted with the noise of training. NaN is what cannot be told.

    Attributes:
        losses: [L] their names, sorted.
        rho: [L, L] likeness of losses corrected for training noise, see `training_corrected`.
        rho_of: [L] mean ρ of each loss with the others.
        p_of: [L] p of the loss's standing out: its median ρ with the others being as low, adjusted
            for the number of losses by the largest such statistic under the same permutations
            (Westfall & Young, 1993), and no less than `p`: the largest of noises of different size
            exceeds its permutations more often than it should, and what is not shown of all losses
            together is not shown of one. Of a median one odd loss makes no odd ones of the rest.
        statistic: mean log likeness within losses less between them, −log of the mean ρ.
        p: one-sided, from permuting losses within replicates; NaN where a likeness is not finite
            or no two losses have two replicates each.
        low, high: 95 % interval of the statistic, leaving out one run at a time; NaN unless each
            loss has three replicates.
        smallest_p: the least p that the number of distinct relabelings allows.
        detectable_rho: the mean ρ that these numbers of losses and replicates, as noisy as these,
            would have shown (p ≤ 0.05) with 80 % power; NaN where they can show none.
        within, between: mean likeness of two trainings of one loss, and of two losses.
        share: of the disagreement of two losses, what is the losses':
            (within − between) / (1 − between).
        share_low, share_high: its 95 % interval, as for the statistic, made of the logarithm of the
            rest, (1 − within) / (1 − between), so that it never exceeds 1; below 0 it may reach.
    """

    losses: tuple
    rho: NDArray[np.float64]
    rho_of: NDArray[np.float64]
    p_of: NDArray[np.float64]
    statistic: float = np.nan
    p: float = np.nan
    low: float = np.nan
    high: float = np.nan
    smallest_p: float = np.nan
    detectable_rho: float = np.nan
    within: float = np.nan
    between: float = np.nan
    share: float = np.nan
    share_low: float = np.nan
    share_high: float = np.nan

    @property
    def mean_rho(self) -> float:
        """Geometric mean of ρ over pairs of losses."""
        return float(np.exp(-self.statistic))

    @property
    def mean_rho_low(self) -> float:
        """Lower end of its 95 % interval."""
        return float(np.exp(-self.high))

    @property
    def mean_rho_high(self) -> float:
        """Upper end of its 95 % interval."""
        return float(np.exp(-self.low))


def loss_contrast(
    likeness: ArrayLike,
    loss: ArrayLike,
    replicate: ArrayLike,
    *,
    stratum: ArrayLike | None = None,
    draws: int = 9999,
    seed: int = 0,
) -> LossContrast:
    """Contrast the likeness of runs of one loss with that of runs of two losses.

    All is done on log likeness, where training noise is a sum of effects of runs: each run weighs
    the same within its loss as between losses, so that neither a noisy loss nor a noisy run looks
    like a difference (see `lossprint.metrics.likeness`). Only pairs of two replicates count: runs
    of one seed share initial weights and batches.

    - *Statistic*: −log ρ, averaged over pairs of losses. Where all losses meet, that is the mean
      within losses less the mean between them, each loss and each pair weighing the same.
    - *p*: losses are permuted among the runs of each replicate: all relabelings that differ where
      there are no more than `draws`; else p = (1 + as extreme) / (1 + draws).
    - *A loss of one replicate* has no noise to be corrected for: its ρ is NaN, and it takes no
      part in the rest.

    Args:
        likeness: [R, R] symmetric, of R runs: a correlation, or CKA. What is below 0.01 counts as
            0.01. The diagonal and pairs of one replicate are not looked at.
        loss: [R] names.
        replicate: [R] the seed of each run, or its fold where there is one seed.
        stratum: [R] what keeps runs apart (the fold, where there are several seeds): pairs of two
            strata do not count, and losses are permuted within each.
        draws: relabelings drawn where there are too many to try all.
        seed: of drawing.

    Raises:
        ValueError: shapes that do not fit, or likeness that is not symmetric.
    """
    every = Likeness.of(likeness, loss, replicate, stratum)
    rho = np.exp(log_rho(every.means(every.log)))
    names = tuple(every.losses.tolist())
    told = _with_noise_known(every)
    runs = every.of_runs(told[every.codes])
    if not told.any() or not np.isfinite(runs.log).all():
        unknown = np.full(len(names), np.nan)
        return LossContrast(names, rho, rho_of=unknown, p_of=unknown)
    relabelings = _relabelings(runs, draws, seed)
    apart = _apart(runs.means(runs.log))
    statistic, medians = float(np.nanmean(apart)), np.nanmedian(apart, axis=1)
    permuted, largest = _permuted(runs, relabelings.labels)
    p = relabelings.p(permuted, statistic)
    within, between, share = _disagreement(runs)
    (low, high), (share_low, share_high) = _intervals(runs)
    return LossContrast(
        losses=names,
        statistic=statistic,
        p=p,
        low=low,
        high=high,
        rho=rho,
        smallest_p=relabelings.smallest_p,
        rho_of=_in_all(told, np.exp(-np.nanmean(apart, axis=1))),
        p_of=_in_all(told, [max(p, relabelings.p(largest, median)) for median in medians]),
        detectable_rho=_detectable(runs, relabelings, seed),
        within=within,
        between=between,
        share=share,
        share_low=share_low,
        share_high=share_high,
    )


def _with_noise_known(runs: Likeness) -> NDArray[np.bool_]:
    """[L] losses with two replicates that meet another such loss."""
    repeated = np.diag(runs.numbers) > 0
    return repeated & (_met(runs) & repeated).any(1)


def _met(runs: Likeness) -> NDArray[np.bool_]:
    """[L, L] pairs of two losses of which pairs of runs count."""
    return (runs.numbers > 0) & ~np.eye(len(runs.losses), dtype=bool)


def _relabelings(runs: Likeness, draws: int, seed: int) -> Relabelings:
    """Losses permuted among the runs of each block.

    Where every block holds the same losses, renaming them in all blocks of a stratum changes
    nothing, so one block stays. Else only losses that lie in the same blocks can change names.
    """
    blocks = [block for of in runs.blocks for block in of]
    held = [np.bincount(runs.codes[block], minlength=len(runs.losses)) for block in blocks]
    if all((one == held[0]).all() for one in held):
        free = [block for of in runs.blocks for block in of[1:]]
        return within_blocks(runs.codes, free, draws=draws, seed=seed)
    _, alike = np.unique(np.stack(held), axis=1, return_counts=True)
    renamings = prod(factorial(n) for n in alike.tolist())
    return within_blocks(runs.codes, blocks, draws=draws, seed=seed, equivalent=renamings)


def _apart(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """−log ρ [..., L, L − 1] of each loss with each other; NaN where two do not meet."""
    count = means.shape[-1]
    others = np.flatnonzero(~np.eye(count, dtype=bool))
    flat = -log_rho(means).reshape(*means.shape[:-2], count * count)
    return flat[..., others].reshape(*means.shape[:-1], count - 1)


def _permuted(
    runs: Likeness, labels: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The statistic, and the largest median of a loss, of relabelings [B]."""
    means, largest = np.empty(len(labels)), np.empty(len(labels))
    size = max(1, BLOCK // runs.log.size)
    for start in range(0, len(labels), size):
        chunk = slice(start, start + size)
        apart = _apart(runs.means(runs.log, labels[chunk]))
        means[chunk] = np.nanmean(apart, axis=(1, 2))
        largest[chunk] = np.nanmedian(apart, axis=2).max(1)
    return means, largest


def _disagreement(runs: Likeness) -> tuple[float, float, float]:
    """Mean likeness within and between losses, and the share of disagreement that is theirs."""
    means = runs.means(runs.plain)
    own = np.eye(len(means), dtype=bool)
    within, between = float(means[own].mean()), float(np.nanmean(means[~own]))
    return within, between, (within - between) / (1 - between) if between < 1 else float("nan")


def _intervals(runs: Likeness) -> tuple[tuple[float, float], tuple[float, float]]:
    """95 % intervals of the statistic and of the share: a jackknife over runs, within losses."""
    sizes = np.bincount(runs.codes)
    if sizes.min() < 3:
        return (np.nan, np.nan), (np.nan, np.nan)
    every = np.arange(len(runs.codes))
    values = np.array([_two_sizes(runs.of_runs(every != run)) for run in every])  # [R, 2]
    centre = np.array(_two_sizes(runs))
    variance = np.zeros(2)
    for code, size in enumerate(sizes):
        left = values[runs.codes == code]
        variance += (size - 1) / size * np.square(left - left.mean(0)).sum(0)
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, len(every) - len(sizes)) * np.sqrt(variance)
    low, high = centre - reach, centre + reach
    share = 1 - np.exp([high[1], low[1]])
    return (float(low[0]), float(high[0])), (float(share[0]), float(share[1]))


def _two_sizes(runs: Likeness) -> tuple[float, float]:
    """The statistic, and the log of the share of disagreement that is there between seeds."""
    rest = 1 - _disagreement(runs)[2]
    return float(np.nanmean(_apart(runs.means(runs.log)))), float(
        np.log(rest)
    ) if rest > 0 else np.nan


def _detectable(runs: Likeness, relabelings: Relabelings, seed: int) -> float:
    """The mean ρ at which a difference planted in these very numbers is mostly found.

    Under the null hypothesis any relabeling could be the true one. So each of some relabelings is
    taken for it, log ρ of all pairs of its losses is lowered, and the test is asked again.
    """
    if relabelings.smallest_p > LEVEL:
        return float("nan")
    labels = relabelings.labels
    if len(labels) > PLANTED:
        labels = np.random.default_rng(seed).choice(labels, PLANTED, replace=False)
    weights = _weights(runs, labels)  # [G, R²]
    losses_differ = (labels[:, :, None] != labels[:, None, :]).reshape(len(labels), -1)
    noise = weights @ runs.log.ravel()  # [G]
    # How much of a difference planted at relabeling g₀ (column) is seen at relabeling g (row).
    seen = -weights @ losses_differ.T.astype(float)

    def power(difference: float) -> float:
        found = noise[:, None] + difference * seen
        p = (found >= np.diag(found) - 1e-12).mean(0)
        return float((p <= LEVEL).mean())

    low, high = 0.0, float(-np.log(FLOOR))
    if power(high) < POWER:
        return float("nan")
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return float(np.exp(-high))


def _weights(runs: Likeness, labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """What the statistic of each relabeling weighs log likeness with, [G, R²]."""
    met = _met(runs)
    of_means = (np.diag(met.sum(1)) - met) / met.sum()  # [L, L]
    of_pairs = of_means / np.maximum(runs.numbers, 1)
    weights = of_pairs[labels[:, :, None], labels[:, None, :]] * runs.counts
    return weights.reshape(len(labels), -1)


def _in_all(told: NDArray[np.bool_], values: ArrayLike) -> NDArray[np.float64]:
    """Values of the losses that are told among all losses, NaN elsewhere."""
    result = np.full(len(told), np.nan)
    result[told] = values
    return result
