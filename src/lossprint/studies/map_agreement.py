"""Step one of the study: how well the saliency maps of every pair of networks agree."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from safetensors import safe_open
from torch import Tensor

from lossprint.metrics import fisher_mean, fisher_std, without_each
from lossprint.saliency import map_agreement
from lossprint.studies.columns import IMAGE_INTERVAL, LOSS_PAIR, RUN_PAIR
from lossprint.studies.intervals import mean_correlation
from lossprint.studies.networks import Network
from lossprint.studies.pairs import (
    Pair,
    PairResults,
    are_trained,
    cached_pairs,
    matched,
    pairs_by_loss,
    pairs_table,
)
from lossprint.studies.study import Results, Study, Tables

MEASURES = ("correlation", "spread", "divergence")
"""Fisher mean over images; tanh of the standard deviation of Fisher's z, which is no standard
deviation of r; mean Jensen–Shannon divergence."""

TABLES: Tables = {
    "agreement": (*RUN_PAIR, *MEASURES),
    # The interval is that of the correlation, over images.
    "agreement_by_loss": (*LOSS_PAIR, "pairs", *MEASURES, *IMAGE_INTERVAL),
    # Mean correlation over pairs of different losses, per probe image, least agreed first.
    "disagreement": ("frame", "correlation"),
}

PER_PAIR_COST = 3
"""A pair alone computes both networks with themselves too; all pairs at once share that."""


def compute(study: Study) -> Results:
    """Compare the maps of every pair of networks."""
    networks = study.networks
    pairs = agreement_of_pairs(networks, study.map_keys, study.maps)
    frames = study.probe.properties.index[: len(study.map_rows)]
    return {
        "agreement": agreement_table(networks, pairs),
        "agreement_by_loss": agreement_by_loss(networks, pairs, study.designs(len(study.map_rows))),
        "disagreement": disagreement_by_image(networks, pairs, list(frames)),
    }


def agreement_of_pairs(
    networks: Sequence[Network], keys: Sequence[str], files: Sequence[Path]
) -> dict[Pair, dict[str, Tensor]]:
    """Compare the maps of every pair, image by image; what is known is read.

    Args:
        networks: L of them.
        keys: of their maps.
        files: with their maps, see `probe_maps`; read piecewise.

    Returns:
        `correlation` and `divergence` [N] float64 for each pair (a, b), a < b.
    """
    return cached_pairs(networks, keys, "agreement", lambda missing: _compare(files, missing))


def agreement_table(
    networks: Sequence[Network], results: dict[Pair, dict[str, Tensor]]
) -> pd.DataFrame:
    """One row per pair of runs: Fisher mean and spread over images, and mean divergence.

    A constant map has correlation 0 with every other; where all maps of a network are constant it
    has none, and so its rows are NaN.
    """
    values = []
    for result in results.values():
        known = bool((result["correlation"] != 0).any())
        numbers = (
            float(fisher_mean(result["correlation"])),
            float(fisher_std(result["correlation"])),
            float(result["divergence"].mean()),
        )
        values.append(dict(zip(MEASURES, numbers if known else (np.nan,) * 3, strict=True)))
    table = pairs_table(networks, list(results))
    return pd.concat([table, pd.DataFrame(values, columns=list(MEASURES))], axis="columns")


def agreement_by_loss(
    networks: Sequence[Network],
    results: dict[Pair, dict[str, Tensor]],
    designs: ArrayLike | None = None,
) -> pd.DataFrame:
    """One row per pair of losses, a loss with itself included, over matched pairs of runs.

    Fisher mean and spread are taken over the images of all these pairs of runs, and the mean's
    interval over images, those of one of the `designs` together. Which pairs of runs count is said
    in `lossprint.studies.pairs.matched`; a row without any is left out.
    """
    pairs = pairs_table(networks, list(results))
    pairs["pair"] = list(results)
    rows = []
    for names, chosen in pairs_by_loss(pairs[matched(pairs)]):
        correlation = np.stack([results[pair]["correlation"] for pair in chosen["pair"]])
        _, low, high = mean_correlation(correlation, designs)
        divergence = np.concatenate([results[pair]["divergence"] for pair in chosen["pair"]])
        rows.append(
            names
            | {
                "pairs": len(chosen),
                "correlation": float(fisher_mean(correlation.ravel())),
                "spread": float(fisher_std(correlation.ravel())),
                "divergence": float(divergence.mean()),
                "image_low": low,
                "image_high": high,
            }
        )
    return pd.DataFrame(rows, columns=list(TABLES["agreement_by_loss"]))


def correlation_left_out(
    results: dict[Pair, dict[str, Tensor]], groups: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Fisher mean of each pair without each group of images [N], [P, G]."""
    correlation = np.stack([result["correlation"].numpy() for result in results.values()])
    means = [fisher_mean(correlation[:, kept]) for kept in without_each(groups)]
    return np.array(means).reshape(-1, len(correlation)).T


def disagreement_by_image(
    networks: Sequence[Network], results: dict[Pair, dict[str, Tensor]], frames: Sequence[object]
) -> pd.DataFrame:
    """Fisher mean of the correlation over matched pairs of different losses, least agreed first.

    Returns:
        Columns `frame, correlation`; empty without two trained losses.
    """
    pairs = pairs_table(networks, list(results))
    pairs["pair"] = list(results)
    other = pairs["loss_a"] != pairs["loss_b"]
    chosen = pairs[matched(pairs) & are_trained(pairs) & other]
    if chosen.empty:
        return pd.DataFrame({"frame": [], "correlation": []})
    stack = np.stack([results[pair]["correlation"].numpy() for pair in chosen["pair"]])
    table = pd.DataFrame({"frame": list(frames), "correlation": fisher_mean(stack, 0)})
    return table.sort_values("correlation", ignore_index=True)


def _compare(files: Sequence[Path], missing: list[Pair]) -> PairResults:
    involved = sorted({position for pair in missing for position in pair})
    together = len(involved) * (len(involved) + 1) // 2 <= PER_PAIR_COST * len(missing)
    groups = [involved] if together else [list(pair) for pair in missing]
    wanted = set(missing)
    results: dict[Pair, dict[str, Tensor]] = {}
    with ExitStack() as stack:
        opened = {p: stack.enter_context(safe_open(files[p], framework="pt")) for p in involved}
        for group in groups:
            agreement = map_agreement([opened[p].get_slice("maps") for p in group])
            for i, a in enumerate(group):
                for j, b in enumerate(group[i + 1 :], start=i + 1):
                    if (a, b) in wanted:
                        results[a, b] = {
                            "correlation": agreement.correlation[i, j].clone(),
                            "divergence": agreement.divergence[i, j].clone(),
                        }
    return results
