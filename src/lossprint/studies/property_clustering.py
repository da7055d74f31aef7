"""Step two of the study: which properties of an image each embedding clusters by."""

from collections.abc import Sequence

import pandas as pd

from lossprint.probing import probe_properties
from lossprint.studies.columns import INTERVAL, LOSS, RUN
from lossprint.studies.family_tests import COLUMNS as FAMILY_TESTS
from lossprint.studies.family_tests import property_families
from lossprint.studies.intervals import by_loss
from lossprint.studies.networks import Network
from lossprint.studies.study import Results, Study, Tables

TABLES: Tables = {
    "properties": (*RUN, "property", "value"),
    "properties_by_loss": (*LOSS, "property", *INTERVAL),
    "property_families": FAMILY_TESTS,
}


def compute(study: Study) -> Results:
    """Normalized R-Precision of each network, and whether the families differ in it."""
    values = [
        probe_properties(network, study.probe, study.settings.properties)
        for network in study.networks
    ]
    properties = property_table(study.networks, values)
    return {
        "properties": properties,
        "properties_by_loss": by_loss(properties, "property"),
        "property_families": property_families(properties, seed=study.settings.seed),
    }


def property_table(networks: Sequence[Network], values: Sequence[dict[str, float]]) -> pd.DataFrame:
    """The values of each network by property, as the table `properties`."""
    rows = [
        [*network.cells, name, value]
        for network, found in zip(networks, values, strict=True)
        for name, value in found.items()
    ]
    return pd.DataFrame(rows, columns=list(TABLES["properties"]))
