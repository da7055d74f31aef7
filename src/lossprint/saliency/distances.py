"""Scores of an embedding against one reference embedding: what saliency differentiates.

Every distance that a metric-learning loss of the study works in, written for a batch of
embeddings and a single reference. All but a distance object of the caller's own work on
L2-normalized embeddings. A constant positive factor and the sign disappear in a saliency map, so
the maps of `cosine`, `dot` and `lp_squared` are equal.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

Score = Callable[[Tensor, Tensor], Tensor]
"""Embeddings [M, D] and one reference [D] to one number each, [M]."""


def lp(embeddings: Tensor, reference: Tensor) -> Tensor:
    """Euclidean distance of normalized embeddings, [M]; its gradient at distance 0 is 0."""
    return torch.linalg.vector_norm(_unit(embeddings) - _unit(reference), dim=-1)


def lp_squared(embeddings: Tensor, reference: Tensor) -> Tensor:
    """Squared Euclidean distance of normalized embeddings, [M]."""
    return (_unit(embeddings) - _unit(reference)).square().sum(-1)


def cosine(embeddings: Tensor, reference: Tensor) -> Tensor:
    """Cosine similarity, [M]."""
    return _unit(embeddings) @ _unit(reference)


def snr(embeddings: Tensor, reference: Tensor) -> Tensor:
    """Noise-to-signal variance ratio var(e - r) / var(e) of normalized embeddings, [M].

    The signal is the embedding, the noise its difference from the reference (Yuan et al.,
    "Signal-to-Noise Ratio: A Robust Distance Metric for Deep Metric Learning", CVPR 2019);
    variances over the D dimensions.
    """
    embeddings, reference = _unit(embeddings), _unit(reference)
    return (embeddings - reference).var(-1) / embeddings.var(-1)


DISTANCES: dict[str, Score] = {
    "lp": lp,
    "lp_squared": lp_squared,
    "cosine": cosine,
    "dot": cosine,  # the study's dot product is of normalized embeddings
    "snr": snr,
}


def resolve_distance(distance: str | Callable[..., Any]) -> Score:
    """The score named `distance`, or a distance object of the caller's own, as a `Score`.

    An object is called as `distance(embeddings [M, D], reference [1, D])` and must give [M, 1] or
    [M], which is what the distance modules of pytorch-metric-learning do (with their own
    normalization and power).

    Raises:
        ValueError: an unknown name, something not callable, a class in place of an object, or an
            object that answers with another shape.
    """
    if isinstance(distance, str):
        if distance not in DISTANCES:
            raise ValueError(f"unknown distance {distance!r}: use one of {', '.join(DISTANCES)}")
        return DISTANCES[distance]
    if not callable(distance):
        raise ValueError(
            f"distance {distance!r} is neither a name ({', '.join(DISTANCES)}) nor callable"
        )
    if isinstance(distance, type):
        raise ValueError(f"distance is the class {distance.__name__}: give an object of it")

    def score(embeddings: Tensor, reference: Tensor) -> Tensor:
        values = distance(embeddings, reference.unsqueeze(0))
        shape = tuple(getattr(values, "shape", ()))
        if shape not in {(len(embeddings), 1), (len(embeddings),)}:
            raise ValueError(
                f"distance {type(distance).__name__} gave shape {shape} for "
                f"embeddings {tuple(embeddings.shape)} and one reference: it must give one number "
                "for each embedding"
            )
        return values.reshape(-1)

    return score


def _unit(vectors: Tensor) -> Tensor:
    return normalize(vectors, dim=-1)
