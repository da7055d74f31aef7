"""Distances between N points, prepared so that fast float32 arithmetic can decide exact ranks.

Ranking the neighbours of a point q by Euclidean distance is ranking them by the key

    key(q, x) = |x|² / 2 − q · x = (|q − x|² − |q|²) / 2,

which a matrix product gives for many pairs at once. Distances do not change when all points move
together, so the points are centred and scaled to the unit ball first: the key's rounding error is
proportional to the norms, and embeddings of an untrained network, say, all point almost the same
way. What float32 cannot tell apart is settled in float64 on the points as they were given.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOAT32_UNIT = 2.0**-24
TIE_TOLERANCE = 1e-13


@dataclass(frozen=True)
class NeighborSpace:
    """Points and what is needed to compare distances between them.

    Attributes:
        points: [N, D] float64, as given: exact comparisons are made on these.
        centred: [N, D] float32, the points minus their mean, scaled so that the largest norm is 1.
        half_norms: [N] float32, |centred|² / 2.
        key_error: [N] float32, a bound on the rounding error of any key of query i, computed in
            float32 as `half_norms[j] - centred[i] @ centred[j]` in any order of summation.
        tie_tolerance: distances that differ by no more than this are equal (the rounding of
            float64 is below it).
        coincident: all points are the same within `tie_tolerance`.
    """

    points: NDArray[np.float64]
    centred: NDArray[np.float32]
    half_norms: NDArray[np.float32]
    key_error: NDArray[np.float32]
    tie_tolerance: float
    coincident: bool


def neighbor_space(points: NDArray[np.float64]) -> NeighborSpace:
    """Prepare points [N, D] (finite, float64) for neighbour comparisons."""
    dimensions = points.shape[1]
    tie_tolerance = TIE_TOLERANCE * float(np.linalg.norm(points, axis=1).max())
    centred = points - points.mean(axis=0)
    radius = float(np.linalg.norm(centred, axis=1).max())
    coincident = radius <= tie_tolerance
    if not coincident:
        centred /= radius
    squares = np.einsum("nd,nd->n", centred, centred)
    # A dot product of D terms in any order errs by at most D u |q| |x| (Higham, Accuracy and
    # Stability, 3.1); rounding both factors to float32 adds 2 u |q| |x|. Here |x| ≤ 1, the half
    # norm is ≤ 1/2 and the key is ≤ 3/2, each rounded once; the rest is slack for second order.
    key_error = FLOAT32_UNIT * ((dimensions + 4) * np.sqrt(squares) + 3)
    if not coincident:
        # Distances (≤ 2 here) that count as tied must also be within the bound of each other.
        key_error += 2 * tie_tolerance / radius
    return NeighborSpace(
        points=np.ascontiguousarray(points),
        centred=np.ascontiguousarray(centred, dtype=np.float32),
        half_norms=(squares / 2).astype(np.float32),
        key_error=key_error.astype(np.float32),
        tie_tolerance=tie_tolerance,
        coincident=coincident,
    )
