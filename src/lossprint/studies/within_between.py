"""Are runs of one group more alike than runs of different groups?

The groups are losses, compared with the noise between trainings of one loss, or families. Chance
is judged by permuting labels where the null hypothesis allows it: the loss among the runs of one
replicate (fold and seed), the family among losses. Pairs share runs and are not independent;
permuting whole runs respects that.
"""

from collections.abc import Iterator
from itertools import combinations, islice, permutations, product
from math import comb, factorial, prod

import numpy as np
import pandas as pd

from lossprint.studies.pairs import matched, replicates

RESAMPLES = 2000
CHUNK = 256
EXACT_LIMIT = 20_000
"""Relabelings up to which all are tried; beyond it they are drawn."""

COLUMNS = (
    *("measure", "contrast", "replicates", "within", "between", "difference", "low", "high"),
    *("p", "smallest_p", "within_pairs", "between_pairs", "losses"),
)
"""Of a contrast: see `loss_contrast`."""


def loss_contrast(
    pairs: pd.DataFrame, measure: str, *, alike: int = 1, draws: int = 9999, seed: int = 0
) -> dict[str, object]:
    """Contrast pairs of one loss with pairs of two losses, replicates matched.

    Args:
        pairs: from `pairs_table`, with a column for the measure; controls take no part.
        measure: the column.
        alike: 1 if a higher value means more alike, -1 if less.
        draws: relabelings drawn where there are too many to try all.
        seed: of drawing and resampling.

    Returns:
        A row of the contrasts: `within` and `between` are the means of pairs of one loss and of
        two, `difference` is `alike` · (within - between), `low` and `high` its 95 % percentile
        interval from resampling losses with all their runs (NaN below three losses), `p` one-sided
        from permuting losses among the runs of each replicate, `smallest_p` the least p that the
        number of distinct relabelings allows.
    """
    varying = replicates(pairs)
    pairs = _trained(pairs)
    row = _row(measure, "loss", varying, pairs)
    if not varying:
        between = pairs.loc[pairs["loss_a"] != pairs["loss_b"], measure]
        return row | {"between": between.mean(), "between_pairs": len(between)}
    values, counts, runs = _run_matrix(pairs, measure, matched(pairs))
    losses = np.unique(runs["loss"].to_numpy(str), return_inverse=True)[1]
    blocks = [np.array(block) for block in runs.groupby(["fold", "seed"]).indices.values()]

    same = losses[:, None] == losses[None, :]
    rng = np.random.default_rng(seed)
    labelings, smallest = _relabel_blocks(losses, blocks, draws, rng)
    low, high = _bootstrap_losses(alike * values, counts, losses, None, rng)
    return row | {
        "within": _mean(values, counts & same),
        "between": _mean(values, counts & ~same),
        "within_pairs": int((counts & same).sum()) // 2,
        "between_pairs": int((counts & ~same).sum()) // 2,
        "difference": _differences(alike * values, counts, losses[None])[0],
        "low": low,
        "high": high,
        "p": _p_value(alike * values, counts, losses, labelings),
        "smallest_p": smallest,
    }


