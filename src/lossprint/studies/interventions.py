"""How far each embedding moves when only one property of a scene changes."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.metrics import image_groups, jackknife_values, without_each
from lossprint.probing import probe_embeddings
from lossprint.studies.columns import IMAGE_INTERVAL, INTERVAL, LOSS, RUN, empty_tables, skipped
from lossprint.studies.intervals import by_loss
from lossprint.studies.study import DESIGN, Results, Study, Tables

UNRELATED, DESIGNS = "unrelated scenes", "two designs"
"""What a displacement is compared with: the values of `reference`."""

TABLES: Tables = {
    "interventions": (*RUN, "property", "reference", "value"),
    "interventions_by_loss": (*LOSS, "property", "reference", *INTERVAL, *IMAGE_INTERVAL),
}


def compute(study: Study) -> Results:
    """The `displacement` of each network's embeddings of the intervention scenes."""
    scenes = study.intervention_scenes
    if scenes is None or scenes.interventions is None:
        return empty_tables(TABLES)
    place = {frame: row for row, frame in enumerate(scenes.properties.index)}
    table = scenes.interventions
    known = table["base"].isin(place) & table["frame"].isin(place)
    base, changed = (
        table.loc[known, side].map(place).to_numpy(int, copy=True) for side in ("base", "frame")
    )
    names = table.loc[known, "property"].to_numpy(str)
    groups = _scene_groups(scenes, base)
    rows = [
        [*network.cells, *displaced]
        for network in study.networks
        for displaced in _displaced(
            probe_embeddings(network, scenes, study.on_images(network)),
            base,
            changed,
            names,
            groups,
        )
    ]
    found = pd.DataFrame(rows, columns=[*RUN, "property", "reference", "value", "images"])
    results = {
        "interventions": found[list(TABLES["interventions"])],
        "interventions_by_loss": by_loss(found, "property", "reference", kind="positive"),
    }
    if not known.all():
        reason = f"{int((~known).sum())} interventions of {scenes.name} name frames it lacks"
        results["skipped"] = skipped("some interventions", reason)
    return results


def _scene_groups(scenes: ProbeSet, base: np.ndarray) -> np.ndarray:
    """Groups of scenes [M] to leave out: all changes of a scene, and all scenes of a design."""
    drawn, scene = np.unique(base, return_inverse=True)
    designs = scenes.properties.get(DESIGN)
    of_scenes = None if designs is None else designs.iloc[drawn].astype(str).to_numpy()
    return image_groups(len(drawn), of_scenes)[scene]


def _displaced(
    embeddings: Tensor, base: np.ndarray, changed: np.ndarray, names: np.ndarray, groups: np.ndarray
) -> Iterator[tuple[str, str, float, np.ndarray]]:
    """Each displacement, and what the groups of scenes say of it, by leaving out one at a time."""
    left_out = []
    for kept in without_each(groups):
        rows = displacement(embeddings, base[kept], changed[kept], names[kept])
        left_out.append({(name, reference): value for name, reference, value in rows})
    for name, reference, value in displacement(embeddings, base, changed, names):
        without = [found.get((name, reference), np.nan) for found in left_out]
        yield name, reference, value, jackknife_values(value, without)


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
    displaced = {
        str(name): float(distance[properties == name].mean()) for name in pd.unique(properties)
    }
    references = {UNRELATED: float(torch.pdist(scenes).mean()) if len(scenes) > 1 else np.nan}
    if displaced.get(DESIGN, 0.0) > 0:
        references[DESIGNS] = displaced[DESIGN]
    return [
        (name, reference, value / apart)
        for reference, apart in references.items()
        for name, value in displaced.items()
    ]
