"""Other readings of what an embedding holds of a property: by a linear probe, by clusters.

Beside NR-Prec, which asks for neighbours: a linear probe finds a property that is there but does
not order the neighbourhoods; clusters ask whether it divides the whole space.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from lossprint.metrics.properties import embedding_array, label_codes


def linear_probe_accuracy(
    embeddings: ArrayLike | Tensor, properties: Mapping[str, Any], *, seed: int, folds: int = 5
) -> dict[str, float]:
    """Cross-validated accuracy of logistic regression from embeddings to each property.

    Dimensions are standardized on the training folds. Items without a value, and values that
    fewer than `folds` items carry, are left out; fewer than two values left give NaN.

    Args:
        embeddings: [N, D].
        properties: name → N labels, see `lossprint.metrics.normalized_r_precision`.
        seed: of the folds.
        folds: of the cross-validation, stratified by the property.

    Raises:
        ValueError: bad embeddings or labels, as for `normalized_r_precision`.
    """
    points = embedding_array(embeddings).astype(np.float64, copy=False)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    result = {}
    for name, values in properties.items():
        codes = label_codes(name, values, len(points))
        frequent = _carried_by(codes, folds)
        if len(np.unique(codes[frequent])) < 2:
            result[name] = float("nan")
            continue
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        scores = cross_val_score(probe, points[frequent], codes[frequent], cv=splits)
        result[name] = float(scores.mean())
    return result


def cluster_agreement(
    embeddings: ArrayLike | Tensor,
    properties: Mapping[str, Any],
    *,
    seed: int,
    normalize: bool = True,
) -> dict[str, float]:
    """Adjusted mutual information of each property with k-means clusters, 0 by chance, 1 equal.

    There are as many clusters as the property has values. Items without a value are left out;
    a property with one value gives NaN.

    Args:
        embeddings: [N, D].
        properties: name → N labels, see `lossprint.metrics.normalized_r_precision`.
        seed: of the initial centres.
        normalize: L2-normalize the embeddings first.

    Raises:
        ValueError: bad embeddings or labels, as for `normalized_r_precision`.
    """
    points = embedding_array(embeddings).astype(np.float64, copy=False)
    if normalize:
        norms = np.linalg.norm(points, axis=1, keepdims=True)
        points = points / np.where(norms > 0, norms, 1)
    result = {}
    for name, values in properties.items():
        codes = label_codes(name, values, len(points))
        known = codes >= 0
        levels = int(codes.max()) + 1
        if levels < 2:
            result[name] = float("nan")
            continue
        clusters = KMeans(levels, n_init=4, random_state=seed).fit_predict(points[known])
        result[name] = float(adjusted_mutual_info_score(codes[known], clusters))
    return result


def _carried_by(codes: NDArray[np.int32], least: int) -> NDArray[np.bool_]:
    """Items whose value at least so many items carry."""
    sizes = np.bincount(codes[codes >= 0])
    return (codes >= 0) & (sizes[codes] >= least)
