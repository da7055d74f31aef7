"""Any image under every loss: its maps, its nearest neighbours, and why they are near."""

from collections.abc import Iterable
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

from lossprint.reports.evidence import Evidence
from lossprint.reports.section import Section, Widget
from lossprint.reports.sheets import COLUMNS, sheets
from lossprint.reports.style import OVERLAY, by_family, loss_colors, readable

IMAGES, MAPS, NEIGHBOR_MAPS = "explorer/images", "explorer/maps/", "explorer/neighbor_maps"
IMAGE_BYTES, MAP_BYTES, NEIGHBOR_MAP_BYTES = 600_000, 2_000_000, 300_000
"""What the pictures may take; in the page it is a third more."""


def is_shown(evidence: Evidence) -> bool:
    """Whether there are images and neighbours to explore."""
    tables = (evidence["probe_images"], evidence["neighbors"])
    return IMAGES in evidence.arrays and not any(table.empty for table in tables)


def widgets(evidence: Evidence) -> Iterable[Widget]:
    """The explorer."""
    if not is_shown(evidence):
        return
    images, neighbors = evidence["probe_images"], evidence["neighbors"]
    families = evidence.families
    losses = by_family(neighbors["loss"], families)
    position = {frame: row for row, frame in enumerate(images["frame"])}
    maps = {n.removeprefix(MAPS): x for n, x in evidence.arrays.items() if n.startswith(MAPS)}
    runs = evidence["runs"]
    own = {loss: [] if runs.empty else runs.loc[runs["loss"] == loss, "run"] for loss in losses}
    colors = loss_colors(families)
    pairs, pair_pictures = _neighbor_maps(evidence, position)
    disagreement = evidence["disagreement"]
    agreed = (
        {} if disagreement.empty else dict(zip(*disagreement.to_dict("list").values(), strict=True))
    )
    data = {
        "columns": COLUMNS,
        "frames": [str(frame) for frame in images["frame"]],
        "agreement": [_number(agreed.get(frame)) for frame in images["frame"]],
        "properties": image_properties(images),
        "mapped": min((len(stack) for stack in maps.values()), default=0),
        "colormap": np.round(matplotlib.colormaps[OVERLAY](range(256))[:, :3] * 255)
        .astype(int)
        .tolist(),
        "losses": [
            {
                "name": loss,
                "title": readable(loss),
                "family": families[loss],
                "color": colors[loss],
                "runs": [{"name": run, "maps": MAPS + run} for run in own[loss] if run in maps],
                "neighbors": _neighbors(neighbors[neighbors["loss"] == loss], position),
                "pairs": pairs.get(loss, []),
            }
            for loss in losses
        ],
        "explained": NEIGHBOR_MAPS if pair_pictures else None,
        "explainedRows": -(-len(evidence["neighbor_maps"]) // COLUMNS),
    }
    pictures = sheets({IMAGES: evidence.arrays[IMAGES]}, IMAGE_BYTES) | pair_pictures
    yield Widget(
        "explorer", data, pictures | sheets({MAPS + n: x for n, x in maps.items()}, MAP_BYTES)
    )


def image_properties(images: pd.DataFrame) -> list[dict[str, Any]]:
    """Each property's name and its value for every image, as text."""
    return [
        {"title": readable(str(name)), "values": [_level(value) for value in images[name]]}
        for name in images.columns
        if name != "frame"
    ]


def _level(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def _number(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 3)


def _neighbors(table: pd.DataFrame, position: dict[Any, int]) -> list[list[list[float]]]:
    """For each image `[row, similarity]` of its neighbours, the nearest first."""
    found: list[list[list[float]]] = [[] for _ in position]
    for frame, near, value in zip(
        table["frame"], table["neighbor"], table["similarity"], strict=True
    ):
        found[position[frame]].append([position[near], round(float(value), 3)])
    return found


def _neighbor_maps(
    evidence: Evidence, position: dict[Any, int]
) -> tuple[dict[str, list[list[int]]], dict[str, bytes]]:
    """By loss `[row, neighbour's row, place on the sheet]`, and the sheet."""
    table = evidence["neighbor_maps"]
    if table.empty or NEIGHBOR_MAPS not in evidence.arrays:
        return {}, {}
    found: dict[str, list[list[int]]] = {}
    for place, row in enumerate(table.itertuples()):
        entry = [position[row.frame], position[row.neighbor], place]
        found.setdefault(row.loss, []).append(entry)
    return found, sheets({NEIGHBOR_MAPS: evidence.arrays[NEIGHBOR_MAPS]}, NEIGHBOR_MAP_BYTES)


SECTION = Section(
    "explorer",
    "Any image under every loss",
    widgets=widgets,
    untracked=("probe_images", "neighbors", "neighbor_maps"),
    methods={
        "Neighbours": "Cosine similarity of embeddings, averaged over the runs of a loss, among "
        "the images shown. Why two images are near: the same saliency maps, of the distance to "
        "the neighbour in place of a black image.",
    },
)
