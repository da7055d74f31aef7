"""Do ranking and classification losses cluster by different properties?"""

from collections.abc import Mapping
from math import comb

import numpy as np
import pandas as pd

from lossprint.metrics.statistics import compare_groups, holm

RESAMPLES = 2000
COLUMNS = (
    *("property", "ranking_mean", "classification_mean", "difference", "low", "high"),
    *("superiority", "ranking_lineages", "classification_lineages", "p", "p_holm", "smallest_p"),
    "study_p",
)


def property_families(
    properties: pd.DataFrame, lineages: Mapping[str, str] | None = None, *, seed: int = 0
) -> pd.DataFrame:
    """Compare the two families property by property.

    The unit is the lineage, close variants of one loss, as where families are contrasted by their
    maps: runs of a loss tell nothing more about its family, and its variants hardly do. Runs are
    averaged, then losses.

    Args:
        properties: `run, loss, family, property, value`; controls and missing values take no part.
        lineages: of each loss; one that is not named is a lineage of its own.
        seed: of the resampling.

    Returns:
        One row per property that both families have: the families' means, their difference
        (ranking - classification) with its 95 % percentile interval from resampling lineages within
        families (NaN where a family has one), the probability that a ranking lineage exceeds one of
        classification losses (ties count half), the two-sided Mann–Whitney p (exact without ties),
        the same after Holm's correction over the properties, the least p that so few lineages
        allow, and `study_p`, the publication's own, in which every run is independent.
    """
    known = properties.dropna(subset=["value"])
    known = known.assign(lineage=[(lineages or {}).get(loss, loss) for loss in known["loss"]])
    rng = np.random.default_rng(seed)
    rows = []
    for name in dict.fromkeys(known["property"]):
        chosen = known[known["property"] == name]
        losses = chosen.groupby(["family", "lineage", "loss"])["value"].mean()
        means = losses.groupby(["family", "lineage"]).mean()
        present = means.index.get_level_values("family")
        if not {"ranking", "classification"} <= set(present):
            continue
        a, b = means["ranking"].to_numpy(float), means["classification"].to_numpy(float)
        low, high = _interval(a, b, rng)
        test = compare_groups(a, b)
        every = [
            chosen.loc[chosen["family"] == family, "value"].to_numpy(float)
            for family in ("ranking", "classification")
        ]
        rows.append(
            {
                "property": name,
                "ranking_mean": a.mean(),
                "classification_mean": b.mean(),
                "difference": a.mean() - b.mean(),
                "low": low,
                "high": high,
                "superiority": test.superiority,
                "ranking_lineages": len(a),
                "classification_lineages": len(b),
                "p": test.p,
                "smallest_p": min(1.0, 2 / comb(len(a) + len(b), len(a))),
                "study_p": compare_groups(*every).p,
            }
        )
    table = pd.DataFrame(rows, columns=[column for column in COLUMNS if column != "p_holm"])
    return table.assign(p_holm=holm(table["p"].to_numpy(float)))[list(COLUMNS)]


def _interval(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    if min(len(a), len(b)) < 2:
        return np.nan, np.nan
    drawn = [rng.choice(values, (RESAMPLES, len(values))).mean(1) for values in (a, b)]
    low, high = np.quantile(drawn[0] - drawn[1], [0.025, 0.975])
    return float(low), float(high)
