"""The runs that take part."""

import pandas as pd

from lossprint.studies.columns import RUN
from lossprint.studies.networks import Network
from lossprint.studies.study import Results, Study, Tables

TABLES: Tables = {"runs": (*RUN, "distance", "source", "config", "folder", "wandb")}
"""`source` is "training" of this package, "import" or "at hand"; `config` the loss's file; `folder`
and `wandb`, its path entity/project/id there, are "" where the run has none."""


def compute(study: Study) -> Results:
    """One row per network, the controls included."""
    rows = [
        [
            *network.cells,
            network.distance,
            _source(network),
            network.loss if network.run is None else network.run.loss,
            *_places(network),
        ]
        for network in study.networks
    ]
    return {"runs": pd.DataFrame(rows, columns=list(TABLES["runs"]))}


def _source(network: Network) -> str:
    if network.run is None:
        return "at hand"
    return "import" if "imported" in network.run.config() else "training"


def _places(network: Network) -> tuple[str, str]:
    """The run's folder, and its path at W&B."""
    if network.run is None:
        return "", ""
    return network.run.folder.as_posix(), network.run.wandb or ""
