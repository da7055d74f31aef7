"""How well each network retrieves images of unseen classes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lossprint.metrics import likeness_against_difference
from lossprint.studies.columns import INTERVAL, LOSS, RUN
from lossprint.studies.concatenation import concatenated_folds
from lossprint.studies.intervals import by_loss
from lossprint.studies.networks import Network
from lossprint.studies.study import Results, Study, Tables

METRICS = ("map_at_r", "r_precision", "precision_at_1")
RECALLS = ("recall_at_2", "recall_at_4", "recall_at_8")

TABLES: Tables = {
    "retrieval": (*RUN, "metric", "value"),
    "retrieval_by_loss": (*LOSS, "metric", *INTERVAL),
    # How the likeness of two losses (`rho`: corrected for training noise) goes with the difference
    # of their MAP@R.
    "retrieval_relation": ("measure", "rho", "losses", "rank_correlation", "p", "smallest_p"),
}


def compute(study: Study) -> Results:
    """The metrics that runs kept of their test, and whether likeness goes with them."""
    retrieval = retrieval_table(study.networks)
    # Runs of others may say what they like of themselves.
    shares = retrieval["value"].dropna().between(0, 1).all()
    summary = by_loss(retrieval, "metric", kind="share" if shares else "any")
    trained = summary[(summary["metric"] == METRICS[0]) & (summary["family"] != "control")]
    values = dict(zip(trained["loss"], trained["mean"], strict=True))
    corrected = study.table("corrected_by_loss")
    rows = []
    for measure, table in (("correlation", "agreement_by_loss"), ("cka", "similarity_by_loss")):
        rho = not corrected.empty and bool(corrected[measure].notna().all())
        likeness = _likeness(corrected if rho else study.table(table), measure, list(values))
        found = likeness_against_difference(
            likeness, list(values.values()), draws=study.settings.draws, seed=study.settings.seed
        )
        if np.isfinite(found.correlation):
            rows.append([measure, rho, len(values), found.correlation, found.p, found.smallest_p])
    return {
        "retrieval": retrieval,
        "retrieval_by_loss": summary,
        "retrieval_relation": pd.DataFrame(rows, columns=list(TABLES["retrieval_relation"])),
    }


def _likeness(by_loss: pd.DataFrame, measure: str, losses: list[str]) -> np.ndarray:
    """[L, L] of these losses from a table of pairs; NaN where a pair is missing."""
    matrix = by_loss.pivot(index="loss_a", columns="loss_b", values=measure)
    matrix = matrix.reindex(index=losses, columns=losses).to_numpy(float)
    return np.where(np.isnan(matrix), matrix.T, matrix)


def retrieval_table(networks: Sequence[Network]) -> pd.DataFrame:
    """One metric of one network per row, as the table `retrieval`.

    Controls take the metrics that the runs measured of their untrained selves where they have
    none. `concatenated/<metric>`, last, is of all folds of a loss and seed together, see
    `concatenated_folds`; its `fold` is -1.
    """
    rows = [
        [*network.cells, metric, network.metrics[f"test/{metric}"]]
        for metric in (*METRICS, *RECALLS)
        for network in networks
        if f"test/{metric}" in network.metrics
    ]
    for network, metrics in concatenated_folds(networks):
        run = network.name.replace(f"fold{network.fold}-", "folds-")
        rows += [
            [run, network.loss, network.family, -1, network.seed, f"concatenated/{name}", value]
            for name, value in metrics.items()
        ]
    return pd.DataFrame(rows, columns=list(TABLES["retrieval"]))
