"""What runs logged while they trained, read from their folders."""

import logging
from collections.abc import Sequence

import pandas as pd

from lossprint.runs.metrics_file import read_rows
from lossprint.studies.columns import RUN, empty
from lossprint.studies.networks import Network
from lossprint.studies.study import Results, Study, Tables

log = logging.getLogger(__name__)

METRICS = ("val/map_at_r", "val/precision_at_1", "train/loss")
PROBED = ("nr/", "share/", "map_r/", "probe/")
"""What keys of the probe set's metrics begin with; the last one as earlier versions did."""

TABLES: Tables = {"curves": (*RUN, "epoch", "metric", "value")}


def compute(study: Study) -> Results:
    """Gather what the runs of a study logged."""
    return {"curves": curves_table(study.networks)}


def curves_table(networks: Sequence[Network]) -> pd.DataFrame:
    """One metric of one run and epoch per row, as the table `curves`.

    Retrieval on validation classes, training loss, and all that was measured on the probe set.
    """
    tables = []
    for network in networks:
        if network.run is None or not network.run.metrics_file.is_file():
            continue
        try:
            wide = pd.DataFrame(read_rows(network.run.metrics_file))
        except ValueError as error:
            log.warning("%s; the curves of %s are left out", error, network.name)
            continue
        chosen = [name for name in wide.columns if name in METRICS or name.startswith(PROBED)]
        if "epoch" not in wide.columns or not chosen:
            continue
        tidy = wide.melt("epoch", chosen, "metric", "value").dropna(subset=["value"])
        tables.append(tidy.assign(**dict(zip(RUN, network.cells, strict=True))))
    columns = TABLES["curves"]
    return pd.concat(tables)[list(columns)] if tables else empty(columns)
