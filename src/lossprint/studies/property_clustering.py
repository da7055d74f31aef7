"""Step two of the study: which properties of an image each embedding clusters by."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lossprint.metrics import image_groups, jackknife_values
from lossprint.probing import probe_properties, properties_left_out, properties_maximum
from lossprint.studies.columns import IMAGE_INTERVAL, INTERVAL, LOSS, RUN
from lossprint.studies.family_tests import COLUMNS as FAMILY_TESTS
from lossprint.studies.family_tests import property_families
from lossprint.studies.intervals import by_loss, is_large, without_interval
from lossprint.studies.networks import Network, lineages_of
from lossprint.studies.study import Results, Study, Tables

TABLES: Tables = {
    "properties": (*RUN, "property", "value"),
    # `maximum`: where every neighbour has the image's own value. Standard deviations above chance
    # grow with the number of images; as a share of it they compare.
    "properties_by_loss": (*LOSS, "property", *INTERVAL, *IMAGE_INTERVAL, "maximum"),
    "property_families": FAMILY_TESTS,
}


def compute(study: Study) -> Results:
    """Normalized R-Precision of each network, and whether the families differ in it."""
    values = [
        probe_properties(network, study.probe, study.settings.properties)
        for network in study.networks
    ]
    properties = property_table(study.networks, values)
    maximum = properties_maximum(study.probe, study.settings.properties)
    sampled = properties.assign(images=_over_images(study, properties, maximum))
    summary = by_loss(sampled, "property")
    return {
        "properties": properties,
        "properties_by_loss": summary.assign(maximum=summary["property"].map(maximum)),
        "property_families": property_families(
            properties, lineages_of(study.networks), seed=study.settings.seed
        ),
        "skipped": without_interval("NR-Prec", len(study.probe)),
    }


def _over_images(
    study: Study, properties: pd.DataFrame, maximum: Mapping[str, float]
) -> list[np.ndarray]:
    """What groups of images say of each value, by leaving out one at a time; NaN of large sets.

    Queries are neighbours of each other, so their own values do not vary independently.
    """
    count = len(study.probe)
    if is_large(count):
        return [np.full(1, np.nan)] * len(properties)
    groups = image_groups(count, study.designs())
    left_out = {
        network.name: properties_left_out(
            network, study.probe, study.settings.properties, groups, study.on_images(network)
        )
        for network in study.networks
    }
    return [
        jackknife_values(value, maximum[name] * left_out[run][name])
        for run, name, value in properties[["run", "property", "value"]].itertuples(index=False)
    ]


def property_table(networks: Sequence[Network], values: Sequence[dict[str, float]]) -> pd.DataFrame:
    """The values of each network by property, as the table `properties`."""
    rows = [
        [*network.cells, name, value]
        for network, found in zip(networks, values, strict=True)
        for name, value in found.items()
    ]
    return pd.DataFrame(rows, columns=list(TABLES["properties"]))
