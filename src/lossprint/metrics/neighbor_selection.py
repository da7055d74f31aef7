"""Compiled selection: matches among the nearest neighbours, from the keys of a block of queries.

Nothing is sorted. For each query

1. `_group` links the points of each bin of keys into a list and counts them, so that the bin of the
   R-th neighbour of each property is known (`_threshold_bins`), and so is how many points lie in
   the bins below it;
2. `_count_nearer` counts the matching ones among these: for each property one comparison of all
   keys with a limit and of all labels with the query's, many at once in a vector register;
3. `_settle_by_key` and `_settle_by_distance` settle the few points in the bins about the R-th
   neighbour: by their keys where these differ by more than their error, and by float64 distances
   where they do not.
"""

import numpy as np

from lossprint.compiled import compiled
from lossprint.metrics.neighbor_keys import ITSELF, KEY_BITS

_POINTS_AT_ONCE = 2048  # their labels stay in the innermost cache, their counts in 16 bits
_SIZE = np.uint64(32)
"""A bin is one number: its size above this bit, the last point that fell into it below."""


def bin_shift(count: int) -> int:
    """How many low bits of a key tell apart points of one bin: few points, large bins."""
    return KEY_BITS - int(np.clip(np.ceil(np.log2(count / 8)), 8, 12))


def scratch_for(queries: int, count: int, dimensions: int, properties: int) -> tuple:
    """What a worker needs for blocks of so many queries, in the order that `select` takes it."""
    return (
        np.empty(1 << (KEY_BITS - bin_shift(count)), dtype=np.uint64),  # bins
        np.empty(count, dtype=np.uint32),  # the point before, in the same bin
        np.empty((queries, properties), dtype=np.int64),  # first bin that is not surely nearer
        np.empty(properties, dtype=np.int64),  # last bin that is not surely farther
        np.empty(properties, dtype=np.int64),  # points in bins before the first
        np.empty(properties, dtype=np.int64),  # properties by number of neighbours
        np.empty(count, dtype=np.uint32),  # points to settle
        np.empty(count, dtype=np.uint16),  # their keys
        np.empty(count, dtype=np.float64),  # their distances
        np.empty(dimensions, dtype=np.float64),  # the query in float64
        np.empty(count, dtype=np.float64),  # distances of the query that are known
        np.full(count, -1, dtype=np.int64),  # the query they belong to
    )


@compiled
def select(
    keys,
    first,
    reach,
    codes,
    neighbors,
    rows,
    scale,
    tie_tolerance,
    scratch,
    matches,
):
    """Write matches[first:first + B] of B queries, the points from `first` on.

    Args:
        keys: [B, N] uint16, each query's own key `ITSELF`.
        first: the first query's place among the points.
        reach: [B], see `key_pieces`.
        codes: [A, N] labels of A properties.
        neighbors: [N, A] how many nearest neighbours are looked at.
        rows, scale, tie_tolerance: of the `NeighborSpace`.
        scratch: see `scratch_for`.
        matches: [N, A] float64, zeros.
    """
    bins, before, first_bins, last_bins, surely_nearer, by_neighbors = scratch[:6]
    unsure, unsure_keys, unsure_distances, own, distances, distances_of = scratch[6:]
    shift = KEY_BITS - np.int64(np.log2(bins.shape[0]))
    for i in range(keys.shape[0]):
        query = first + i
        _group(keys[i], shift, bins, before)
        _threshold_bins(
            bins,
            shift,
            neighbors[query],
            reach[i],
            first_bins[i],
            last_bins,
            surely_nearer,
            by_neighbors,
        )
        known = False
        for a in range(codes.shape[0]):
            places = neighbors[query, a] - surely_nearer[a]
            if neighbors[query, a] < 1:
                continue
            points, matching = _collect(
                bins, before, first_bins[i, a], last_bins[a], keys[i], codes[a], query,
                unsure, unsure_keys,
            )  # fmt: skip
            if matching == 0:
                continue
            sure, points, matching, places = _settle_by_key(
                keys[i], unsure, unsure_keys, points, places, reach[i], codes[a], query
            )
            matches[query, a] += sure
            if matching == 0 or matching == points or points == places:
                matches[query, a] += min(matching, places)
                continue
            if not known:
                for d in range(rows.shape[1]):
                    own[d] = rows[query, d] * scale[query]
                known = True
            for p in range(points):
                j = unsure[p]
                if distances_of[j] != query:
                    distances[j] = _distance(own, rows[j], scale[j])
                    distances_of[j] = query
                unsure_distances[p] = distances[j]
            matches[query, a] += _settle_by_distance(
                unsure[:points], unsure_distances[:points], places, tie_tolerance, codes[a], query
            )
    _count_nearer(keys, first, codes, first_bins, shift, matches)


