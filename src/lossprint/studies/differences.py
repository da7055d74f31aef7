"""Groups of images that one loss holds together and another tears apart.

After representational-difference explanations (RDX, NeurIPS 2025): what is near in one embedding
and far in the other is gathered by spectral clustering. Groups are found on one run of each loss
and confirmed on the others, since the difference between any two trainings has groups too.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.cluster import SpectralClustering
from torch import Tensor

from lossprint.metrics.statistics import holm
from lossprint.studies.columns import empty_tables
from lossprint.studies.explorer import IMAGES
from lossprint.studies.pairs import are_trained
from lossprint.studies.study import Results, Study, Tables

GROUPS, FEWEST_IMAGES, DRAWS = 4, 4, 999

TABLES: Tables = {
    # `gap`: by how much of the images' ranks the pairs of a group are further apart under
    # `loss_far` in runs that had no part in finding it; `p` against random groups of its size,
    # adjusted over all groups; NaN where there is no such run. `property` joins most of its pairs,
    # `share` of them against `expected` of any pairs, `p_property` adjusted over properties.
    "differences": (
        *("loss_near", "loss_far", "group", "images", "gap", "p"),
        *("property", "share", "expected", "p_property"),
    ),
    "difference_groups": ("loss_near", "loss_far", "group", "frame"),
}


def compute(study: Study) -> Results:
    """Look at the two losses whose embeddings are least alike, each as the one that holds."""
    pair = _least_alike(study.table("similarity_by_loss"))
    frames = study.probe.properties.index[:IMAGES]
    if pair is None or len(frames) < GROUPS * FEWEST_IMAGES:
        return empty_tables(TABLES)
    runs = {
        loss: [
            ranks(embedding[: len(frames)])
            for network, embedding in zip(study.networks, study.embeddings, strict=True)
            if network.loss == loss
        ]
        for loss in pair
    }
    properties = study.probe.properties.iloc[: len(frames)]
    rows, members = [], []
    for near, far in (pair, pair[::-1]):
        gain = runs[far][0] - runs[near][0]
        again = (
            np.mean(runs[far][1:], axis=0) - np.mean(runs[near][1:], axis=0)
            if min(len(runs[near]), len(runs[far])) > 1
            else None
        )
        for number, group in enumerate(groups(gain, study.settings.seed), start=1):
            found = explained(group, again, properties, study.settings.seed)
            rows.append({"loss_near": near, "loss_far": far, "group": number, **found})
            members += [[near, far, number, frames[row]] for row in group]
    table = pd.DataFrame(rows, columns=list(TABLES["differences"]))
    known = table["p"].notna()
    if known.any():
        table.loc[known, "p"] = holm(table.loc[known, "p"].to_numpy(dtype=float))
    columns = list(TABLES["difference_groups"])
    return {"differences": table, "difference_groups": pd.DataFrame(members, columns=columns)}


def _least_alike(by_loss: pd.DataFrame) -> tuple[str, str] | None:
    other = by_loss["loss_a"] != by_loss["loss_b"]
    between = by_loss[other & are_trained(by_loss)].dropna(subset="cka")
    if between.empty:
        return None
    row = between.loc[between["cka"].astype(float).idxmin()]
    return str(row["loss_a"]), str(row["loss_b"])


def ranks(embedding: Tensor) -> np.ndarray:
    """How far the images [N, D] are from each other, [N, N]: 0 the nearest, 1 the furthest.

    Mean of each one's place in the order of the other; ranks, so that embeddings of another
    scale, or with other distances, can be compared.
    """
    unit = embedding.double().numpy()
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    distance = -unit @ unit.T
    np.fill_diagonal(distance, -np.inf)
    order = (rankdata(distance, axis=1) - 2) / max(1, len(unit) - 2)
    order = (order + order.T) / 2
    np.fill_diagonal(order, 0.0)
    return order


def groups(gain: np.ndarray, seed: int) -> list[np.ndarray]:
    """Rows of the images that hang together where `gain` [N, N] is large, the most telling first.

    Groups that are further apart by less than a random one, or of few images, are left out.
    """
    affinity = np.maximum(gain, 0.0) ** 2 + 1e-6
    labels = SpectralClustering(
        GROUPS, affinity="precomputed", random_state=seed, assign_labels="cluster_qr"
    ).fit_predict(affinity)
    found = [np.flatnonzero(labels == label) for label in range(GROUPS)]
    found = [group for group in found if len(group) >= FEWEST_IMAGES and _gap(gain, group) > 0]
    return sorted(found, key=lambda group: -_gap(gain, group))


def _gap(gain: np.ndarray, group: np.ndarray) -> float:
    inside = gain[np.ix_(group, group)]
    return float(inside.sum() / (len(group) * (len(group) - 1)))


def explained(
    group: np.ndarray, gain: np.ndarray | None, properties: pd.DataFrame, seed: int
) -> dict[str, Any]:
    """Confirm a group, and say what its images share.

    Args:
        group: rows of its images.
        gain: [N, N] of runs that had no part in finding it; None where there are none.
        properties: [N rows, a column each].
        seed: of the random groups it is held against.
    """
    rng = np.random.default_rng(seed)
    random = [rng.permutation(len(properties))[: len(group)] for _ in range(DRAWS)]
    shares: list[tuple[float, float, float]] = []
    for name in properties:
        codes = pd.factorize(properties[name])[0]
        same = (codes[:, None] == codes[None]).astype(float)
        np.fill_diagonal(same, 0.0)
        share, drawn = _gap(same, group), [_gap(same, other) for other in random]
        shares.append((share, float(np.mean(drawn)), _p(share, drawn)))
    adjusted = holm([p for *_, p in shares])
    best = min(range(len(shares)), key=lambda i: (adjusted[i], shares[i][1] - shares[i][0]))
    gap = np.nan if gain is None else _gap(gain, group)
    return {
        "images": len(group),
        "gap": gap,
        "p": np.nan if gain is None else _p(gap, [_gap(gain, other) for other in random]),
        "property": str(properties.columns[best]),
        "share": shares[best][0],
        "expected": shares[best][1],
        "p_property": float(adjusted[best]),
    }


def _p(value: float, drawn: Sequence[float]) -> float:
    return (1 + sum(other >= value - 1e-12 for other in drawn)) / (1 + len(drawn))
