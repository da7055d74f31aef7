"""Floors and ceilings: how far maps agree that share more and more, or less and less."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from lossprint.metrics import Interval, fisher_mean, mean_over_images
from lossprint.probing import make_maps, read_maps
from lossprint.runs.cache import content_key, load_or_compute
from lossprint.saliency import map_agreement, randomized_copy
from lossprint.studies.columns import skipped, together
from lossprint.studies.intervals import mean_correlation
from lossprint.studies.map_agreement import agreement_of_pairs
from lossprint.studies.networks import Network, lineages_of
from lossprint.studies.pairs import are_trained, matched, pairs_table, with_untrained
from lossprint.studies.study import Results, Study, Tables

TABLES: Tables = {
    "ladder": (
        *("rung", "mean", "low", "high"),
        *("below_seeds", "below_seeds_low", "below_seeds_high"),
        *("pairs", "images"),
    )
}
"""Mean correlation of maps by what they share, the most first, and its interval over images; and
how far it lies below that of two seeds of one loss, image by image: images that all maps agree on
widen the first interval, but not the second."""

NETWORKS = 4
"""Losses of which one network each is looked at closely."""

SHUFFLED: Mapping[str, Mapping[str, Any]] = {
    "weights of the last layer shuffled": {"share": 0.0},
    "weights of the last half shuffled": {"share": 0.5},
    "weights of the first half shuffled": {"share": 0.5, "from_input": True},
    "all weights shuffled": {"share": 1.0},
}
"""Cascading randomization, see `randomized_copy`: from the output down (Adebayo et al., 2018), and
repaired: from the input up, of maps that are means over noisy copies of the image, whose noise the
network and its shuffled copy share (Smooth MPRT, Hedström et al., 2023)."""

NOISE = "same network, other noise draws"
SEEDS = "another seed of the loss"


def compute(study: Study) -> Results:
    """The rungs that the study's maps give, and those that a few networks' new maps give."""
    pairs = agreement_of_pairs(study.networks, study.map_keys, study.maps)
    table = pairs_table(study.networks, list(pairs))
    values = [result["correlation"].numpy() for result in pairs.values()]
    found = {
        rung: np.stack([values[row] for row in np.flatnonzero(chosen)])
        for rung, chosen in _shared(table, study.networks)
        if chosen.any()
    }
    gaps = []
    for network, file in _examples(study):
        rows = study.map_rows[: study.settings.ladder_images]
        maps = read_maps(file, rows)
        try:
            others = _changed_maps(study, network, rows)
        except (ValueError, RuntimeError) as error:
            gaps.append(skipped("floors of map agreement", str(error), run=network.name))
            continue
        others["edges of the image"] = edge_maps(study.probe.pixels(rows))
        if len(rows) > 1:
            others["same network, another image"] = maps.roll(1, 0)
        for rung, other in others.items():
            r = map_agreement(maps, other.float()).correlation[0, 1].numpy()[None]
            found[rung] = np.concatenate([found[rung], r]) if rung in found else r
    order = (NOISE, *_RELATIONS, *SHUFFLED, "edges of the image", "same network, another image")
    rungs = [
        [
            rung,
            *mean_correlation(found[rung], study.designs(found[rung].shape[1])),
            *_below(None if rung == SEEDS else found.get(SEEDS), found[rung], study),
            *found[rung].shape,
        ]
        for rung in order
        if rung in found
    ]
    table = pd.DataFrame(rungs, columns=list(TABLES["ladder"]))
    return {"ladder": table, "skipped": together(gaps)}


_RELATIONS = (
    SEEDS,
    "two losses of one lineage",
    "two losses of one family",
    "losses of two families",
    "trained and untrained",
)


def _below(seeds: NDArray[Any] | None, correlation: NDArray[Any], study: Study) -> Interval:
    """How far correlations [P, N] lie below those [Q, M] of two seeds on the same N images.

    NaN without seeds.
    """
    if seeds is None:
        return Interval(np.nan, np.nan, np.nan)
    images = correlation.shape[1]
    upper, lower = (fisher_mean(values[:, :images], 0) for values in (seeds, correlation))
    return mean_over_images(upper - lower, study.designs(images))


def _shared(
    table: pd.DataFrame, networks: Sequence[Network]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Pairs by what they share; none shares its initial weights where losses have several seeds."""
    lineage = lineages_of(networks)
    trained = matched(table) & are_trained(table)
    same_loss = table["loss_a"] == table["loss_b"]
    same_family = table["family_a"] == table["family_b"]
    kin = same_family & (table["loss_a"].map(lineage) == table["loss_b"].map(lineage))
    chosen = (
        trained & same_loss,
        trained & ~same_loss & kin,
        trained & same_family & ~kin,
        trained & ~same_family,
        with_untrained(table),
    )
    return ((rung, pairs.to_numpy(bool)) for rung, pairs in zip(_RELATIONS, chosen, strict=True))


def _examples(study: Study) -> Iterator[tuple[Network, Path]]:
    """The first run of a few losses with its maps, spread over the losses; none for 0 images."""
    if not study.settings.ladder_images or not len(study.map_rows):
        return iter(())
    first: dict[str, tuple[Network, Path]] = {}
    for network, file in zip(study.networks, study.maps, strict=True):
        if network.family != "control":
            first.setdefault(network.loss, (network, file))
    places = np.linspace(0, len(first) - 1, min(NETWORKS, len(first))).round().astype(int)
    return iter([list(first.values())[place] for place in dict.fromkeys(places.tolist())])


def _changed_maps(study: Study, network: Network, rows: range) -> dict[str, Tensor]:
    """Maps [N, H, W] of the network with other noise, and with its weights shuffled."""
    settings = replace(study.settings.maps, images=len(rows))

    def compute() -> dict[str, Tensor]:
        model, preprocessing = network.load()
        progress = study.on_images(network)
        other = replace(settings, seed=settings.seed + 1)
        made = {
            NOISE: make_maps(model, preprocessing, study.probe, other, network.distance, progress)
        }
        with warnings.catch_warnings():
            # That gradients of shuffled weights round off is nobody's to mend.
            warnings.filterwarnings("ignore", "maps of", RuntimeWarning)
            for rung, layers in SHUFFLED.items():
                shuffled = randomized_copy(model, seed=settings.seed, **layers)
                made[rung] = make_maps(
                    shuffled, preprocessing, study.probe, settings, network.distance, progress
                )
        return {rung: maps.half() for rung, maps in made.items()}

    place = study.networks.index(network)
    key = content_key("ladder", study.map_keys[place], len(rows), list(SHUFFLED))
    return load_or_compute(network.cache, "ladder", key, compute)


def edge_maps(pixels: Tensor) -> Tensor:
    """Edges [N, H, W] of uint8 [N, 3, H, W]: the length of the Sobel gradient of their mean."""
    edges = [
        np.hypot(*(ndimage.sobel(grey, axis, mode="nearest") for axis in (0, 1)))
        for grey in pixels.float().mean(1).numpy()
    ]
    return torch.from_numpy(np.stack(edges))
