"""How many of each point's nearest neighbours carry its label, for many labellings at once.

PyTorch is imported where another device than the CPU is asked for, and compiled code where it is
not: together they take three times the memory of 100,000 embeddings and all that is done with them.
"""

import numpy as np
from numpy.typing import NDArray

from lossprint.metrics.neighbor_space import neighbor_space


def count_matches(
    points: NDArray[np.floating],
    codes: NDArray[np.integer],
    neighbors: NDArray[np.integer],
    *,
    normalize: bool = False,
    device: str = "cpu",
) -> NDArray[np.float64]:
    """Count, for each query and property, the nearest neighbours that carry the query's label.

    The neighbours of point i are all other points by Euclidean distance. Of points tied at the
    last place, each takes an equal share of the places that are left: with t tied points, m of
    them matching, and s places, they count s · m / t, which is the expectation over all orders of
    the tied points. The result therefore does not depend on the order of the points, and where
    all points coincide the count is what chance gives. Distances that differ by less than 1e-13
    of the largest norm are tied.

    Args:
        points: [N, D] float32 or float64, finite.
        codes: [N, A] labels of A properties, each 0…C_a − 1.
        neighbors: [N, A] how many nearest neighbours are looked at, 0…N − 1 (0: none, count 0).
        normalize: L2-normalize the points; one at the origin stays there.
        device: where to compute, as PyTorch writes it; both ways give the counts of a float64
            search.

    Returns:
        [N, A] float64 counts, whole numbers but for ties.
    """
    space = neighbor_space(points, normalize=normalize)
    if space.coincident:
        sizes = np.stack([np.bincount(column)[column] for column in codes.T], axis=1)
        return neighbors * ((sizes - 1) / (len(points) - 1))
    matches = neighbors.astype(np.float64)  # of a property with one level, all neighbours match
    several = codes.max(axis=0) > 0
    if not several.any():
        return matches
    if device == "cpu":
        from lossprint.metrics.neighbor_matches_cpu import count_matches_cpu

        found = count_matches_cpu(space, codes[:, several], neighbors[:, several])
    else:
        from lossprint.metrics.neighbor_matches_torch import count_matches_torch

        found = count_matches_torch(space, codes[:, several], neighbors[:, several], device=device)
    matches[:, several] = found
    return matches
