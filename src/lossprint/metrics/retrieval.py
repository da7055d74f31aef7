"""Retrieval by nearest neighbours: P@1, R-Precision, MAP@R and recall at k."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize as l2_normalize

BLOCK = 1024  # queries at once: bounds memory at BLOCK × N similarities


def retrieval_metrics(
    embeddings: Tensor,
    labels: Tensor,
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    normalize: bool = True,
) -> dict[str, float]:
    """Leave-one-out retrieval: every item is a query, all the others are the gallery.

    For a query of a class with R other members, let r_i be 1 if the i-th nearest neighbour is of
    the query's class. Then P@1 = r_1, R-Precision = (Σ_{i ≤ R} r_i)/R,
    MAP@R = (Σ_{i ≤ R} r_i · P@i)/R with P@i = (Σ_{j ≤ i} r_j)/i, and recall at k is 1 if any of
    the first k neighbours matches (Musgrave et al., "A Metric Learning Reality Check", 2020, §3).
    Each is the mean over queries. Queries whose class has no other member have no right answer
    and are left out. Neighbours at the same distance are in the order of `torch.topk`.

    Args:
        embeddings: [N, D].
        labels: [N].
        ks: the k of recall at k; one larger than N − 1 means all N − 1.
        normalize: compare L2-normalized embeddings (the field's convention).

    Returns:
        `precision_at_1`, `r_precision`, `map_at_r` and `recall_at_<k>`.

    Raises:
        ValueError: shapes that do not fit, non-finite embeddings, or no class with two members.
    """
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"embeddings must be [N, D] and labels [N]; got {list(embeddings.shape)} "
            f"and {list(labels.shape)}"
        )
    if not torch.isfinite(embeddings).all():
        raise ValueError("embeddings are not finite")
    labels = labels.to(embeddings.device)
    points = l2_normalize(embeddings.float(), dim=1) if normalize else embeddings.float()
    squares = points.square().sum(dim=1)
    _, classes, counts = labels.unique(return_inverse=True, return_counts=True)
    relevant = counts[classes] - 1  # [N] R of each query
    queries = torch.nonzero(relevant > 0).flatten()
    if not len(queries):
        raise ValueError("no class has two members, so there is nothing to retrieve")
    depth = min(max(int(relevant.max()), *ks), len(points) - 1)
    ranks = torch.arange(1, depth + 1, device=points.device)
    sums = dict.fromkeys(("precision_at_1", "r_precision", "map_at_r"), 0.0)
    sums |= {f"recall_at_{k}": 0.0 for k in ks}
    for block in queries.split(BLOCK):
        similarity = 2 * points[block] @ points.T - squares  # −‖q − x‖² + ‖q‖²
        similarity[torch.arange(len(block)), block] = -torch.inf
        neighbours = similarity.topk(depth, dim=1).indices
        match = (labels[neighbours] == labels[block, None]).double()  # [B, depth]
        found = match.cumsum(dim=1)
        r = relevant[block]
        inside = ranks <= r[:, None]
        sums["precision_at_1"] += match[:, 0].sum().item()
        sums["r_precision"] += ((match * inside).sum(dim=1) / r).sum().item()
        sums["map_at_r"] += ((match * inside * found / ranks).sum(dim=1) / r).sum().item()
        for k in ks:
            sums[f"recall_at_{k}"] += (found[:, min(k, depth) - 1] > 0).sum().item()
    return {name: total / len(queries) for name, total in sums.items()}