def family_contrast(
    pairs: pd.DataFrame, measure: str, *, alike: int = 1, draws: int = 9999, seed: int = 0
) -> dict[str, object]:
    """Contrast pairs of two losses of one family with pairs of two families.

    Args, returns: as `loss_contrast`; families are permuted among losses, whose runs are averaged
    first (a loss is the unit: its runs do not tell more about its family). `within_pairs` and
    `between_pairs` count pairs of losses.
    """
    varying = replicates(pairs)
    # Which pairs match is seen from those of one loss, so they are dropped afterwards.
    pairs = _trained(pairs[matched(pairs)])[lambda x: x["loss_a"] != x["loss_b"]]
    row = _row(measure, "family", varying, pairs)
    families = dict(zip(pairs["loss_a"], pairs["family_a"], strict=True))
    families |= dict(zip(pairs["loss_b"], pairs["family_b"], strict=True))
    losses = sorted(families)
    place = {loss: position for position, loss in enumerate(losses)}
    sums, numbers = np.zeros((2, len(losses), len(losses)))
    a, b = pairs["loss_a"].map(place).to_numpy(int), pairs["loss_b"].map(place).to_numpy(int)
    for x, y in ((a, b), (b, a)):
        np.add.at(sums, (x, y), pairs[measure].to_numpy(float))
        np.add.at(numbers, (x, y), 1)
    counts = numbers > 0
    values = np.divide(sums, numbers, out=np.zeros_like(sums), where=counts)
    labels = np.unique([families[loss] for loss in losses], return_inverse=True)[1]
    same = labels[:, None] == labels[None, :]
    row |= {
        "within": _mean(values, counts & same),
        "between": _mean(values, counts & ~same),
        "within_pairs": int((counts & same).sum()) // 2,
        "between_pairs": int((counts & ~same).sum()) // 2,
    }
    if not row["within_pairs"] or not row["between_pairs"]:
        return row

    rng = np.random.default_rng(seed)
    labelings, smallest = _relabel_losses(labels, draws, rng)
    low, high = _bootstrap_losses(alike * values, counts, np.arange(len(losses)), labels, rng)
    return row | {
        "difference": _differences(alike * values, counts, labels[None])[0],
        "low": low,
        "high": high,
        "p": _p_value(alike * values, counts, labels, labelings),
        "smallest_p": smallest,
    }


def _row(measure: str, contrast: str, varying: str, pairs: pd.DataFrame) -> dict[str, object]:
    return dict.fromkeys(COLUMNS, np.nan) | {
        "measure": measure,
        "contrast": contrast,
        "replicates": varying or "seed",
        "within_pairs": 0,
        "between_pairs": 0,
        "losses": len({*pairs["loss_a"], *pairs["loss_b"]}),
    }


