"""The runs that take part."""

import pandas as pd

from lossprint.studies.columns import RUN
from lossprint.studies.study import Results, Study, Tables

TABLES: Tables = {"runs": (*RUN, "distance")}


def compute(study: Study) -> Results:
    """One row per network, the controls included."""
    rows = [[*network.cells, network.distance] for network in study.networks]
    return {"runs": pd.DataFrame(rows, columns=list(TABLES["runs"]))}
