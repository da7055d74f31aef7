"""Where the losses part: how alike networks are at each stage that an image passes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from torch import Tensor

from lossprint.metrics import debiased_cka_matrix
from lossprint.metrics.statistics import holm
from lossprint.probing import probe_stage_features
from lossprint.studies.columns import empty, skipped, together
from lossprint.studies.contrasts import against_noise, collapsed_runs
from lossprint.studies.networks import Network
from lossprint.studies.pairs import pairs_table, with_untrained
from lossprint.studies.settings import StudySettings
from lossprint.studies.study import Results, Study, Tables

PART = "where the losses part"

FEWEST_IMAGES = 4
"""That debiased CKA takes."""

CONTRAST = (
    *("within", "between", "share", "share_low", "share_high"),
    *("rho", "rho_low", "rho_high", "p", "smallest_p"),
)

TABLES: Tables = {
    # A row for each stage, in the order in which an image passes them, `embedding` last. The
    # columns of the table `contrasts`, by debiased CKA; `p_adjusted` by Holm over the stages.
    # `untrained`: mean CKA of trained networks and untrained ones, of two seeds.
    "stages": ("stage", *CONTRAST, "p_adjusted", "untrained", "networks", "images"),
}


def compute(study: Study) -> Results:
    """Compare the stages of the networks that have the same ones."""
    images = min(study.settings.stage_images, len(study.probe))
    if images < FEWEST_IMAGES:
        return {"stages": empty(TABLES["stages"])}
    features, gaps = {}, []
    for network in study.networks:
        try:
            features[network] = probe_stage_features(
                network, study.probe, images, study.on_images(network)
            )
        except (ValueError, RuntimeError) as error:
            gaps.append(skipped(PART, str(error), run=network.name))
    common = Counter(tuple(found) for found in features.values()).most_common(1)
    stages = common[0][0] if common else ()
    for network in [network for network, found in features.items() if tuple(found) != stages]:
        names = ", ".join(features.pop(network))
        reason = f"its stages are {names}, those of most networks {', '.join(stages)}"
        gaps.append(skipped(PART, reason, run=network.name))
    table = stage_table(features, stages, collapsed_runs(study), study.settings)
    return {"stages": table.assign(images=images), "skipped": together(gaps)}


def stage_table(
    features: Mapping[Network, Mapping[str, Tensor]],
    stages: Sequence[str],
    collapsed: set[str],
    settings: StudySettings,
) -> pd.DataFrame:
    """Contrast losses at each stage.

    Args:
        features: of each network [N, C] by stage, N ≥ 4.
        stages: that all have.
        collapsed, settings: see `lossprint.studies.contrasts.contrasts`.

    Returns:
        The table `stages` but for `images`; a stage without two losses has NaN in the contrast.
    """
    pairs = list(combinations(range(len(features)), 2))
    table = pairs_table(list(features), pairs)
    floor = with_untrained(table)
    rows = []
    for stage in stages:
        cka = debiased_cka_matrix([found[stage] for found in features.values()])
        alike = table.assign(cka=[cka[pair] for pair in pairs])
        found = against_noise(alike, "cka", collapsed, settings) or {}
        contrast = [found.get(name, np.nan) for name in CONTRAST]
        rows.append([stage, *contrast, alike.loc[floor, "cka"].mean(), len(features)])
    columns = [name for name in TABLES["stages"] if name not in ("p_adjusted", "images")]
    made = pd.DataFrame(rows, columns=columns)
    return made.assign(p_adjusted=holm(made["p"].to_numpy(float)))
