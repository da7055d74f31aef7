"""Embeddings of the probe images."""

import shutil

from torch import Tensor, nn

from lossprint.data.probe import ProbeSet
from lossprint.models.embedding import device_of, embed, embed_in_parts
from lossprint.probing.network import Network, Preprocess
from lossprint.probing.progress import ImagesDone, untold
from lossprint.runs.cache import cache_file, content_key, load_or_compute
from lossprint.tensor_files import read_about

WEIGHTS = "weights"  # beside embeddings that are kept: whose they are
BATCH = 256
"""Images at once."""


def embeddings_key(network: Network, probe: ProbeSet) -> str:
    """Of what the embeddings of a network depend on: weights and images."""
    return content_key("embeddings", network.weights_key, probe.fingerprint)


def probe_embeddings(
    network: Network, probe: ProbeSet, progress: ImagesDone = untold, *, batch_size: int = BATCH
) -> Tensor:
    """Load or compute a network's embeddings of all probe images, [N, D] float32, not normalized.

    An interrupted computation goes on where it was.
    """
    key = embeddings_key(network, probe)
    parts = network.cache / f"embeddings-{key}.parts"

    def compute() -> dict[str, Tensor]:
        model, preprocessing = network.load()
        device = device_of(model)
        embeddings = embed_in_parts(
            model,
            # Bytes are moved, and made floats where the network is.
            lambda rows: preprocessing(probe.pixels(rows).to(device)),
            len(probe),
            parts,
            batch_size=batch_size,
            progress=lambda done: progress("embeddings", done, len(probe)),
        )
        shutil.rmtree(parts)
        return {"embeddings": embeddings}

    about = {WEIGHTS: network.weights_key}
    return load_or_compute(network.cache, "embeddings", key, compute, about)["embeddings"]


def make_embeddings(
    model: nn.Module,
    preprocessing: Preprocess,
    probe: ProbeSet,
    images: int | None = None,
    progress: ImagesDone = untold,
    *,
    batch_size: int = BATCH,
) -> Tensor:
    """Embed the first probe images where the network is, [N, D] on the CPU; nothing is kept."""
    rows, device = range(len(probe))[:images], device_of(model)
    batches = (
        preprocessing(probe.pixels(rows[start : start + batch_size]).to(device))
        for start in range(0, len(rows), batch_size)
    )
    return embed(model, batches, progress=lambda done: progress("embeddings", done, len(rows)))


def kept_for_another_set(network: Network, probe: ProbeSet) -> bool:
    """Say whether embeddings with these weights are kept, but none of this probe set.

    The probe set then changed since the network was trained or compared last.
    """
    kept = {
        path.name
        for path in network.cache.glob("embeddings-*.safetensors")
        if read_about(path).get(WEIGHTS) == network.weights_key
    }
    expected = cache_file(network.cache, "embeddings", embeddings_key(network, probe)).name
    return bool(kept) and expected not in kept
