"""Counts of matching labels among each point's nearest neighbours, in PyTorch, for accelerators.

The same selection as on the CPU: a histogram of each query's keys finds the bin of the R-th
neighbour for each property; matching points in bins that are surely nearer are counted; the points
about the threshold, a few for each query, are settled by their float64 distances.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossprint.metrics.neighbor_space import NeighborSpace

# Per entry of a block, the peak of all intermediates (keys, bins, masks and their products).
_BYTES_PER_PAIR = 48
_PAIRS_AT_ONCE = 1 << 20


def count_matches_torch(
    space: NeighborSpace,
    codes: NDArray[np.integer],
    neighbors: NDArray[np.integer],
    *,
    device: str | torch.device,
    memory: int = 2 << 30,
    bins: int = 4096,
) -> NDArray[np.float64]:
    """Count, for each query and property, the nearest neighbours that carry the query's label.

    See `lossprint.metrics.neighbor_matches.count_matches` for the tie convention.

    Args:
        space: N points.
        codes, neighbors: [N, A] as there.
        device: where to compute; it must support float64.
        memory: bytes that a block of queries may take beside the points.
        bins: bins of the histogram.
    """
    count, properties = codes.shape
    scale = torch.from_numpy(space.scale).to(device)
    points = torch.from_numpy(space.rows).to(device).double() * scale[:, None]
    centred = torch.from_numpy(space.centred).to(device)
    half_norms = torch.from_numpy(space.half_norms).to(device)
    key_error = torch.from_numpy(space.key_error).to(device)
    labels = torch.from_numpy(np.ascontiguousarray(codes.T, dtype=np.int32)).to(device)
    wanted = torch.from_numpy(np.ascontiguousarray(neighbors.T, dtype=np.int64)).to(device)
    matches = torch.zeros(properties, count, dtype=torch.float64, device=device)
    block = max(1, min(count, memory // (_BYTES_PER_PAIR * count)))

    for start in range(0, count, block):
        queries = torch.arange(start, min(start + block, count), device=device)
        rows = queries - start
        keys = half_norms - _full_float32_product(centred[:, queries].T, centred)  # [B, N]
        # The query itself must not stretch the range; afterwards it goes to a bin of its own.
        keys[rows, queries] = keys[rows, (queries + 1) % count]
        low, high = keys.aminmax(dim=1, keepdim=True)  # [B, 1]
        per_key = torch.where(high > low, bins / (high - low), 0.0)
        bin_of = ((keys - low) * per_key).to(torch.int32).clamp_(max=bins - 1)
        bin_of[rows, queries] = bins
        up_to = _points_up_to_bin(bin_of, bins)  # [B, bins]
        # The R-th key is known to be in a bin; keys within two error bounds of it lie at most
        # `reach` bins away.
        margin = 2 * key_error[queries, None]
        reach = (margin * per_key + 0.01).clamp(max=bins).long() + 1
        for a in range(properties):
            places = wanted[a, queries, None]  # [B, 1]
            threshold_bin = torch.searchsorted(up_to, places)
            lowest = (threshold_bin - reach).clamp(min=0)
            highest = (threshold_bin + reach).clamp(max=bins - 1)
            match = labels[a] == labels[a, queries, None]
            sure = (match & (bin_of < lowest)).sum(1)
            around = (bin_of >= lowest) & (bin_of <= highest) & (places > 0)
            nearer = up_to.gather(1, (lowest - 1).clamp(min=0))
            open_places = places - torch.where(lowest > 0, nearer, 0)
            matches[a, queries] = torch.where(places[:, 0] > 0, sure, 0) + _settle(
                points, queries, around, match, open_places[:, 0], space.tie_tolerance
            )
    return matches.T.cpu().numpy()


def _full_float32_product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right in IEEE float32: fewer bits would break the bound on the rounding error."""
    allowed = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.autocast(left.device.type, enabled=False):
            return left @ right
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed


def _points_up_to_bin(bin_of: Tensor, bins: int) -> Tensor:
    """For each row of bin_of [B, N], how many points lie in bins 0…b, for b = 0…bins − 1."""
    sizes = torch.zeros(len(bin_of), bins + 1, dtype=torch.int32, device=bin_of.device)
    ones = torch.ones((), dtype=torch.int32, device=bin_of.device).expand_as(bin_of)
    sizes.scatter_add_(1, bin_of.long(), ones)
    return sizes[:, :bins].cumsum(1)


def _settle(
    points: Tensor,
    queries: Tensor,
    around: Tensor,
    match: Tensor,
    open_places: Tensor,
    tie_tolerance: float,
) -> Tensor:
    """Matches [B] among the `open_places` nearest of the points `around`, by float64 distance.

    Args:
        points: [N, D] float64.
        queries: [B] rows of `points`.
        around, match: [B, N] bool.
        open_places: [B], at least 1 and at most the number of points around where there are any.
    """
    row, point = around.nonzero(as_tuple=True)  # [P], sorted by row
    distance = torch.cat(
        [
            (points[queries[r]] - points[p]).square().sum(1).sqrt()
            for r, p in zip(row.split(_PAIRS_AT_ONCE), point.split(_PAIRS_AT_ONCE), strict=True)
        ]
    )
    by_distance = distance.argsort()
    order = by_distance[row[by_distance].argsort(stable=True)]  # by row, then by distance
    present = around.sum(1)
    threshold_at = (present.cumsum(0) - present + open_places - 1).clamp(0, max(len(row) - 1, 0))
    nothing = torch.zeros(len(queries), dtype=torch.float64, device=points.device)
    if len(row) == 0:
        return nothing
    threshold = distance[order][threshold_at][row]  # [P]
    nearer = distance < threshold - tie_tolerance
    tied = ~nearer & (distance <= threshold + tie_tolerance)
    matched = match[row, point]

    def per_query(mask: Tensor) -> Tensor:
        return torch.bincount(row[mask], minlength=len(queries)).double()

    left = open_places - per_query(nearer)
    share = per_query(tied & matched) / per_query(tied).clamp(min=1)
    return torch.where(present > 0, per_query(nearer & matched) + left * share, nothing)
