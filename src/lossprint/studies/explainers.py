"""Whether the contrast of the maps of losses depends on the method that makes the maps."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from lossprint.metrics.statistics import holm
from lossprint.probing import attributions_key, probe_attributions
from lossprint.studies.columns import empty, skipped, together
from lossprint.studies.contrasts import ComparedRuns, against_noise, collapsed_runs, left_out
from lossprint.studies.map_agreement import agreement_of_pairs, agreement_table
from lossprint.studies.networks import Network
from lossprint.studies.study import Results, Study, Tables

OWN = "smoothgrad"
"""The study's method."""

CONTRAST = ("losses", "seeds", "within", "between", "rho", "rho_low", "rho_high", "p", "smallest_p")

TABLES: Tables = {
    # The leading contrast of maps by each method on the same images, the study's own first; the
    # columns of the table `contrasts`, `p_adjusted` by Holm over the methods.
    "explainers": ("explainer", "images", *CONTRAST, "p_adjusted"),
}


def compute(study: Study) -> Results:
    """Contrast losses by the correlation of their maps, again for each method."""
    names, count = study.settings.explainers, study.settings.explained_images
    images, percentile = len(study.map_rows[:count]), study.settings.maps.percentile
    if not names:
        return {"explainers": empty(TABLES["explainers"])}
    files, gaps = _files(study, images)
    agreement = {OWN: _own_agreement(study, images)}
    for name, maps in files.items():
        keys = [
            attributions_key(network, study.probe, name, images, percentile) for network in maps
        ]
        pairs = agreement_of_pairs(list(maps), keys, list(maps.values()))
        agreement[name] = agreement_table(list(maps), pairs)
    collapsed, rows = collapsed_runs(study), []
    for name, pairs_of in agreement.items():
        runs = ComparedRuns.of(pairs_of, "correlation")
        if runs is not None and name != OWN:
            gaps += left_out(runs, f"maps by {name}", set())
        found = against_noise(pairs_of, "correlation", collapsed, study.settings)
        if found is not None:
            rows.append([name, images, *(found[column] for column in CONTRAST)])
    table = pd.DataFrame(rows, columns=list(TABLES["explainers"][:-1]))
    table["p_adjusted"] = holm(table["p"].to_numpy(np.float64))
    return {"explainers": table, "skipped": together(gaps)}


def _files(study: Study, images: int) -> tuple[dict[str, dict[Network, Path]], list[pd.DataFrame]]:
    """The trained networks' maps by each method, and which of them a method cannot explain."""
    files: dict[str, dict[Network, Path]] = {name: {} for name in study.settings.explainers}
    gaps = []
    for network in study.networks:
        if network.family == "control":
            continue
        once = replace(network, load=cache(network.load))  # whatever the number of methods
        for name, found in files.items():
            try:
                found[network] = probe_attributions(
                    once,
                    study.probe,
                    name,
                    images,
                    study.settings.maps.percentile,
                    study.on_images(network),
                )
            except (ValueError, RuntimeError) as error:
                gaps.append(skipped(f"maps by {name}", str(error), run=network.name))
    return files, gaps


def _own_agreement(study: Study, images: int) -> pd.DataFrame:
    """The table `agreement` of the first images alone."""
    pairs = agreement_of_pairs(study.networks, study.map_keys, study.maps)
    first = {
        pair: {name: values[:images] for name, values in result.items()}
        for pair, result in pairs.items()
    }
    return agreement_table(study.networks, first)