@compiled
def _group(keys, shift, bins, before):
    """Link the points of each bin, last to first, and count them."""
    bins[:] = 0
    for j in range(keys.shape[0]):
        b = keys[j] >> shift
        entry = bins[b]
        before[j] = np.uint32(entry)
        bins[b] = (((entry >> _SIZE) + np.uint64(1)) << _SIZE) | np.uint64(j)


@compiled
def _threshold_bins(
    bins, shift, neighbors, reach, first_bins, last_bins, surely_nearer, by_neighbors
):
    """Find the bins that hold all keys within `reach` of the R-th one's, for each property."""
    properties = neighbors.shape[0]
    for a in range(properties):  # sort them by insertion: there are few
        k = a
        while k > 0 and neighbors[by_neighbors[k - 1]] > neighbors[a]:
            by_neighbors[k] = by_neighbors[k - 1]
            k -= 1
        by_neighbors[k] = a
    b = 0
    below = np.int64(0)
    size = np.int64(bins[0] >> _SIZE)
    for a in by_neighbors:
        while below + size < neighbors[a]:
            below += size
            b += 1
            size = np.int64(bins[b] >> _SIZE)
        first_bins[a] = max((b << shift) - reach, 0) >> shift
        last_bins[a] = min(((b + 1) << shift) - 1 + reach, ITSELF) >> shift
        surely_nearer[a] = below
        for c in range(first_bins[a], b):
            surely_nearer[a] -= np.int64(bins[c] >> _SIZE)


@compiled
def _collect(bins, before, first_bin, last_bin, keys, codes, query, points, point_keys):
    """Write the points of some bins, but for the query, and their keys.

    Returns:
        How many they are, and how many of them have the query's label.
    """
    size = 0
    matching = 0
    for b in range(first_bin, last_bin + 1):
        j = np.uint32(bins[b])
        for _ in range(np.int64(bins[b] >> _SIZE)):
            points[size] = j
            point_keys[size] = keys[j]
            other = j != query
            size += other
            matching += other & (codes[j] == codes[query])
            j = before[j]
    return size, matching


@compiled
def _settle_by_key(keys, points, point_keys, size, places, reach, codes, query):
    """Give places to the points whose keys are surely among the `places` smallest.

    The points that are left, those about the last place, are moved to the front; `point_keys` are
    reordered.

    Returns:
        Matches among the points with a place, then of those left: their number, how many of them
        match, and how many places there are for them.
    """
    threshold = np.int64(_kth_smallest(point_keys[:size], places - 1))
    matches = 0
    left = 0
    left_matching = 0
    for p in range(size):
        j = points[p]
        key = np.int64(keys[j])
        match = codes[j] == codes[query]
        if key < threshold - reach:
            places -= 1
            matches += match
        elif key <= threshold + reach:
            points[left] = j
            left += 1
            left_matching += match
    return matches, left, left_matching, places


@compiled
def _settle_by_distance(points, distances, places, tie_tolerance, codes, query):
    """Matches among the `places` nearest points; tied ones share the places that are left."""
    threshold = _kth_smallest(distances.copy(), places - 1)
    nearer = 0
    nearer_matching = 0
    tied = 0
    tied_matching = 0
    for p in range(points.shape[0]):
        match = codes[points[p]] == codes[query]
        if distances[p] < threshold - tie_tolerance:
            nearer += 1
            nearer_matching += match
        elif distances[p] <= threshold + tie_tolerance:
            tied += 1
            tied_matching += match
    return nearer_matching + (places - nearer) * tied_matching / tied


@compiled(fastmath={"nnan", "ninf", "nsz", "contract", "reassoc"})
def _distance(own, row, scale):
    total = 0.0
    for d in range(own.shape[0]):
        difference = own[d] - row[d] * scale
        total += difference * difference
    return np.sqrt(total)


@compiled
def _count_nearer(keys, first, codes, first_bins, shift, matches):
    """Add to matches[first:first + B] the matching points in bins below the first one to settle."""
    count = keys.shape[1]
    for start in range(0, count, _POINTS_AT_ONCE):
        stop = min(start + _POINTS_AT_ONCE, count)
        for i in range(keys.shape[0]):
            for a in range(codes.shape[0]):
                matches[first + i, a] += _count_below(
                    keys[i, start:stop],
                    codes[a, start:stop],
                    codes[a, first + i],
                    np.uint16(first_bins[i, a] << shift),
                )


@compiled
def _count_below(keys, codes, label, limit):
    # Sixteen bits wherever a number is made: as many of them go into a vector register.
    found = np.uint16(0)
    for j in range(keys.shape[0]):
        found = np.uint16(found + np.uint16((codes[j] == label) & (keys[j] < limit)))
    return found


@compiled
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
