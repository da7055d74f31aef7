"""How each loss arranges the images, all its runs together."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lossprint.studies.networks import Network


def loss_embeddings(networks: Sequence[Network], embeddings: Sequence[Tensor]) -> dict[str, Tensor]:
    """One embedding per loss whose inner products are the runs' mean cosine similarities.

    The axes of two runs do not correspond, so runs are not averaged: they are put side by side.

    Args:
        networks: L of them.
        embeddings: [N, D] each.

    Returns:
        By loss, in the order of the networks, float64 [N, runs · D] of unit length.
    """
    runs: dict[str, list[Tensor]] = {}
    for network, found in zip(networks, embeddings, strict=True):
        runs.setdefault(network.loss, []).append(torch.nn.functional.normalize(found.double()))
    return {loss: torch.cat(found, dim=1) / len(found) ** 0.5 for loss, found in runs.items()}


def nearest(embedding: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k most similar other images of each, and how similar: long and float [N, k].

    Args:
        embedding: [N, D] of unit length.
        k: at most N - 1 are returned.
    """
    similarity = embedding @ embedding.T
    similarity.fill_diagonal_(-torch.inf)
    values, order = similarity.topk(min(k, len(embedding) - 1))
    return order, values
