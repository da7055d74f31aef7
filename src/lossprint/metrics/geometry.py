"""How embeddings lie in their space: how many directions they use, how they spread and group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from lossprint.metrics.properties import embedding_array, label_codes

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 512  # rows in float64 at once: all of them would be twice as large as what is given

ROUNDING = 1e-12
"""Total variance of unit vectors below which they are equal: float32 holds no finer ones apart."""

NARROW_RANK, NARROW_LENGTH = 2.0, 0.95
"""Effective rank below, and mean length above, which an embedding is called collapsed."""


@dataclass(frozen=True)
class EmbeddingGeometry:
    """The shape of L2-normalized embeddings.

    Attributes:
        effective_rank: exp(H(λ/Σλ)) of the eigenvalues λ of the centred covariance, H the entropy:
            how many directions are used, from 1 to D (Roy & Vetterli, EUSIPCO 2007). 0 where all
            embeddings are equal and none is.
        mean_length: length of the mean vector: 0 spread in all directions, 1 all in one.
        uniformity: log of the mean of exp(−2‖x − y‖²) over pairs of two items: 0 where all are
            equal, lower the more they spread (Wang & Isola, ICML 2020).
        alignment: mean ‖x − y‖² over pairs of two items of one class: 0 where each class is a
            point (Wang & Isola, ICML 2020).
        class_separation: 1 − (mean cosine distance within a class) / (mean cosine distance), each
            class weighing the same, items paired with themselves too (Kornblith et al., NeurIPS
            2021): 1 where each class is a point of its own, about 0 where classes mean nothing.
    """

    effective_rank: float
    mean_length: float
    uniformity: float
    alignment: float
    class_separation: float

    @property
    def collapsed(self) -> bool:
        """Whether so few directions are used that comparing embeddings says little.

        So it is called below 2 effective dimensions, or where the mean vector is longer than 0.95:
        images then differ in less than 1 − 0.95² = 10 % of their vectors' squared length.
        """
        return self.effective_rank < NARROW_RANK or self.mean_length > NARROW_LENGTH


def embedding_geometry(embeddings: ArrayLike | Tensor, labels: Any = None) -> EmbeddingGeometry:
    """Effective rank, mean length, uniformity, and, of labelled items, alignment and separation.

    The conventions at the edges:

    - *All embeddings equal*: effective rank 0, uniformity 0, class separation NaN.
    - *A row of zeros* has no direction and stays zero: at distance 1 from every unit vector.
    - *One class*: class separation 0 by its formula.
    - *A class of one item* has no pair to align; in the separation its distance to itself, 0,
      counts. Where no class has two items both are NaN.
    - *Missing labels* (None, NaN, empty text): such items take no part in alignment and separation.

    Args:
        embeddings: [N, D], N ≥ 3, finite; normalized here.
        labels: [N] classes; without them alignment and class separation are NaN.

    Raises:
        ValueError: embeddings that are not [N, D] or not finite, N < 3, labels of another number
            or all missing.

    Example:
        >>> import numpy as np
        >>> cross = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> found = embedding_geometry(cross, ["a", "a", "b", "b"])
        >>> round(found.effective_rank, 6), found.mean_length, found.alignment
        (2.0, 0.0, 4.0)
    """
    rows = embedding_array(embeddings)
    mean = sum(points.sum(0) for points in _unit_blocks(rows)) / len(rows)
    alignment = separation = float("nan")
    if labels is not None:
        codes = label_codes("labels", labels, len(rows))
        known = codes >= 0
        alignment, separation = _by_class(unit_rows(rows)[known], codes[known])
    return EmbeddingGeometry(
        _effective_rank(rows, mean),
        float(np.linalg.norm(mean)),
        _uniformity(rows),
        alignment,
        separation,
    )


def unit_rows(embeddings: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Embeddings [N, D] with rows of length 1, float64; a row of zeros stays as it is.

    Raises:
        ValueError: as `embedding_array`.
    """
    return np.concatenate(list(_unit_blocks(embedding_array(embeddings))))


def _unit_blocks(rows: NDArray[np.floating]) -> Iterator[NDArray[np.float64]]:
    for start in range(0, len(rows), BLOCK):
        points = rows[start : start + BLOCK].astype(np.float64)
        # Dividing by the largest entry keeps the squares of very large and small ones finite.
        points /= _or_one(np.abs(points).max(1, keepdims=True))
        points /= _or_one(np.linalg.norm(points, axis=1, keepdims=True))
        yield points


def _or_one(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(lengths > 0, lengths, 1.0)


def _effective_rank(rows: NDArray[np.floating], mean: NDArray[np.float64]) -> float:
    if len(rows) < rows.shape[1]:
        centred = unit_rows(rows) - mean
        scatter = centred @ centred.T
    else:  # of the same eigenvalues, but for zeros
        scatter = np.zeros((rows.shape[1], rows.shape[1]))
        for points in _unit_blocks(rows):
            scatter += (points - mean).T @ (points - mean)
    eigenvalues = np.linalg.eigvalsh(scatter)
    eigenvalues = np.clip(eigenvalues, 0.0, None)
    total = eigenvalues.sum()
    if total / len(rows) < ROUNDING:
        return 0.0
    return float(np.exp(entr(eigenvalues / total).sum()))


def _uniformity(rows: NDArray[np.floating]) -> float:
    # exp(−2‖x − y‖²) = exp(−2‖x‖²) exp(4 x·y) exp(−2‖y‖²)
    total = 0.0  # over ordered pairs of two items
    for place, points in enumerate(_unit_blocks(rows)):
        own = _exp_products(points, points)
        np.fill_diagonal(own, 0.0)
        weights = _weights(points)
        sums = own @ weights
        # Distances are symmetric: a block meets itself and, for both, each that comes after it.
        for later in _unit_blocks(rows[(place + 1) * BLOCK :]):
            sums += 2.0 * (_exp_products(points, later) @ _weights(later))
        total += float(weights @ sums)
    return float(np.log(total / (len(rows) * (len(rows) - 1))))


def _weights(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-2.0 * np.einsum("nd,nd->n", points, points))


def _exp_products(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    products = 4.0 * a @ b.T
    return np.exp(products, out=products)


def _by_class(points: NDArray[np.float64], codes: NDArray[np.int32]) -> tuple[float, float]:
    """Alignment and class separation of labelled items, from the sums of the classes alone."""
    sizes = np.bincount(codes)
    pairs = (sizes * (sizes - 1)).sum()
    if not pairs:
        return float("nan"), float("nan")
    sums = np.zeros((len(sizes), points.shape[1]))
    np.add.at(sums, codes, points)
    squares = np.bincount(codes, np.square(points).sum(1))
    # Σ over ordered pairs of ‖x − y‖² = 2 n Σ‖x‖² − 2 ‖Σx‖².
    apart = 2.0 * (sizes * squares - np.square(sums).sum(1)).sum()
    within = np.mean(1.0 - np.square(sums / sizes[:, None]).sum(1))
    overall = 1.0 - np.square(points.mean(0)).sum()
    separation = 1.0 - within / overall if overall >= ROUNDING else float("nan")
    return max(float(apart / pairs), 0.0), float(separation)
