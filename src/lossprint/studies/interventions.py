"""How far each embedding moves when only one property of a scene changes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.studies.probe_features import probe_embeddings
from lossprint.studies.subjects import Subject

COLUMNS = ["run", "loss", "family", "fold", "seed", "property", "value"]


def intervention_table(
    subjects: Sequence[Subject], scenes: ProbeSet | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`run, loss, family, fold, seed, property, value`: distance moved, against unrelated scenes.

    Args:
        subjects: L of them.
        scenes: base scenes and their interventions; None where there are none.

    Returns:
        The table, and what could not be computed and why (`run, part, reason`).
    """
    nothing = pd.DataFrame(columns=["run", "part", "reason"])
    if scenes is None or scenes.interventions is None:
        return pd.DataFrame(columns=COLUMNS), nothing
    place = {frame: row for row, frame in enumerate(scenes.properties.index)}
    table = scenes.interventions
    known = table["base"].isin(place) & table["frame"].isin(place)
    rows = [
        [subject.run, subject.loss, subject.family, subject.fold, subject.seed, name, value]
        for subject in subjects
        for name, value in displacement(
            probe_embeddings(subject, scenes),
            table.loc[known, "base"].map(place).to_numpy(int, copy=True),
            table.loc[known, "frame"].map(place).to_numpy(int, copy=True),
            table.loc[known, "property"].to_numpy(str),
        ).items()
    ]
    if not known.all():
        reason = f"{int((~known).sum())} interventions of {scenes.name} name frames it lacks"
        nothing = pd.DataFrame([{"run": "", "part": "some interventions", "reason": reason}])
    return pd.DataFrame(rows, columns=COLUMNS), nothing


def displacement(
    embeddings: Tensor, base: np.ndarray, changed: np.ndarray, properties: np.ndarray
) -> dict[str, float]:
    """Mean distance between a scene and itself with one property changed, by property.

    Relative to the mean distance between two base scenes, all of L2-normalized embeddings: 0 is no
    move, 1 is as far as unrelated scenes lie apart. NaN with fewer than two base scenes.

    Args:
        embeddings: [N, D].
        base: [M] rows of the scenes as they were.
        changed: [M] rows of the changed ones.
        properties: [M] names of what changed.
    """
    unit = torch.nn.functional.normalize(embeddings.double())
    scenes = unit[np.unique(base)]
    unrelated = float(torch.pdist(scenes).mean()) if len(scenes) > 1 else np.nan
    moved = (unit[base] - unit[changed]).norm(dim=1).numpy() / unrelated
    return {str(name): float(moved[properties == name].mean()) for name in pd.unique(properties)}
