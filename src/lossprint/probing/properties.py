"""Which properties of the probe images a network's embeddings cluster by."""

from dataclasses import asdict

import torch
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.metrics import normalized_r_precision
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


def make_properties(
    embeddings: Tensor, probe: ProbeSet, settings: PropertySettings
) -> dict[str, float]:
    """NR-Prec of embeddings [N, D] of the first N probe images; nothing is kept."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    table = probe.properties.iloc[: len(embeddings)]
    properties = {str(name): table[name] for name in table}
    return normalized_r_precision(embeddings, properties, device=device, **_parameters(settings))


def _parameters(settings: PropertySettings) -> dict:
    return {key: value for key, value in asdict(settings).items() if key != "significant"}
