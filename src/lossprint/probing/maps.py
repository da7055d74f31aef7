"""Saliency maps of the probe images."""

from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from lossprint.data.probe import ProbeSet
from lossprint.models.embedding import device_of
from lossprint.probing.network import Network, Preprocess
from lossprint.probing.progress import ImagesDone, untold
from lossprint.probing.settings import MapSettings
from lossprint.runs.cache import content_key, kept_file
from lossprint.saliency import saliency_maps

IMAGES_AT_ONCE = 256
"""Handed over at a time, 150 MB of 224 px; each time, the network is made ready anew."""


def map_rows(probe: ProbeSet, settings: MapSettings) -> range:
    """The probe images that get maps: the first ones."""
    return range(len(probe))[: settings.images]


def maps_key(network: Network, probe: ProbeSet, settings: MapSettings) -> str:
    """Of what the maps of a network depend on: weights, distance, images and parameters."""
    parameters = asdict(settings) | {"images": len(map_rows(probe, settings))}
    return content_key("maps", network.weights_key, network.distance, probe.fingerprint, parameters)


def probe_maps(
    network: Network, probe: ProbeSet, settings: MapSettings, progress: ImagesDone = untold
) -> Path:
    """Make the maps of a network unless they are kept.

    Returns:
        The safetensors file that holds `maps` [N, H, W], float16; see `read_maps`.
    """

    def compute() -> dict[str, Tensor]:
        model, preprocessing = network.load()
        maps = make_maps(model, preprocessing, probe, settings, network.distance, progress)
        return {"maps": maps.half()}

    return kept_file(network.cache, "maps", maps_key(network, probe, settings), compute)


def read_maps(path: Path, rows: range | list[int]) -> Tensor:
    """Read the maps of some images, [len(rows), H, W] float32."""
    with safe_open(path, framework="pt") as file:
        stored = file.get_slice("maps")
        return torch.stack([stored[row] for row in rows]).float()


def make_maps(
    model: nn.Module,
    preprocessing: Preprocess,
    probe: ProbeSet,
    settings: MapSettings,
    distance: str,
    progress: ImagesDone = untold,
) -> Tensor:
    """Make the maps of a network where it is, [N, H, W] on the CPU; nothing is kept.

    Each image's noise is that of its file in the probe set, so all networks share it.
    """
    device = device_of(model)
    black = torch.zeros(1, 3, probe.size, probe.size, dtype=torch.uint8, device=device)
    baseline = preprocessing(black)[0]
    rows = map_rows(probe, settings)
    found = []
    for start in range(0, len(rows), IMAGES_AT_ONCE):
        chosen = rows[start : start + IMAGES_AT_ONCE]

        def told(done: int, before: int = start) -> None:
            progress("maps", before + done, len(rows))

        maps = saliency_maps(
            model,
            preprocessing(probe.pixels(chosen).to(device)),
            distance=distance,
            baseline=baseline,
            image_ids=[probe.files[row] for row in chosen],
            progress=told,
            **settings.method,
        )
        found.append(maps.cpu())
    return torch.cat(found)
