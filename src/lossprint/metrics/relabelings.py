"""The relabelings that a null hypothesis allows: all of them, or as many as are drawn."""

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from math import factorial, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Relabelings(NamedTuple):
    """Labels under a null hypothesis.

    Attributes:
        labels: [B, R], the observed ones among them (first, where they are drawn).
        smallest_p: the least p that they allow.
    """

    labels: NDArray[np.intp]
    smallest_p: float

    def p(self, statistics: NDArray[np.float64], observed: float) -> float:
        """Share of relabelings with a statistic [B] at least as large; NaN if one is not finite."""
        if not (np.isfinite(statistics).all() and np.isfinite(observed)):
            return float("nan")
        # Equal statistics may differ by rounding, according to the order of their sums.
        return float(np.mean(statistics >= observed - 1e-12 * max(1.0, abs(observed))))


def within_blocks(
    labels: NDArray[np.intp],
    blocks: Sequence[NDArray[np.intp]],
    *,
    draws: int,
    seed: int,
    equivalent: int = 1,
) -> Relabelings:
    """Permute labels [R] among the runs of each block; runs of no block keep theirs.

    All relabelings where there are no more than `draws`, else that many beside the observed one.

    Args:
        equivalent: relabelings that the statistic does not tell from any one of them.
    """
    ways = prod(factorial(len(block)) for block in blocks)
    # Runs of one label may change places without a difference.
    alike = prod(factorial(n) for block in blocks for n in np.bincount(labels[block]).tolist())
    smallest = alike * equivalent / ways
    if ways <= draws:
        return Relabelings(_every_order(labels, blocks, ways), smallest)
    rng = np.random.default_rng(seed)
    drawn = np.tile(labels, (draws + 1, 1))
    for block in blocks:
        drawn[1:, block] = rng.permuted(drawn[1:, block], axis=1)
    return Relabelings(drawn, max(smallest, 1 / (draws + 1)))


def among_units(labels: NDArray[np.intp], *, draws: int, seed: int) -> Relabelings:
    """Permute labels [U] among units; all ways, or drawn as by `within_blocks`.

    Labels that are given as often as each other can change names without a difference.
    """
    sizes = np.bincount(labels)
    ways = factorial(len(labels)) // prod(factorial(n) for n in sizes.tolist())
    alike = prod(factorial(n) for n in np.bincount(sizes[sizes > 0]).tolist())
    if ways <= draws:
        return Relabelings(np.array(list(_every_split(sizes, len(labels)))), alike / ways)
    rng = np.random.default_rng(seed)
    drawn = np.tile(labels, (draws + 1, 1))
    drawn[1:] = rng.permuted(drawn[1:], axis=1)
    return Relabelings(drawn, max(alike / ways, 1 / (draws + 1)))


def _every_order(
    labels: NDArray[np.intp], blocks: Sequence[NDArray[np.intp]], ways: int
) -> NDArray[np.intp]:
    every, rest = np.tile(labels, (ways, 1)), np.arange(ways)
    for block in blocks:
        orders = np.array(list(permutations(labels[block])))
        rest, way = np.divmod(rest, len(orders))
        every[:, block] = orders[way]
    return every


def _every_split(sizes: NDArray[np.intp], count: int) -> Iterator[NDArray[np.intp]]:
    """All ways to give `count` units labels 0, 1, …, as many of each as `sizes` says."""

    def fill(split: NDArray[np.intp], free: list[int], label: int) -> Iterator[NDArray[np.intp]]:
        if label == len(sizes) - 1:
            yield split
            return
        for chosen in combinations(free, int(sizes[label])):
            taken = split.copy()
            taken[list(chosen)] = label
            yield from fill(taken, [unit for unit in free if unit not in chosen], label + 1)

    return fill(np.full(count, len(sizes) - 1), list(range(count)), 0)
