"""Maps of the probe images by other methods than the study's."""

from pathlib import Path

import torch
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.models.embedding import device_of
from lossprint.probing.network import Network
from lossprint.probing.progress import ImagesDone, untold
from lossprint.runs.cache import content_key, kept_file
from lossprint.saliency import attribution_maps

IMAGES_AT_ONCE = 4
"""Between two reports of progress: a method may take a minute for an image."""


def attributions_key(
    network: Network, probe: ProbeSet, method: str, images: int, percentile: float
) -> str:
    """Of what maps by a method depend on: weights, distance, images and parameters."""
    parameters = {"method": method, "images": images, "percentile": percentile}
    return content_key(
        "attributions", network.weights_key, network.distance, probe.fingerprint, parameters
    )


def probe_attributions(
    network: Network,
    probe: ProbeSet,
    method: str,
    images: int,
    percentile: float,
    progress: ImagesDone = untold,
) -> Path:
    """Make a network's maps of the first images by `attribution_maps` unless they are kept.

    Returns:
        The safetensors file that holds `maps` [images, H, W], float16; see `read_maps`.

    Raises:
        ValueError: the network has nothing that the method looks at.
    """

    def compute() -> dict[str, Tensor]:
        model, preprocessing = network.load()
        device = device_of(model)
        found = []
        for start in range(0, images, IMAGES_AT_ONCE):
            rows = range(start, min(start + IMAGES_AT_ONCE, images))
            maps = attribution_maps(
                model,
                probe.pixels(rows).to(device),
                method=method,
                distance=network.distance,
                preprocessing=preprocessing,
                percentile=percentile,
            )
            found.append(maps.cpu())
            progress(f"maps by {method}", rows.stop, images)
        return {"maps": torch.cat(found).half()}

    key = attributions_key(network, probe, method, images, percentile)
    return kept_file(network.cache, "attributions", key, compute)
