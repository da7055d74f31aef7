"""Sixteen-bit keys that order the neighbours of a query, for vector instructions of many lanes.

A float32 key (see `neighbor_space`) becomes a whole number by a rising function of three straight
pieces: fine between the query's nearest neighbours and its farthest R-th neighbour of any property,
coarse below and above. So all orders are kept but for keys that fall on the same number, and the
numbers are spent where ranks are looked for.
"""

import numpy as np
from numpy.typing import NDArray

from lossprint.compiled import compiled

# The ends of the pieces; neither end of the whole is reached, whatever float32 rounds to.
_LEAST, _FINE_FROM, _FINE_TO, _GREATEST = 4, 4_096, 57_344, 65_528
KEY_BITS = 16
ITSELF = 65_535
"""The key of a query to itself, above all others."""


@compiled
def key_pieces(
    samples: NDArray[np.float32],
    half_norms: NDArray[np.float32],
    key_errors: NDArray[np.float32],
    most: NDArray[np.int64],
    count: int,
    largest_half_norm: float,
    pieces: NDArray[np.float32],
    reach: NDArray[np.int64],
) -> None:
    """Lay out the pieces for each of B queries.

    Args:
        samples: [B, S] float32 keys of a sample of the points, ascending.
        half_norms, key_errors: [B] of the queries.
        most: [B] neighbours looked at, at most, of any property.
        count: points, N.
        largest_half_norm: of all points.
        pieces: [B, 5] float32, written: slope of the fine piece and its value at 0, slope of the
            coarse pieces, value at 0 of the one below and of the one above.
        reach: [B] int64, written: keys that differ by more than this are in their true order;
            float32 has not told the others apart.
    """
    size = samples.shape[1]
    for i in range(samples.shape[0]):
        share = most[i] / count
        rank = size * share + 4 * np.sqrt(size * share * (1 - share)) + 2
        error = np.float64(key_errors[i])
        half_norm = np.float64(half_norms[i])
        # Of all points: |q − x| ≥ 0 and q · x ≥ −|q| |x|.
        nearest = -half_norm - error
        farthest = largest_half_norm + 2 * np.sqrt(half_norm * largest_half_norm) + error
        fine_from = max(np.float64(samples[i, 0]), nearest)
        fine_to = max(np.float64(samples[i, min(int(rank), size - 1)]), fine_from)

        # Finer than the error would tell nothing. Both coarse pieces have one slope, at most the
        # fine one, so that of the three lines the middle one is right everywhere.
        fine = min((_FINE_TO - _FINE_FROM) / max(fine_to - fine_from, 1e-30), 1 / error)
        highest = _FINE_FROM + fine * (fine_to - fine_from)
        coarse = min(
            (_FINE_FROM - _LEAST) / max(fine_from - nearest, 1e-30),
            (_GREATEST - highest) / max(farthest - fine_to, 1e-30),
            fine,
        )
        pieces[i, 0], pieces[i, 1] = fine, _FINE_FROM - fine * fine_from
        pieces[i, 2] = coarse
        pieces[i, 3] = _FINE_FROM - coarse * fine_from
        pieces[i, 4] = highest - coarse * fine_to
        # Keys in the wrong order differ by two errors at most. To these comes, for both, the
        # rounding of slope × key (|key| ≤ 3/2) and of the sum (at most 2^16).
        rounding = 2 * 2.0**-24 * (1.5 * fine + 2.0**16)
        reach[i] = int(np.ceil(2 * error * fine + rounding))


@compiled(fastmath={"nnan", "ninf", "nsz", "contract"})
def write_keys(
    products: NDArray[np.float32],
    half_norms: NDArray[np.float32],
    pieces: NDArray[np.float32],
    keys: NDArray[np.uint16],
    first: int,
) -> None:
    """Write the keys of B queries to T points, from the products of their centred vectors.

    Args:
        products: [B, T] float32.
        half_norms: [T] of the points.
        pieces: [B, 5] of the queries, see `key_pieces`.
        keys: [B, N] uint16, of which T columns from `first` on are written.
    """
    for i in range(products.shape[0]):
        product, row = products[i], keys[i, first : first + products.shape[1]]
        fine, fine_at_0 = pieces[i, 0], pieces[i, 1]
        coarse, below_at_0, above_at_0 = pieces[i, 2], pieces[i, 3], pieces[i, 4]
        for j in range(product.shape[0]):
            key = half_norms[j] - product[j]
            far = key * coarse
            number = min(max(key * fine + fine_at_0, far + below_at_0), far + above_at_0)
            row[j] = np.uint16(np.int32(number))
