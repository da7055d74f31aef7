"""Retrieval by nearest neighbours: P@1, R-Precision, MAP@R and recall at k."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 512  # queries at once at most
SIMILARITIES = 2**22  # of a block of queries to all items: what bounds memory where items are many
ITEMS = 1024  # in float64 at once: all of them would be twice as large as what is given
SHORTEST = 1e-12  # an embedding is divided by this at least
TIE = 1e-12  # of the largest squared length: what float64 arithmetic may hold apart


def retrieval_metrics(
    embeddings: Tensor,
    labels: Tensor,
    *,
    ks: Sequence[int] = (2, 4, 8),
    normalize: bool = True,
) -> dict[str, float]:
    """Leave-one-out retrieval: every item is a query, all the others are the gallery.

    For a query of a class with R other members, let r_i be 1 if the i-th nearest neighbour is of
    the query's class. Then P@1 = r_1, R-Precision = (Σ_{i ≤ R} r_i)/R,
    MAP@R = (Σ_{i ≤ R} r_i · P@i)/R with P@i = (Σ_{j ≤ i} r_j)/i, and recall at k is 1 if any of
    the first k neighbours matches (Musgrave et al., "A Metric Learning Reality Check", 2020, §3).
    Each is the mean over queries. Queries whose class has no other member have no right answer
    and are left out. Neighbours at the same distance have no order: every figure is its expectation
    over all orders of theirs, so that rows may come in any order, and an embedding that sends all
    images to one point scores chance.

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
    if not all(torch.isfinite(rows).all() for rows in embeddings.split(ITEMS)):
        raise ValueError("embeddings are not finite")
    # Ties are told from near misses in float64, which not every accelerator has.
    device = embeddings.device if embeddings.device.type == "cuda" else torch.device("cpu")
    gallery, labels = _Gallery(embeddings.to(device), normalize), labels.to(device)
    tolerance = TIE * gallery.squares.max()
    _, classes, counts = labels.unique(return_inverse=True, return_counts=True)
    relevant = counts[classes] - 1  # [N] R of each query
    queries = torch.nonzero(relevant > 0).flatten()
    if not len(queries):
        raise ValueError("no class has two members, so there is nothing to retrieve")
    depth = min(max(int(relevant.max()), *ks), len(labels) - 1)
    sums = dict.fromkeys(("precision_at_1", "r_precision", "map_at_r"), 0.0)
    sums |= {f"recall_at_{k}": 0.0 for k in ks}
    for block in queries.split(max(1, min(BLOCK, SIMILARITIES // len(labels)))):
        matches = labels == labels[block, None]
        ranking = _ranking(gallery.similarity(block), matches, depth, tolerance)
        r = relevant[block]
        inside = torch.arange(depth, device=device) < r[:, None]
        sums["precision_at_1"] += ranking.match[:, 0].sum().item()
        sums["r_precision"] += ((ranking.match * inside).sum(dim=1) / r).sum().item()
        sums["map_at_r"] += ((ranking.precise_match * inside).sum(dim=1) / r).sum().item()
        for k in ks:
            sums[f"recall_at_{k}"] += ranking.any_match[:, min(k, depth) - 1].sum().item()
    return {name: total / len(queries) for name, total in sums.items()}


class _Gallery:
    """Items to be found, in float64 a few at a time.

    Args:
        rows: [N, D], kept as they are.
        normalize: whether they are compared at length 1.
    """

    def __init__(self, rows: Tensor, normalize: bool) -> None:
        self.rows = rows
        self.lengths = torch.ones(len(rows), 1, dtype=torch.float64, device=rows.device)
        if normalize:
            lengths = [block.double().norm(dim=1, keepdim=True) for block in rows.split(ITEMS)]
            self.lengths = torch.cat(lengths).clamp_min_(SHORTEST)
        self.squares = torch.cat([items.square().sum(dim=1) for _, items in self._blocks()])

    def similarity(self, queries: Tensor) -> Tensor:
        """[B, N]: −‖q − x‖² + ‖q‖² for items q of B places; −∞ to themselves."""
        asked = 2 * self._at(queries)
        found = asked.new_empty(len(queries), len(self.rows))
        for part, items in self._blocks():
            found[:, part] = asked @ items.T
        found.sub_(self.squares)
        found[torch.arange(len(queries)), queries] = -torch.inf
        return found

    def _blocks(self) -> Iterator[tuple[slice, Tensor]]:
        for start in range(0, len(self.rows), ITEMS):
            part = slice(start, start + ITEMS)
            yield part, self._at(part)

    def _at(self, part: slice | Tensor) -> Tensor:
        return self.rows[part].double() / self.lengths[part]


class _Ranking(NamedTuple):
    """Expectations at each rank i, over all orders of equally near items; each [B, depth]."""

    match: Tensor  # of r_i
    precise_match: Tensor  # of r_i · P@i
    any_match: Tensor  # that any of the first i matches


def _ranking(similarity: Tensor, matches: Tensor, depth: int, tolerance: Tensor) -> _Ranking:
    """Rank a gallery by similarity, down to `depth`.

    At rank i in a group of m equally near items, c of which match, after C matches in nearer
    groups and t items of the group: r_i = 1 with probability c/m, and then each of the t matches
    with probability (c − 1)/(m − 1).

    Args:
        similarity: [B, N] float64.
        matches: [B, N] bool.
        depth: of the ranking, at most N.
        tolerance: similarities this close are equal.
    """
    values, nearest = similarity.topk(depth, dim=1)
    found = matches.gather(1, nearest).double().cumsum(dim=1)  # [B, depth]
    ranks = torch.arange(depth, device=similarity.device)
    apart = values[:, :-1] - values[:, 1:] > tolerance
    edge = torch.ones_like(apart[:, :1])
    starts = torch.where(torch.cat([edge, apart], dim=1), ranks, 0).cummax(dim=1).values
    ends = torch.where(torch.cat([apart, edge], dim=1), ranks, depth)
    ends = ends.flip(1).cummin(dim=1).values.flip(1)  # the last rank of the group, inclusive
    before = torch.where(starts > 0, found.gather(1, (starts - 1).clamp(min=0)), 0.0)  # C
    size, relevant = (ends - starts + 1).double(), found.gather(1, ends) - before  # m, c
    # The group at the last rank may go on beyond it.
    reached = similarity >= values[:, -1:] - tolerance
    cut = ends == depth - 1
    in_reach, matching = (  # counted in few bits, because what is counted is copied
        found.sum(dim=1, keepdim=True, dtype=torch.int32) for found in (reached, reached & matches)
    )
    size = torch.where(cut, in_reach - starts, size)
    relevant = torch.where(cut, matching - before, relevant)
    match = relevant / size
    earlier = (ranks - starts).double()  # t
    hits = before + 1 + earlier * (relevant - 1) / (size - 1).clamp(min=1)
    none = _none_drawn(size, relevant, earlier + 1)
    any_match = torch.where(before > 0, 1.0, 1.0 - none)
    return _Ranking(match, match * hits / (ranks + 1), any_match)


def _none_drawn(size: Tensor, relevant: Tensor, drawn: Tensor) -> Tensor:
    """Probability that none of `relevant` among `size` items is among `drawn` of them."""
    others = size - relevant
    logarithm = (
        torch.lgamma(others + 1)
        - torch.lgamma((others - drawn).clamp(min=0) + 1)
        - torch.lgamma(size + 1)
        + torch.lgamma(size - drawn + 1)
    )
    return torch.where(drawn > others, 0.0, logarithm.exp())
