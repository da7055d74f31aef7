"""What the report's image explorer shows: images, every run's maps, neighbours and why."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from lossprint.models.embedding import device_of
from lossprint.probing import read_maps
from lossprint.runs.cache import content_key, load_or_compute
from lossprint.saliency import saliency_maps
from lossprint.studies.loss_geometry import loss_embeddings, nearest
from lossprint.studies.networks import Network, first_runs
from lossprint.studies.study import Results, Study, Tables

IMAGES = 240
"""Probe images that a page carries, the first ones."""
IMAGE_SIDE, MAP_SIDE = 112, 48
"""Pixels of what a page carries."""
NEIGHBORS = 6

TABLES: Tables = {
    # One row per image shown, with a column for each property.
    "probe_images": ("frame",),
    # The images whose embeddings are most similar to that of `frame` under a loss.
    "neighbors": ("loss", "family", "frame", "rank", "neighbor", "similarity"),
    # For which loss there is a map of the similarity of `frame` to `neighbor`.
    "neighbor_maps": ("loss", "family", "frame", "neighbor"),
}
"""Arrays: `explorer/images` uint8 [N, H, W, 3], for each run `explorer/maps/<run>` uint8
[M, h, w] of the first M images, and `explorer/neighbor_maps` in the order of the table."""


def compute(study: Study) -> Results:
    """Gather what is kept; the maps of neighbours are made for `study.neighbor_maps` images."""
    frames = study.probe.properties.index[:IMAGES]
    rows = range(len(frames))
    near = {
        loss: nearest(embedding[: len(rows)], NEIGHBORS)
        for loss, embedding in loss_embeddings(study.networks, study.embeddings).items()
    }
    families = {network.loss: network.family for network in study.networks}
    neighbors = [
        [loss, families[loss], frames[row], rank, frames[neighbor], value]
        for loss, (order, values) in near.items()
        for row in rows
        for rank, (neighbor, value) in enumerate(
            zip(order[row].tolist(), values[row].tolist(), strict=True)
        )
    ]
    with_maps = study.map_rows[: len(rows)]
    maps = {
        f"explorer/maps/{network.name}": small(read_maps(file, with_maps), MAP_SIDE)
        for network, file in zip(study.networks, study.maps, strict=True)
    }
    pixels = study.probe.pixels(rows).float() / 255
    images = np.ascontiguousarray(small(pixels, IMAGE_SIDE).transpose(0, 2, 3, 1))
    pairs = _pairs(study, {loss: order for loss, (order, _) in near.items()})
    explained, pictures = _neighbor_maps(study, pairs)
    return {
        "probe_images": study.probe.properties.iloc[: len(rows)].reset_index(names="frame"),
        "neighbors": pd.DataFrame(neighbors, columns=list(TABLES["neighbors"])),
        "neighbor_maps": explained,
        "explorer/images": images,
        **maps,
        **({"explorer/neighbor_maps": pictures} if len(explained) else {}),
    }


def small(values: Tensor, side: int) -> np.ndarray:
    """Bytes of pictures [N, H, W] or [N, C, H, W] in [0, 1], averaged down to at most `side`."""
    stack = values if values.ndim == 4 else values[:, None]
    side = min(side, stack.shape[-1])
    reduced = functional.interpolate(stack, size=(side, side), mode="area")
    found = (reduced * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return found if values.ndim == 4 else found[:, 0]


def _pairs(study: Study, near: Mapping[str, Tensor]) -> list[tuple[int, int]]:
    """Rows of the images that losses disagree about most, and their commonest first neighbour."""
    if not study.settings.neighbor_maps or min(order.shape[1] for order in near.values()) == 0:
        return []
    frames = study.probe.properties.index
    wanted = frames.get_indexer(study.table("disagreement")["frame"])
    chosen = [int(row) for row in wanted if row < IMAGES][: study.settings.neighbor_maps]
    first = {row: Counter(int(order[row, 0]) for order in near.values()) for row in chosen}
    return [(row, min(votes, key=lambda x: (-votes[x], x))) for row, votes in first.items()]


def _neighbor_maps(study: Study, pairs: list[tuple[int, int]]) -> tuple[pd.DataFrame, np.ndarray]:
    """For the first run of each loss the maps of these pairs of rows."""
    frames = study.probe.properties.index
    columns = list(TABLES["neighbor_maps"])
    if not pairs:
        return pd.DataFrame(columns=columns), np.empty((0, 0, 0), dtype=np.uint8)
    first = first_runs(study.networks).values()
    found = [similarity_maps(study, network, pairs) for network in first]
    rows = [
        [network.loss, network.family, frames[row], frames[neighbor]]
        for network in first
        for row, neighbor in pairs
    ]
    return pd.DataFrame(rows, columns=columns), small(torch.cat(found), MAP_SIDE)


def similarity_maps(study: Study, network: Network, pairs: list[tuple[int, int]]) -> Tensor:
    """Where each image is like another one to a network, [P, H, W] float32; kept.

    Saliency of the distance to the other image, in place of a black one; otherwise made as the
    network's maps are.

    Args:
        study: its probe set and settings.
        network: whose embedding.
        pairs: P rows of the probe set: of an image, and of the one it is compared with.
    """
    probe = study.probe

    def compute() -> dict[str, Tensor]:
        model, preprocessing = network.load()
        device = device_of(model)
        images, others = (
            preprocessing(probe.pixels(list(rows)).to(device)) for rows in zip(*pairs, strict=True)
        )
        maps = saliency_maps(
            model,
            images,
            distance=network.distance,
            reference=others,
            image_ids=[probe.files[row] for row, _ in pairs],
            **study.settings.maps.method,
        )
        return {"maps": maps.half().cpu()}

    key = content_key(study.map_keys[study.networks.index(network)], pairs)
    return load_or_compute(network.cache, "neighbor_maps", key, compute)["maps"].float()
