"""Maps against interventions: does what maps mark move the embedding when it alone changes?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lossprint.metrics.rank_correlation import rank_correlation
from lossprint.studies.columns import LOSS, empty, empty_tables
from lossprint.studies.interventions import UNRELATED
from lossprint.studies.networks import lineages_of
from lossprint.studies.study import Results, Study, Tables

REGION_OF: Mapping[str, str] = {
    **dict.fromkeys(("color_hue", "color_sat", "color_val"), "car"),
    **dict.fromkeys(("bg_color_hue", "bg_color_sat", "bg_color_val"), "background"),
    "sun_rotation": "shadow",
}
"""Where a picture changes when one property of the scene does. The others change all of it."""

ALL = "all"

TABLES: Tables = {
    # Means over the runs of a loss; displacement against unrelated scenes.
    "region_effects": (*LOSS, "property", "region", "share", "displacement"),
    # Over lineages of trained losses: for each property, and with a p for the mean over them (all).
    "region_correlations": ("property", "units", "correlation", "p", "smallest_p"),
}


def compute(study: Study) -> Results:
    """Saliency on a region beside what changing that region does, for each loss."""
    shares, moved = study.table("shares_by_loss"), study.table("interventions_by_loss")
    if shares.empty or moved.empty:
        return empty_tables(TABLES)
    points = region_effects(shares, moved)
    settings, lineages = study.settings, lineages_of(study.networks)
    correlations = region_correlations(points, lineages, draws=settings.draws, seed=settings.seed)
    return {"region_effects": points, "region_correlations": correlations}


def region_effects(shares: pd.DataFrame, moved: pd.DataFrame) -> pd.DataFrame:
    """The table `region_effects` of the tables `shares_by_loss` and `interventions_by_loss`."""
    alone = moved[moved["reference"] == UNRELATED]
    alone = alone.assign(region=alone["property"].map(REGION_OF)).dropna(subset="region")
    both = alone.merge(shares, on=[*LOSS, "region"], suffixes=("", "_share"))
    both = both.rename(columns={"mean": "displacement", "mean_share": "share"})
    return both[list(TABLES["region_effects"])]


def region_correlations(
    points: pd.DataFrame, lineages: Mapping[str, str], *, draws: int, seed: int
) -> pd.DataFrame:
    """The table `region_correlations` of the trained losses of `region_effects`.

    Close variants of one loss are no two losses: those of one lineage are averaged.
    """
    trained = points[points["family"] != "control"]
    means = trained.assign(unit=trained["loss"].map(lineages)).pivot_table(
        index="unit", columns="property", values=["share", "displacement"]
    )
    means = means.dropna().astype(float)
    if len(means) < 2:
        return empty(TABLES["region_correlations"])
    share, displacement = means["share"], means["displacement"]
    found = rank_correlation(share, displacement, draws=draws, seed=seed)
    rows = [
        *(
            [name, len(means), r, np.nan, np.nan]
            for name, r in zip(share, found.of_condition, strict=True)
        ),
        [ALL, len(means), found.correlation, found.p, found.smallest_p],
    ]
    return pd.DataFrame(rows, columns=list(TABLES["region_correlations"]))
