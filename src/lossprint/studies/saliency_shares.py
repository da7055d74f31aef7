"""How much of each network's saliency lies on the car, its shadow and the background."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lossprint.data.probe import ProbeSet
from lossprint.probing import area_shares, read_maps, saliency_shares
from lossprint.studies.subjects import Subject

REGIONS = ("car", "background", "shadow")

COLUMNS = ["run", "loss", "family", "fold", "seed", "region", "area", "value"]


def share_table(
    subjects: Sequence[Subject], files: Sequence[Path], probe: ProbeSet, rows: range
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`run, loss, family, fold, seed, region, area, value`: mean over images, maps that
    are zero everywhere left out.

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
    areas = area_shares(probe, len(rows))
    found = []
    for subject, file in zip(subjects, files, strict=True):
        shares = saliency_shares(read_maps(file, rows), probe)
        run = [subject.run, subject.loss, subject.family, subject.fold, subject.seed]
        found += [[*run, name, areas[name], shares[name]] for name in REGIONS]
    return pd.DataFrame(found, columns=COLUMNS), pd.DataFrame(columns=["run", "part", "reason"])
