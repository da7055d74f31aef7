"""How much of each network's saliency lies on the car, its shadow and the background."""

import pandas as pd

from lossprint.probing import area_shares, read_maps, saliency_shares
from lossprint.studies.columns import IMAGE_INTERVAL, INTERVAL, LOSS, RUN, empty_tables, skipped
from lossprint.studies.intervals import by_loss
from lossprint.studies.study import Results, Study, Tables

REGIONS = ("car", "background", "shadow")

TABLES: Tables = {
    "shares": (*RUN, "region", "area", "value"),
    "shares_by_loss": (*LOSS, "region", "area", *INTERVAL, *IMAGE_INTERVAL),
}


def compute(study: Study) -> Results:
    """The share of each network's saliency on each region, and of the pixels (`area`).

    Means over images; maps that are zero everywhere are left out.
    """
    probe, rows = study.probe, study.map_rows
    if probe.masks is None:
        reason = f"the probe set {probe.name} has no masks/; rendered sets have them"
        return empty_tables(TABLES) | {"skipped": skipped("where the maps lie", reason)}
    areas = area_shares(probe, len(rows))
    found = []
    for network, file in zip(study.networks, study.maps, strict=True):
        shares = saliency_shares(read_maps(file, rows), probe)
        found += [
            [*network.cells, region, areas[region], float(s.nanmean()), s.numpy()]
            for region, s in ((region, shares[region]) for region in REGIONS)
        ]
    table = pd.DataFrame(found, columns=[*TABLES["shares"], "images"])
    designs = study.designs(len(rows))
    return {
        "shares": table.drop(columns="images"),
        "shares_by_loss": by_loss(table, "region", "area", clusters=designs, kind="share"),
    }
