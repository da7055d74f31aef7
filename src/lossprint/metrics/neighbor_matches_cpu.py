"""Counts of matching labels among each point's nearest neighbours, on CPU cores.

Each thread takes a block of queries: float32 matrix products give their keys to all points, which
are written in sixteen bits; a compiled kernel then selects instead of sorting. What sixteen bits
and float32 cannot tell apart is settled in float64, so the counts equal those of a search in
float64, in memory that grows with N.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import local

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from lossprint.metrics.neighbor_keys import ITSELF, key_pieces, write_keys
from lossprint.metrics.neighbor_selection import scratch_for, select
from lossprint.metrics.neighbor_space import NeighborSpace

_KEYS_BYTES = 16 << 20  # of a thread's block of queries
_POINTS_PER_PRODUCT = 512  # the products of a block stay in the second cache
_SAMPLE = 256


def count_matches_cpu(
    space: NeighborSpace,
    codes: NDArray[np.integer],
    neighbors: NDArray[np.integer],
    *,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Count, for each query and property, the nearest neighbours that carry the query's label.

    See `lossprint.metrics.neighbor_matches.count_matches` for the tie convention.

    Args:
        space: N points.
        codes, neighbors: [N, A] as there.
        threads: worker threads; as many as NumPy's matrix products would take when None.
    """
    count, properties = codes.shape
    dimensions = len(space.centred)
    columns = np.ascontiguousarray(codes.T, dtype=np.min_scalar_type(int(codes.max())))
    neighbors = np.ascontiguousarray(neighbors, dtype=np.int32)
    most = neighbors.max(axis=1)
    block = int(np.clip(_KEYS_BYTES // (2 * count), 32, 256))
    tile = min(_POINTS_PER_PRODUCT, count)
    size = min(_SAMPLE, count)
    sample = np.arange(size) * count // size
    sampled, sampled_half_norms = space.centred[:, sample], space.half_norms[sample]
    largest = float(space.half_norms.max())
    matches = np.zeros((count, properties))
    buffers = local()

    def settle_block(start: int) -> None:
        if not hasattr(buffers, "keys"):
            buffers.keys = np.empty((block, count), dtype=np.uint16)
            buffers.products = np.empty(block * tile, dtype=np.float32)
            buffers.pieces = np.empty((block, 5), dtype=np.float32)
            buffers.reach = np.empty(block, dtype=np.int64)
            buffers.scratch = scratch_for(block, count, dimensions, properties)
        stop = min(start + block, count)
        queries = space.centred[:, start:stop].T
        keys = buffers.keys[: stop - start]
        samples = np.sort(sampled_half_norms - queries @ sampled, axis=1)
        key_pieces(
            samples,
            space.half_norms[start:stop],
            space.key_error[start:stop],
            most[start:stop],
            count,
            largest,
            buffers.pieces,
            buffers.reach,
        )
        for first in range(0, count, tile):
            points = slice(first, min(first + tile, count))
            width = points.stop - first
            products = buffers.products[: len(keys) * width].reshape(len(keys), width)
            np.matmul(queries, space.centred[:, points], out=products)
            write_keys(products, space.half_norms[points], buffers.pieces, keys, first)
        keys[np.arange(len(keys)), np.arange(start, stop)] = ITSELF
        select(
            keys,
            start,
            buffers.reach,
            columns,
            neighbors,
            space.rows,
            space.scale,
            space.tie_tolerance,
            buffers.scratch,
            matches,
        )

    blas = ThreadpoolController().select(user_api="blas")
    # A library that cannot be told how many threads to take is not listed.
    listed = [library["num_threads"] for library in blas.info()]
    workers = threads or max(listed, default=os.cpu_count() or 1)
    # Each worker multiplies on its own core.
    with blas.limit(limits=1), ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(settle_block, range(0, count, block)):
            pass
    return matches
