"""Counts of matching labels among each point's nearest neighbours, on CPU cores.

Each thread takes a block of queries: one float32 matrix product gives their keys to all points,
then a compiled kernel selects instead of sorting. Per query it

1. bins the keys (a histogram, so every bin's rank is known),
2. finds, for each property, the bin that holds the R-th neighbour,
3. counts the property's matching points in nearer bins, visiting matching points only,
4. settles the few points about the threshold: by float32 keys where those differ by more than
   their error bound, and by float64 distances where they do not.

So the counts equal those of a search in float64, in memory that grows with N.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import local

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from lossprint.metrics.neighbor_space import NeighborSpace

BLOCK_BYTES = 16 << 20
# Values are finite (checked by the caller) and no result depends on the order of a sum.
_FAST = {"nnan", "ninf", "nsz", "contract", "reassoc"}


def count_matches_cpu(
    space: NeighborSpace,
    codes: NDArray[np.int64],
    neighbors: NDArray[np.int64],
    *,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Count, for each query and property, the nearest neighbours that carry the query's label.

    See `lossprint.metrics.neighbor_matches.count_matches` for shapes and the tie convention.

    Args:
        space: N points.
        codes: [N, A] labels of A properties, each 0…C_a − 1.
        neighbors: [N, A] how many nearest neighbours are looked at, 0…N − 1 (0: none, count 0).
        threads: worker threads; PyTorch's intra-op number when None.
    """
    count, properties = codes.shape
    members, starts = _members_by_label(codes)
    codes32 = np.ascontiguousarray(codes, dtype=np.int32)
    neighbors64 = np.ascontiguousarray(neighbors, dtype=np.int64)
    bins = int(np.clip(2 ** round(np.log2(count / 6)), 256, 8192))
    block = int(np.clip(BLOCK_BYTES // (4 * count), 16, 256))
    matches = np.zeros((count, properties))
    centred = torch.from_numpy(space.centred)
    buffers = local()

    def settle_block(start: int) -> None:
        if not hasattr(buffers, "products"):
            buffers.products = torch.empty(block, count)
            buffers.scratch = _scratch(count, bins)
        stop = min(start + block, count)
        products = buffers.products[: stop - start]
        torch.mm(centred[start:stop], centred.T, out=products)
        _count_block(  # type: ignore[call-arg]  # numba's stubs know no compiled signature
            products.numpy(),
            start,
            space.half_norms,
            space.key_error,
            space.points,
            space.tie_tolerance,
            codes32,
            neighbors64,
            members,
            starts,
            *buffers.scratch,
            matches,
        )

    workers = threads or torch.get_num_threads()
    # One intra-op thread in each worker: the setting is the calling thread's own.
    with ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(1)) as pool:
        for _ in pool.map(settle_block, range(0, count, block)):
            pass
    return matches


def _members_by_label(
    codes: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Members [A, N] and starts [A, C + 1]: members[a, starts[a, l] : starts[a, l + 1]] carry l."""
    count, properties = codes.shape
    labels = int(codes.max()) + 1
    members = np.empty((properties, count), dtype=np.int32)
    starts = np.zeros((properties, labels + 1), dtype=np.int64)
    for a in range(properties):
        members[a] = np.argsort(codes[:, a], kind="stable")
        np.cumsum(np.bincount(codes[:, a], minlength=labels), out=starts[a, 1:])
    return members, starts


def _scratch(count: int, bins: int) -> tuple[NDArray, ...]:
    return (
        np.empty(count, dtype=np.uint16),  # bin of each point
        np.empty(bins + 1, dtype=np.int32),  # points in each bin, the last for the query itself
        np.empty(bins + 2, dtype=np.int64),  # points in nearer bins
        np.full(bins + 1, -1, dtype=np.int32),  # where the bin's next candidate goes, -1: nowhere
        np.empty(count, dtype=np.int32),  # candidates, grouped by bin
        np.empty(count, dtype=np.int32),  # candidates that float32 cannot place
        np.empty(count, dtype=np.float64),  # float64 distances of the current query
        np.empty(count, dtype=np.int64),  # the query those distances belong to
    )


@njit(nogil=True, cache=True, fastmath=_FAST)
def _count_block(
    products,
    first,
    half_norms,
    key_error,
    points,
    tie_tolerance,
    codes,
    neighbors,
    members,
    starts,
    bin_of,
    sizes,
    nearer,
    cursor,
    candidates,
    unsure_points,
    distances,
    distances_of,
    matches,
):
    """Fill matches[first:first + B] from products [B, N]; products are overwritten by the keys."""
    count = products.shape[1]
    properties = codes.shape[1]
    bins = sizes.shape[0] - 1
    low_bins = np.empty(properties, dtype=np.int64)
    threshold_bins = np.empty(properties, dtype=np.int64)
    high_bins = np.empty(properties, dtype=np.int64)
    distances_of[:] = -1
    for row in range(products.shape[0]):
        query = first + row
        keys = products[row]
        for j in range(count):
            keys[j] = half_norms[j] - keys[j]
        keys[query] = keys[query - 1] if query > 0 else keys[1]  # itself: no part in the range
        low = keys[0]
        high = keys[0]
        for j in range(count):
            low = min(low, keys[j])
            high = max(high, keys[j])
        per_key = np.float32(0)
        if high > low:
            per_key = np.float32(bins) / (high - low)

        last = np.int32(bins - 1)
        for j in range(count):
            bin_of[j] = min(np.int32((keys[j] - low) * per_key), last)
        bin_of[query] = bins
        sizes[:] = 0
        for j in range(count):
            sizes[bin_of[j]] += 1
        nearer[0] = 0
        for b in range(bins + 1):
            nearer[b + 1] = nearer[b] + sizes[b]

        # The R-th key is known to be in a bin; keys within two error bounds of it (its own error
        # and the other's) lie at most `reach` bins away.
        margin = np.float32(2) * key_error[query]
        reach = int(min(margin * per_key + np.float32(0.01), np.float32(bins))) + 1
        for a in range(properties):
            wanted = neighbors[query, a]
            if wanted < 1:
                continue
            left, right = 0, bins - 1  # the first bin with nearer[b + 1] >= wanted
            while left < right:
                middle = (left + right) // 2
                if nearer[middle + 1] >= wanted:
                    right = middle
                else:
                    left = middle + 1
            threshold_bins[a] = left
            low_bins[a] = max(left - reach, 0)
            high_bins[a] = min(left + reach, bins - 1)
            for b in range(low_bins[a], high_bins[a] + 1):
                cursor[b] = nearer[b]
        for j in range(count):
            place = cursor[bin_of[j]]
            if place >= 0:
                candidates[place] = j
                cursor[bin_of[j]] = place + 1

        for a in range(properties):
            wanted = neighbors[query, a]
            if wanted < 1:
                continue
            label = codes[query, a]
            lowest = low_bins[a]
            sure = 0
            for m in range(starts[a, label], starts[a, label + 1]):
                sure += bin_of[members[a, m]] < lowest
            for b in range(lowest, high_bins[a] + 1):
                cursor[b] = -1
            around = candidates[nearer[lowest] : nearer[high_bins[a] + 1]]
            in_bin = candidates[nearer[threshold_bins[a]] : nearer[threshold_bins[a] + 1]]
            position = wanted - nearer[threshold_bins[a]] - 1
            threshold = _kth_smallest(keys[in_bin], position)
            open_places = wanted - nearer[lowest]
            unsure = 0
            unsure_matches = 0
            for j in around:
                if keys[j] < threshold - margin:
                    open_places -= 1
                    sure += codes[j, a] == label
                elif keys[j] <= threshold + margin:
                    unsure_points[unsure] = j
                    unsure += 1
                    unsure_matches += codes[j, a] == label
            if unsure_matches == 0:
                matches[query, a] = sure
            elif unsure_matches == unsure or unsure == open_places:
                matches[query, a] = sure + min(unsure_matches, open_places)
            else:
                matches[query, a] = sure + _settle(
                    points,
                    query,
                    unsure_points[:unsure],
                    open_places,
                    tie_tolerance,
                    codes[:, a],
                    distances,
                    distances_of,
                )


@njit(nogil=True, cache=True, fastmath=_FAST)
def _settle(points, query, unsure, open_places, tie_tolerance, codes, distances, distances_of):
    """Matches among the `open_places` nearest of the unsure points, by float64 distance."""
    label = codes[query]
    exact = np.empty(unsure.shape[0])
    for u in range(unsure.shape[0]):
        j = unsure[u]
        if distances_of[j] != query:
            total = 0.0
            for d in range(points.shape[1]):
                difference = points[query, d] - points[j, d]
                total += difference * difference
            distances[j] = np.sqrt(total)
            distances_of[j] = query
        exact[u] = distances[j]
    threshold = _kth_smallest(exact.copy(), open_places - 1)
    nearer = 0
    nearer_matches = 0
    tied = 0
    tied_matches = 0
    for u in range(unsure.shape[0]):
        match = codes[unsure[u]] == label
        if exact[u] < threshold - tie_tolerance:
            nearer += 1
            nearer_matches += match
        elif exact[u] <= threshold + tie_tolerance:
            tied += 1
            tied_matches += match
    return nearer_matches + (open_places - nearer) * tied_matches / tied


@njit(nogil=True, cache=True)
def _kth_smallest(values, k):
    """The value of rank k (from 0), by quickselect; `values` are reordered."""
    left = 0
    right = values.shape[0] - 1
    while left < right:
        pivot = values[(left + right) // 2]
        i = left
        j = right
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            right = j
        elif k >= i:
            left = i
        else:
            break
    return values[k]
