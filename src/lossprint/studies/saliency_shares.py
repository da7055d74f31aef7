"""How much of each network's saliency lies on the car, its shadow and the background."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.studies.probe_features import read_maps
from lossprint.studies.subjects import Subject

REGIONS = {"car": 1, "background": 0, "shadow": 2}
"""Labels of the masks; what is neither car nor shadow is background."""

COLUMNS = ["run", "loss", "family", "fold", "seed", "region", "area", "value"]


def share_table(
    subjects: Sequence[Subject], files: Sequence[Path], probe: ProbeSet, rows: range
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`run, loss, family, fold, seed, region, area, value`: mean over images.

    Args:
        subjects: L of them.
        files: with their maps of `rows`.
        probe: images with masks.
        rows: of the probe set that have maps.

    Returns:
        The table, and what could not be computed and why (`run, part, reason`).
    """
    if probe.masks is None:
        reason = f"the probe set {probe.name} has no masks/; rendered sets have them"
        gap = pd.DataFrame([{"run": "", "part": "where the maps lie", "reason": reason}])
        return pd.DataFrame(columns=COLUMNS), gap
    masks = probe.masks[list(rows)]
    found = []
    for subject, file in zip(subjects, files, strict=True):
        maps = read_maps(file, list(rows))
        run = [subject.run, subject.loss, subject.family, subject.fold, subject.seed]
        found += [
            [
                *run,
                region,
                float((masks == label).float().mean()),
                _mean_share(maps, masks == label),
            ]
            for region, label in REGIONS.items()
        ]
    return pd.DataFrame(found, columns=COLUMNS), pd.DataFrame(columns=["run", "part", "reason"])


def _mean_share(maps: Tensor, inside: Tensor) -> float:
    """Mean over images of the share of a map [N, H, W] inside a region; empty maps do not count."""
    total = maps.sum((1, 2))
    share = (maps * inside).sum((1, 2)) / total
    return float(share[total > 0].mean())
