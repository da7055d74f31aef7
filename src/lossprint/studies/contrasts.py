"""Are runs of one loss, or losses of one family, more alike than those of different ones?"""

import pandas as pd

from lossprint.metrics.statistics import holm
from lossprint.studies.settings import StudySettings
from lossprint.studies.study import Results, Study, Tables
from lossprint.studies.within_between import COLUMNS, family_contrast, loss_contrast

LEADING = ("correlation", "cka")
"""Measures whose contrasts are questions asked in advance; the others are secondary measures."""

TABLES: Tables = {"contrasts": (*COLUMNS, "tests", "p_adjusted")}
"""`contrast` is "loss" or "family"; `p_adjusted` is corrected for the `tests` it stands among."""


def compute(study: Study) -> Results:
    """Contrast the maps, embeddings and retrieval of a study's networks."""
    agreement = study.table("agreement")
    similarity, retrieval = study.table("similarity"), study.table("retrieval")
    return {"contrasts": contrasts(agreement, similarity, retrieval, study.settings)}


def contrasts(
    agreement: pd.DataFrame,
    similarity: pd.DataFrame,
    retrieval: pd.DataFrame,
    settings: StudySettings,
) -> pd.DataFrame:
    """Contrast losses and families by every measure of likeness; none without two trained losses.

    The retrieval of two runs is unlike by the difference of their first metric.
    """
    options = {"draws": settings.draws, "seed": settings.seed}
    rows = []
    for pairs, measure, alike in (
        (agreement, "correlation", 1),
        (agreement, "divergence", -1),
        (similarity, "cka", 1),
        (similarity, "neighbor_overlap", 1),
        (_retrieval_pairs(agreement, retrieval), "retrieval", -1),
    ):
        trained = pairs[(pairs["family_a"] != "control") & (pairs["family_b"] != "control")]
        if len({*trained["loss_a"], *trained["loss_b"]}) < 2:
            continue
        rows.append(loss_contrast(pairs, measure, alike=alike, **options))
        if len({*trained["family_a"], *trained["family_b"]}) > 1:
            rows.append(family_contrast(pairs, measure, alike=alike, **options))
    return adjusted(pd.DataFrame(rows, columns=list(COLUMNS)))


def _retrieval_pairs(pairs: pd.DataFrame, retrieval: pd.DataFrame) -> pd.DataFrame:
    if retrieval.empty:
        return pairs.iloc[:0].assign(retrieval=[])
    first = retrieval[retrieval["metric"] == retrieval["metric"].iloc[0]]
    value = first.set_index("run")["value"].astype(float)
    apart = (pairs["run_a"].map(value) - pairs["run_b"].map(value)).abs()
    return pairs.assign(retrieval=apart)[apart.notna()]


def adjusted(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Add `tests` and `p_adjusted`: secondary measures are corrected for their number, by Holm.

    The contrasts of the leading measures are questions of their own and stay as they are.
    """
    secondary = ~contrasts["measure"].isin(LEADING) & contrasts["p"].notna()
    p = contrasts["p"].astype(float)
    return contrasts.assign(
        tests=secondary.sum() * secondary.astype(int) + (~secondary).astype(int),
        p_adjusted=p.mask(secondary, pd.Series(holm(p[secondary].to_numpy()), p.index[secondary])),
    )
