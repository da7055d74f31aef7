"""Counts of matching labels among each point's nearest neighbours, on CPU cores.

Each thread takes a block of queries: one float32 matrix product gives their keys to all points,
then a compiled kernel selects instead of sorting. Per query it

1. keeps the points below a cut that a sample of the keys puts just beyond the farthest R-th
   neighbour of any property (should the sample mislead, it keeps all),
2. groups them by bins of their keys, in order, so that every bin's rank is known,
3. goes through them once, comparing all properties of a point with the query's at the same time,
   and notes each property's count where the bins about its R-th neighbour begin,
4. settles the few points in those bins: by float32 keys where these differ by more than their
   error bound, and by float64 distances where they do not.

So the counts equal those of a search in float64, in memory that grows with N.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import local

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from lossprint.metrics.neighbor_space import NeighborSpace

BLOCK_BYTES = 8 << 20
LANES = 16  # properties compared at once: their codes fill a vector register
SAMPLE = 512
BEYOND_ALL = 1e38  # above every key: those are at most 1.5
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
    groups = -(-properties // LANES)
    grouped = np.zeros((groups, count, LANES), np.uint16 if codes.max() < 1 << 16 else np.int32)
    for a in range(properties):
        grouped[a // LANES, :, a % LANES] = codes[:, a]
    neighbors = np.ascontiguousarray(neighbors, dtype=np.int64)
    bins = int(np.clip(2 ** np.ceil(np.log2(neighbors.max() / 2 + 1)), 256, 8192))
    block = int(np.clip(BLOCK_BYTES // (4 * count), 32, 256))
    matches = np.zeros((count, properties))
    centred = torch.from_numpy(space.centred)
    buffers = local()

    def settle_block(start: int) -> None:
        if not hasattr(buffers, "products"):
            buffers.products = torch.empty(block, count)
            buffers.scratch = _scratch(count, bins, groups)
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
            grouped,
            neighbors,
            *buffers.scratch,
            matches,
        )

    workers = threads or torch.get_num_threads()
    # One intra-op thread in each worker: the setting is the calling thread's own.
    with ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(1)) as pool:
        for _ in pool.map(settle_block, range(0, count, block)):
            pass
    return matches


def _scratch(count: int, bins: int, groups: int) -> tuple[NDArray, ...]:
    return (
        np.empty(count + 1, dtype=np.uint32),  # points below the cut
        np.empty(count + 1, dtype=np.float32),  # their keys
        np.empty(count, dtype=np.uint16),  # their bins
        np.empty(bins + 1, dtype=np.int64),  # points in nearer bins
        np.empty(bins, dtype=np.uint32),  # where the bin's next point goes
        np.empty(count, dtype=np.uint32),  # the points, ordered by bin
        np.empty(count, dtype=np.float32),  # their keys, in the same order
        np.empty(count, dtype=np.float32),  # keys to select from
        np.empty(count, dtype=np.uint32),  # points that float32 cannot place
        np.empty((groups, LANES), dtype=np.int32),  # matches so far
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
    kept,
    kept_keys,
    bin_of,
    nearer,
    cursor,
    ordered,
    ordered_keys,
    values,
    unsure_points,
    so_far,
    distances,
    distances_of,
    matches,
):
    """Fill matches[first:first + B] from the products [B, N] of queries with all points."""
    count = products.shape[1]
    properties = neighbors.shape[1]
    bins = cursor.shape[0]
    threshold_bins = np.empty(properties, dtype=np.int64)
    low_bins = np.empty(properties, dtype=np.int64)
    high_bins = np.empty(properties, dtype=np.int64)
    distances_of[:] = -1
    for row in range(products.shape[0]):
        query = first + row
        product = products[row]
        product[query] = -np.float32(2 * BEYOND_ALL)  # itself: beyond any cut
        most = neighbors[query].max()
        if most < 1:
            continue
        # Keys within two error bounds of the R-th one (its own error and the other's) can change
        # places with it; they lie at most `reach` bins away from its bin.
        margin = np.float32(2) * key_error[query]
        low, cut = _sampled_cut(product, half_norms, most, values)
        while True:
            size = _keep_below(product, half_norms, cut, kept, kept_keys)
            everything = size == count - 1
            if size < most:
                cut = np.float32(BEYOND_ALL)
                continue
            high = cut
            if cut >= BEYOND_ALL:
                low, high = _range(kept_keys[:size])
            per_key = np.float32(bins) / (high - low) if high > low else np.float32(0)
            _bin(kept_keys[:size], low, per_key, bins, bin_of)
            _order(kept, kept_keys, bin_of, size, nearer, cursor, ordered, ordered_keys)
            reach = int(min(margin * per_key + np.float32(0.01), np.float32(bins))) + 1
            highest = 0
            for a in range(properties):
                if neighbors[query, a] > 0:
                    # The first bin up to which there are enough points.
                    at = np.searchsorted(nearer[1:], neighbors[query, a])
                    threshold_bins[a] = at
                    low_bins[a] = max(at - reach, 0)
                    high_bins[a] = min(at + reach, bins - 1)
                    highest = max(highest, at + reach)
            if everything or highest < bins - 1:
                break
            cut = np.float32(BEYOND_ALL)  # a point beyond the cut might have to be settled

        so_far[:] = 0
        position = 0
        done = -1
        for _ in range(properties):
            # The property whose unsettled bins begin next; those that begin together follow.
            a = _next_property(low_bins, neighbors[query], done)
            if a < 0:
                break
            done = low_bins[a] * properties + a
            begin = nearer[low_bins[a]]
            for group in range(codes.shape[0]):
                _add_matches(ordered, position, begin, codes[group], query, so_far[group])
            position = begin

            at = threshold_bins[a]
            in_bin = nearer[at + 1] - nearer[at]
            for p in range(in_bin):
                values[p] = ordered_keys[nearer[at] + p]
            threshold = _kth_smallest(values[:in_bin], neighbors[query, a] - nearer[at] - 1)
            own_codes = codes[a // LANES, :, a % LANES]
            label = own_codes[query]
            sure = np.int64(so_far[a // LANES, a % LANES])
            open_places = neighbors[query, a] - begin
            unsure = 0
            unsure_matches = 0
            for p in range(begin, nearer[high_bins[a] + 1]):
                if ordered_keys[p] < threshold - margin:
                    open_places -= 1
                    sure += own_codes[ordered[p]] == label
                elif ordered_keys[p] <= threshold + margin:
                    unsure_points[unsure] = ordered[p]
                    unsure += 1
                    unsure_matches += own_codes[ordered[p]] == label
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
                    own_codes,
                    distances,
                    distances_of,
                )


@njit(nogil=True, cache=True, fastmath=_FAST)
def _sampled_cut(product, half_norms, most, values):
    """The least key of a sample, and one that very likely has more than `most` keys below it."""
    count = product.shape[0]
    size = min(SAMPLE, count)
    low = np.float32(BEYOND_ALL)
    for s in range(size):
        j = s * count // size
        values[s] = half_norms[j] - product[j]
        low = min(low, values[s])
    share = most / count
    rank = int(np.ceil(size * share + 4 * np.sqrt(size * share * (1 - share)) + 2))
    if rank >= size - 1:
        return low, np.float32(BEYOND_ALL)
    return low, _kth_smallest(values[:size], rank)


@njit(nogil=True, cache=True, fastmath=_FAST)
def _keep_below(product, half_norms, cut, kept, kept_keys):
    """Write the points whose key is below the cut, and their keys; return how many they are."""
    size = np.uint64(0)
    for j in range(product.shape[0]):
        key = half_norms[j] - product[j]
        kept[size] = j
        kept_keys[size] = key
        size += np.uint64(key < cut)  # no branch: it could not be predicted
    return np.int64(size)


@njit(nogil=True, cache=True, fastmath=_FAST)
def _range(keys):
    low = keys[0]
    high = keys[0]
    for j in range(keys.shape[0]):
        low = min(low, keys[j])
        high = max(high, keys[j])
    return low, high


@njit(nogil=True, cache=True, fastmath=_FAST)
def _bin(keys, low, per_key, bins, bin_of):
    """Bin each key; keys outside the range go to the first or the last bin."""
    last = np.float32(bins - 1)
    for j in range(keys.shape[0]):
        bin_of[j] = np.int32(max(min((keys[j] - low) * per_key, last), np.float32(0)))


@njit(nogil=True, cache=True)
def _order(kept, kept_keys, bin_of, size, nearer, cursor, ordered, ordered_keys):
    """Order the kept points by bin; nearer[b] becomes the number of points in bins below b."""
    cursor[:] = 0
    for j in range(size):
        cursor[bin_of[j]] += np.uint32(1)
    total = np.int64(0)
    for b in range(cursor.shape[0]):
        nearer[b] = total
        total += cursor[b]
        cursor[b] = nearer[b]
    nearer[cursor.shape[0]] = total
    for j in range(size):
        place = cursor[bin_of[j]]
        ordered[place] = kept[j]
        ordered_keys[place] = kept_keys[j]
        cursor[bin_of[j]] = place + np.uint32(1)


@njit(nogil=True, cache=True)
def _next_property(low_bins, neighbors, done):
    """The first property after `done` by (low bin, number), among those with neighbours, or −1."""
    properties = low_bins.shape[0]
    best = -1
    best_place = np.int64(0)
    for a in range(properties):
        place = low_bins[a] * properties + a
        if neighbors[a] > 0 and place > done and (best < 0 or place < best_place):
            best = a
            best_place = place
    return best


@njit(nogil=True, cache=True)
def _add_matches(ordered, begin, end, codes, query, so_far):
    """Add to so_far [LANES] how many of ordered[begin:end] have the query's code in each lane."""
    own = codes[query]
    p = begin
    while p + 4 <= end:  # four at once: the counts are read and written a quarter as often
        i, j, k, m = ordered[p], ordered[p + 1], ordered[p + 2], ordered[p + 3]
        for a in range(LANES):
            so_far[a] += (
                np.uint16(codes[i, a] == own[a])
                + np.uint16(codes[j, a] == own[a])
                + np.uint16(codes[k, a] == own[a])
                + np.uint16(codes[m, a] == own[a])
            )
        p += 4
    while p < end:
        for a in range(LANES):
            so_far[a] += codes[ordered[p], a] == own[a]
        p += 1


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
