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
_ROWS_AT_ONCE = 512  # float64 copies of so many rows stay in the cache


@dataclass(frozen=True)
class NeighborSpace:
    """Points and what is needed to compare distances between them.

    Point i is `rows[i] * scale[i]`, in float64: exact comparisons are made on these.

    Attributes:
        rows: [N, D] float32 or float64, as given.
        scale: [N] float64, 1 or what L2-normalizes the row.
        centred: [D, N] float32, the points minus their mean, scaled so that the largest norm is 1.
        half_norms: [N] float32, |centred|² / 2.
        key_error: [N] float32, a bound on the rounding error of any key of query i, computed in
            float32 as `half_norms[j] - centred[:, i] @ centred[:, j]` in any order of summation.
        tie_tolerance: distances that differ by no more than this are equal (the rounding of
            float64 is below it).
        coincident: all points are the same within `tie_tolerance`.
    """

    rows: NDArray[np.floating]
    scale: NDArray[np.float64]
    centred: NDArray[np.float32]
    half_norms: NDArray[np.float32]
    key_error: NDArray[np.float32]
    tie_tolerance: float
    coincident: bool


def neighbor_space(rows: NDArray[np.floating], *, normalize: bool = False) -> NeighborSpace:
    """Prepare rows [N, D] (finite, float32 or float64) for neighbour comparisons.

    Args:
        rows: the points.
        normalize: L2-normalize them; a row of zeros stays as it is.
    """
    count, dimensions = rows.shape
    norms = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    scale = np.ones(count)
    if normalize:
        np.divide(1, norms, out=scale, where=norms > 0)
    tie_tolerance = TIE_TOLERANCE * float((norms * scale).max())

    blocks = [slice(start, start + _ROWS_AT_ONCE) for start in range(0, count, _ROWS_AT_ONCE)]
    mean = sum(scale[block] @ rows[block] for block in blocks) / count
    squares = np.empty(count)
    for block in blocks:
        moved = rows[block] * scale[block, None] - mean
        squares[block] = np.einsum("nd,nd->n", moved, moved)
    radius = float(np.sqrt(squares.max()))
    coincident = radius <= tie_tolerance
    if coincident:
        radius = 1.0
    centred = np.empty((dimensions, count), dtype=np.float32)
    for block in blocks:
        centred[:, block] = ((rows[block] * scale[block, None] - mean) / radius).T
    squares /= radius**2

    # A dot product of D terms in any order errs by at most D u |q| |x| (Higham, Accuracy and
    # Stability, 3.1); rounding both factors to float32 adds 2 u |q| |x|. Here |x| ≤ 1, the half
    # norm is ≤ 1/2 and the key is ≤ 3/2, each rounded once; the rest is slack for second order.
    key_error = FLOAT32_UNIT * ((dimensions + 4) * np.sqrt(squares) + 3)
    if not coincident:
        # Distances (≤ 2 here) that count as tied must also be within the bound of each other.
        key_error += 2 * tie_tolerance / radius
    return NeighborSpace(
        rows=np.ascontiguousarray(rows),
        scale=scale,
        centred=centred,
        half_norms=(squares / 2).astype(np.float32),
        key_error=key_error.astype(np.float32),
        tie_tolerance=tie_tolerance,
        coincident=coincident,
    )
