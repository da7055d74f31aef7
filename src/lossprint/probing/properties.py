"""Which properties of the probe images a network's embeddings cluster by."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.metrics import (
    normalized_r_precision,
    normalized_r_precision_maximum,
    without_each,
)
from lossprint.probing.embeddings import BATCH, embeddings_key, probe_embeddings
from lossprint.probing.network import Network
from lossprint.probing.progress import ImagesDone, untold
from lossprint.probing.settings import PropertySettings
from lossprint.runs.cache import content_key, load_or_compute


def properties_key(network: Network, probe: ProbeSet, settings: PropertySettings) -> str:
    """Of what NR-Prec depends on: embeddings, properties and parameters."""
    names = list(probe.properties.columns)
    return content_key("properties", embeddings_key(network, probe), names, _parameters(settings))


def probe_properties(
    network: Network,
    probe: ProbeSet,
    settings: PropertySettings,
    progress: ImagesDone = untold,
    *,
    batch_size: int = BATCH,
) -> dict[str, float]:
    """Load or compute a network's normalized R-Precision for every property of the probe set."""

    def compute() -> dict[str, Tensor]:
        embeddings = probe_embeddings(network, probe, progress, batch_size=batch_size)
        found = make_properties(embeddings, probe, settings)
        return {"values": torch.tensor(list(found.values()), dtype=torch.float64)}

    key = properties_key(network, probe, settings)
    values = load_or_compute(network.cache, "properties", key, compute)["values"].tolist()
    return dict(zip(map(str, probe.properties.columns), values, strict=True))


def properties_left_out(
    network: Network,
    probe: ProbeSet,
    settings: PropertySettings,
    groups: NDArray[np.intp],
    progress: ImagesDone = untold,
) -> dict[str, NDArray[np.float64]]:
    """Load or compute NR-Prec without each group of images, as shares of the maximum.

    Standard deviations above chance grow with the number of images; shares of what is possible do
    not, so that those without some images compare with those of all.

    Args:
        groups: [N] 0 … G − 1, see `lossprint.metrics.image_groups`; some images may be in none.

    Returns:
        [G] by property.
    """

    def compute() -> dict[str, Tensor]:
        embeddings = probe_embeddings(network, probe, progress)
        # Text, so that few images with many values are no continuous numbers.
        labels = probe.properties.apply(lambda column: column.map(str, na_action="ignore"))
        left_out = without_each(groups)
        shares = torch.full((len(left_out), labels.shape[1]), torch.nan, dtype=torch.float64)
        for row, others in zip(shares, left_out, strict=True):
            kept = np.flatnonzero(others)
            known = labels.iloc[kept].notna().any().to_numpy(copy=True)
            if len(kept) < 3 or not known.any():
                continue
            table = labels.iloc[kept].loc[:, known]
            found = _precision(embeddings[kept], table, settings)
            largest = _maximum(table, settings)
            row[known] = torch.tensor([found[name] / largest[name] for name in found]).double()
        return {"shares": shares}

    key = content_key(properties_key(network, probe, settings), groups)
    shares = load_or_compute(network.cache, "properties-left-out", key, compute)["shares"].numpy()
    return dict(zip(map(str, probe.properties.columns), shares.T, strict=True))


def properties_maximum(probe: ProbeSet, settings: PropertySettings) -> dict[str, float]:
    """NR-Prec of embeddings in which every neighbour matches; it depends on the labels alone."""
    return _maximum(probe.properties, settings)


def make_properties(
    embeddings: Tensor, probe: ProbeSet, settings: PropertySettings
) -> dict[str, float]:
    """NR-Prec of embeddings [N, D] of the first N probe images; nothing is kept."""
    return _precision(embeddings, probe.properties.iloc[: len(embeddings)], settings)


def _precision(
    embeddings: Tensor, table: pd.DataFrame, settings: PropertySettings
) -> dict[str, float]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return normalized_r_precision(embeddings, _named(table), device=device, **_parameters(settings))


def _maximum(table: pd.DataFrame, settings: PropertySettings) -> dict[str, float]:
    return normalized_r_precision_maximum(
        _named(table), max_neighbors=settings.max_neighbors, variance=settings.variance
    )


def _named(table: pd.DataFrame) -> dict[str, pd.Series]:
    return {str(name): table[name] for name in table}


def _parameters(settings: PropertySettings) -> dict:
    return {key: value for key, value in asdict(settings).items() if key != "significant"}