def _trained(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs[(pairs["family_a"] != "control") & (pairs["family_b"] != "control")]


def _run_matrix(
    pairs: pd.DataFrame, measure: str, counting: pd.Series
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Values [R, R], whether they count [R, R] (neither for a run with itself), and the runs."""
    sides = [
        pairs[[f"{c}_{side}" for c in ("run", "loss", "fold", "seed")]].set_axis(
            ["run", "loss", "fold", "seed"], axis="columns"
        )
        for side in "ab"
    ]
    runs = pd.concat(sides).drop_duplicates("run").reset_index(drop=True)
    place = {run: position for position, run in enumerate(runs["run"])}
    values, counts = np.zeros((len(runs), len(runs))), np.zeros((len(runs), len(runs)), dtype=bool)
    a, b = pairs["run_a"].map(place).to_numpy(int), pairs["run_b"].map(place).to_numpy(int)
    for x, y in ((a, b), (b, a)):
        values[x, y] = pairs[measure].to_numpy(float)
        counts[x, y] = counting.to_numpy(bool)
    return values, counts, runs


def _mean(values: np.ndarray, chosen: np.ndarray) -> float:
    number = chosen.sum()
    return float(values[chosen].sum() / number) if number else np.nan


def _differences(values: np.ndarray, counts: np.ndarray, labelings: np.ndarray) -> np.ndarray:
    """Mean within minus mean between groups, for each of B labelings [B, R]."""
    within = (labelings[:, :, None] == labelings[:, None, :]) & counts
    within_sums, within_numbers = (within * values).sum((1, 2)), within.sum((1, 2))
    between_sums, between_numbers = (
        values[counts].sum() - within_sums,
        counts.sum() - within_numbers,
    )
    return within_sums / within_numbers - between_sums / between_numbers


def _p_value(
    values: np.ndarray, counts: np.ndarray, labels: np.ndarray, labelings: Iterator[np.ndarray]
) -> float:
    """Share of relabelings at least as extreme; the observed one is among them."""
    observed = _differences(values, counts, labels[None])[0]
    # Equal statistics may differ by rounding, according to the order of their sums.
    bound = observed - 1e-9 * max(1.0, abs(observed))
    extreme = total = 0
    while chunk := list(islice(labelings, CHUNK)):
        extreme += int((_differences(values, counts, np.stack(chunk)) >= bound).sum())
        total += len(chunk)
    return extreme / total


def _relabel_blocks(
    labels: np.ndarray, blocks: list[np.ndarray], draws: int, rng: np.random.Generator
) -> tuple[Iterator[np.ndarray], float]:
    """Permute labels within each block: all ways, or `draws` of them and the observed one.

    Renaming every loss at once changes nothing, so the largest block stays as it is.
    """
    blocks = sorted(blocks, key=len)[:-1]
    ways = prod(factorial(len(block)) for block in blocks)

    def every() -> Iterator[np.ndarray]:
        for orders in product(*(permutations(block) for block in blocks)):
            permuted = labels.copy()
            for block, order in zip(blocks, orders, strict=True):
                permuted[block] = labels[list(order)]
            yield permuted

    def drawn() -> Iterator[np.ndarray]:
        yield labels
        for _ in range(draws):
            permuted = labels.copy()
            for block in blocks:
                permuted[block] = labels[rng.permutation(block)]
            yield permuted

    return (every(), 1 / ways) if ways <= EXACT_LIMIT else (drawn(), 1 / (draws + 1))


def _relabel_losses(
    families: np.ndarray, draws: int, rng: np.random.Generator
) -> tuple[Iterator[np.ndarray], float]:
    """Permute families among losses: all ways, or `draws` of them and the observed one."""
    names, sizes = np.unique(families, return_counts=True)
    two = len(names) == 2
    ways = comb(len(families), int(sizes[0])) if two else factorial(len(families))

    def every() -> Iterator[np.ndarray]:
        for chosen in combinations(range(len(families)), int(sizes[0])):
            permuted = np.full(len(families), names[1])
            permuted[list(chosen)] = names[0]
            yield permuted

    def drawn() -> Iterator[np.ndarray]:
        yield families
        for _ in range(draws):
            yield rng.permutation(families)

    if two and ways <= EXACT_LIMIT:
        # Families of one size can be swapped without changing a pair.
        return every(), (2 if sizes[0] == sizes[1] else 1) / ways
    return drawn(), 1 / (draws + 1)


def _bootstrap_losses(
    values: np.ndarray,
    counts: np.ndarray,
    losses: np.ndarray,
    families: np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """95 % percentile interval of within minus between, losses resampled with all their runs.

    Groups are losses, or families where they are given (losses are then drawn within each). A
    loss drawn twice is not paired with its copy.
    """
    names = np.unique(losses)
    if len(names) < 3:
        return np.nan, np.nan
    members = (losses[None, :] == names[:, None]).astype(float)
    sums = members @ np.where(counts, values, 0.0) @ members.T
    numbers = members @ counts.astype(float) @ members.T
    own = np.eye(len(names), dtype=bool)
    if families is None:
        same, strata = own, [np.arange(len(names))]
    else:
        family = np.array([families[losses == name][0] for name in names])
        same = family[:, None] == family[None, :]
        strata = [np.flatnonzero(family == name) for name in np.unique(family)]
    weights = np.zeros((RESAMPLES, len(names)))
    for stratum in strata:
        drawn = rng.choice(stratum, size=(RESAMPLES, len(stratum)))
        weights += (drawn[:, :, None] == np.arange(len(names))).sum(1)

    def mean(chosen: np.ndarray) -> np.ndarray:
        # A loss with itself counts as often as it was drawn, a pair as often as both were.
        total, number = (
            np.einsum("bi,ij,bj->b", weights, table * (chosen & ~own), weights)
            + weights @ np.diag(table * (chosen & own))
            for table in (sums, numbers)
        )
        return np.divide(total, number, out=np.full(RESAMPLES, np.nan), where=number > 0)

    found = mean(same) - mean(~same)
    found = found[np.isfinite(found)]
    if not len(found):
        return np.nan, np.nan
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
