"""How alike two networks arrange the same images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossprint.metrics import (
    debiased_cka_matrix,
    image_groups,
    jackknife_values,
    mean_over_images,
    without_each,
)
from lossprint.runs.cache import content_key
from lossprint.studies.columns import IMAGE_INTERVAL, LOSS_PAIR, RUN_PAIR
from lossprint.studies.intervals import is_large, without_interval
from lossprint.studies.networks import Network
from lossprint.studies.pairs import (
    Pair,
    cached_pairs,
    matched,
    pairs_by_loss,
    pairs_table,
)
from lossprint.studies.study import Results, Study, Tables

MEASURES = ("cka", "neighbor_overlap")
"""Debiased linear CKA; share of the nearest neighbours that two embeddings have in common."""

TABLES: Tables = {
    "similarity": (*RUN_PAIR, *MEASURES),
    # `chance` is the share of neighbours that embeddings have in common which know nothing.
    # The interval is that of CKA, over images.
    "similarity_by_loss": (*LOSS_PAIR, "pairs", *MEASURES, "chance", *IMAGE_INTERVAL),
}


def compute(study: Study) -> Results:
    """Compare the embeddings of every pair of networks."""
    others = len(study.probe) - 1
    pairs = compared_pairs(study)
    chance = min(study.settings.neighbors, others) / others
    return {
        "similarity": similarity_table(study.networks, pairs),
        "similarity_by_loss": similarity_by_loss(study.networks, pairs).assign(chance=chance),
        "skipped": without_interval("CKA", len(study.probe)),
    }


def compared_pairs(study: Study) -> dict[Pair, dict[str, Tensor]]:
    """`similarity_of_pairs` of a study's networks."""
    count = len(study.probe)
    groups = np.full(count, -1) if is_large(count) else image_groups(count, study.designs())
    return similarity_of_pairs(
        study.networks,
        study.embeddings_keys,
        study.embeddings,
        neighbors=min(study.settings.neighbors, count - 1),
        groups=groups,
    )


def similarity_of_pairs(
    networks: Sequence[Network],
    keys: Sequence[str],
    embeddings: Sequence[Tensor],
    *,
    neighbors: int,
    groups: NDArray[np.intp],
) -> dict[Pair, dict[str, Tensor]]:
    """Compare the embeddings of every pair; what is known is read.

    Args:
        networks: L of them.
        keys: of their embeddings.
        embeddings: [N, D] each.
        neighbors: nearest neighbours that are compared.
        groups: [N] of images, to be left out one at a time; or none.

    Returns:
        `cka` and `neighbor_overlap`, float64 [1] each, and `cka_left_out` [G], for each pair
        (a, b), a < b. Embeddings are L2-normalized first, as retrieval compares them. CKA is NaN
        where an embedding is constant.
    """
    unit = [torch.nn.functional.normalize(found.double()) for found in embeddings]

    def compare(missing: list[Pair]) -> dict[Pair, dict[str, Tensor]]:
        place = {
            network: row for row, network in enumerate(sorted({n for p in missing for n in p}))
        }
        involved = [unit[network] for network in place]
        cka = _cka(involved)
        without = [_cka([points[kept] for points in involved]) for kept in without_each(groups)]
        return {
            (a, b): {
                "cka": torch.tensor([cka[place[a], place[b]]], dtype=torch.float64),
                "cka_left_out": torch.tensor(
                    [found[place[a], place[b]] for found in without], dtype=torch.float64
                ),
                "neighbor_overlap": torch.tensor(
                    [float(neighbor_overlap(unit[a], unit[b], k=neighbors))], dtype=torch.float64
                ),
            }
            for a, b in missing
        }

    keys = [f"{key}-{neighbors}-debiased-{content_key(groups)}" for key in keys]
    return cached_pairs(networks, keys, "similarity", compare)


def similarity_table(
    networks: Sequence[Network], results: dict[Pair, dict[str, Tensor]]
) -> pd.DataFrame:
    """One row per pair of runs, with `cka` and `neighbor_overlap`."""
    values = [{name: float(result[name]) for name in MEASURES} for result in results.values()]
    table = pairs_table(networks, list(results))
    return pd.concat([table, pd.DataFrame(values, columns=list(MEASURES))], axis="columns")


def similarity_by_loss(
    networks: Sequence[Network], results: dict[Pair, dict[str, Tensor]]
) -> pd.DataFrame:
    """One row per pair of losses, a loss with itself included: means over matched pairs of runs."""
    table = similarity_table(networks, results)
    left_out = [result["cka_left_out"].numpy() for result in results.values()]
    rows = []
    for names, chosen in pairs_by_loss(table[matched(table)]):
        means = chosen[list(MEASURES)].mean().to_dict()
        without = np.mean([left_out[row] for row in chosen.index], axis=0)
        _, low, high = mean_over_images(jackknife_values(means["cka"], without))
        rows.append(
            names | {"pairs": len(chosen), **means} | {"image_low": low, "image_high": high}
        )
    return pd.DataFrame(rows, columns=[*LOSS_PAIR, "pairs", *MEASURES, *IMAGE_INTERVAL])


def _cka(embeddings: Sequence[Tensor]) -> np.ndarray:
    """Debiased CKA [M, M]; NaN of fewer than the four images that it needs."""
    if len(embeddings[0]) < 4:
        return np.full((len(embeddings), len(embeddings)), np.nan)
    return debiased_cka_matrix(embeddings)


def neighbor_overlap(a: Tensor, b: Tensor, *, k: int) -> Tensor:
    """Mean share of the k nearest neighbours that two sets of embeddings have in common."""
    near = []
    for points in (a, b):
        distances = torch.cdist(points, points)
        distances.fill_diagonal_(torch.inf)
        chosen = torch.zeros_like(distances, dtype=torch.bool)
        near.append(chosen.scatter_(1, distances.topk(k, largest=False).indices, True))
    return (near[0] & near[1]).sum(1).double().mean() / k
