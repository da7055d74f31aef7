"""Whether the maps of a loss are right, or only different: deletion and insertion curves."""

from pathlib import Path

import pandas as pd
from torch import Tensor

from lossprint.models.embedding import device_of
from lossprint.probing import read_maps
from lossprint.runs.cache import content_key, load_or_compute
from lossprint.saliency.faithfulness import CURVES, STEPS, area_over_random, faithfulness_curves
from lossprint.studies.columns import INTERVAL, LOSS, RUN, empty_tables, skipped, together
from lossprint.studies.intervals import by_loss
from lossprint.studies.networks import Network
from lossprint.studies.study import Results, Study, Tables

TABLES: Tables = {
    # By how much maps beat a random order, `curve` being "deletion" or "insertion".
    "faithfulness": (*LOSS, "curve", *INTERVAL),
    # Means over runs and images; `curve` may also be "random", and `share` is that of cells.
    "faithfulness_curves": (*LOSS, "curve", "share", "distance"),
}


def compute(study: Study) -> Results:
    """The curves of every network on the first images that have maps, and the areas between."""
    rows = study.map_rows[: study.settings.faithfulness_images]
    areas, points, gaps = [], [], []
    for network, key, file in (
        zip(study.networks, study.map_keys, study.maps, strict=True) if rows else ()
    ):

        def make(network: Network = network, file: Path = file) -> dict[str, Tensor]:
            model, preprocessing = network.load()
            pixels = study.probe.pixels(rows).to(device_of(model))
            maps = read_maps(file, rows)
            seed = study.settings.seed
            curves = faithfulness_curves(
                model, pixels, maps, preprocessing=preprocessing, seed=seed
            )
            study.on_images(network)("faithfulness", len(rows), len(rows))
            return {"curves": curves}

        try:
            name = content_key("faithfulness", key, len(rows), study.settings.seed)
            curves = load_or_compute(network.cache, "faithfulness", name, make)["curves"]
        except (ValueError, RuntimeError) as error:
            gaps.append(skipped("faithfulness of maps", str(error), run=network.name))
            continue
        areas += [
            [*network.cells, curve, float(area.nanmean())]
            for curve, area in area_over_random(curves).items()
        ]
        for curve, distances in zip(CURVES, curves.nanmean(1).tolist(), strict=True):
            points += [
                [network.loss, network.family, curve, step / STEPS, distance]
                for step, distance in enumerate(distances)
            ]
    results = empty_tables(TABLES) | {"skipped": together(gaps)}
    if areas:
        found = pd.DataFrame(areas, columns=[*RUN, "curve", "value"])
        results["faithfulness"] = by_loss(found, "curve")
        columns = list(TABLES["faithfulness_curves"])
        every = pd.DataFrame(points, columns=columns)
        results["faithfulness_curves"] = every.groupby(
            columns[:-1], sort=False, as_index=False
        ).mean()
    return results
