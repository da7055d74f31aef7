"""How well each network retrieves images of unseen classes."""

from collections.abc import Sequence

import pandas as pd

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
}


def compute(study: Study) -> Results:
    """The metrics that runs kept of their test."""
    retrieval = retrieval_table(study.networks)
    return {"retrieval": retrieval, "retrieval_by_loss": by_loss(retrieval, "metric")}


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
