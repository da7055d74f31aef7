"""How far each embedding moves when only one property of a scene changes."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.probing import ImagesDone, probe_embeddings
from lossprint.studies.subjects import Subject

COLUMNS = ["run", "loss", "family", "fold", "seed", "property", "reference", "value"]
DESIGN = "model"
UNRELATED, DESIGNS = "unrelated scenes", "two designs"
"""What a move is compared with."""


def intervention_table(
    subjects: Sequence[Subject],
    scenes: ProbeSet | None,
    progress: Callable[[Subject], ImagesDone],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`run, loss, family, fold, seed, property, reference, value`: see `displacement`.

    Args:
        subjects: L of them.
        scenes: base scenes and their interventions; None where there are none.
        progress: to be told, for a network, of the images embedded.

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
        [subject.run, subject.loss, subject.family, subject.fold, subject.seed, *move]
        for subject in subjects
        for move in displacement(
            probe_embeddings(subject, scenes, progress(subject)),
            table.loc[known, "base"].map(place).to_numpy(int, copy=True),
            table.loc[known, "frame"].map(place).to_numpy(int, copy=True),
            table.loc[known, "property"].to_numpy(str),
        )
    ]
    if not known.all():
        reason = f"{int((~known).sum())} interventions of {scenes.name} name frames it lacks"
        nothing = pd.DataFrame([{"run": "", "part": "some interventions", "reason": reason}])
    return pd.DataFrame(rows, columns=COLUMNS), nothing


def displacement(
    embeddings: Tensor, base: np.ndarray, changed: np.ndarray, properties: np.ndarray
) -> list[tuple[str, str, float]]:
    """How far a scene moves when one property of it changes, beside two distances to go by.

    The mean distance between a scene and itself with the property changed, of L2-normalized
    embeddings, relative to

    - "unrelated scenes", the mean distance between two base scenes: 0 is no move, 1 is as far as
      pictures lie apart that have nothing in common;
    - "two designs", the mean distance between a scene and itself with another car (the changes of
      `model`): 1 is as much as the car matters, which is what the network was trained to tell.

    Args:
        embeddings: [N, D].
        base: [M] rows of the scenes as they were.
        changed: [M] rows of the changed ones.
        properties: [M] names of what changed.

    Returns:
        `property, reference, value` for each property and reference. With fewer than two base
        scenes values against unrelated ones are NaN; where no design changes, or changing it
        moves nothing, there is no value against two designs.
    """
    unit = torch.nn.functional.normalize(embeddings.double())
    scenes = unit[np.unique(base)]
    distance = (unit[base] - unit[changed]).norm(dim=1).numpy()
    moved = {
        str(name): float(distance[properties == name].mean()) for name in pd.unique(properties)
    }
    references = {UNRELATED: float(torch.pdist(scenes).mean()) if len(scenes) > 1 else np.nan}
    if moved.get(DESIGN, 0.0) > 0:
        references[DESIGNS] = moved[DESIGN]
    return [
        (name, reference, move / apart)
        for reference, apart in references.items()
        for name, move in moved.items()
    ]
