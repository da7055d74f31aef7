"""Saliency maps and embeddings of the probe images, kept for each network by content."""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.models.embedding import embed_in_parts
from lossprint.runs import cache
from lossprint.runs.cache import cache_file, content_key, load_or_compute
from lossprint.saliency import saliency_maps
from lossprint.studies.settings import MapSettings
from lossprint.studies.subjects import Subject

EMBEDDING_BATCH = 256
MAP_BATCH = 32
"""Images handed over at a time; their noisy copies are batched further by the size of memory."""

ImagesOf = Callable[[str, int, int], None]
"""Told what is made ("maps" or "embeddings"), and of how many of how many images."""


def _untold(what: str, done: int, total: int) -> None:
    pass


def maps_key(subject: Subject, probe: ProbeSet, settings: MapSettings) -> str:
    """Of what the maps of a network depend on: weights, distance, images and parameters."""
    images = len(map_rows(probe, settings))
    parameters = asdict(settings) | {"images": images}
    return content_key("maps", subject.weights_key, subject.distance, probe.fingerprint, parameters)


def embeddings_key(subject: Subject, probe: ProbeSet) -> str:
    """Of what the embeddings of a network depend on: weights and images."""
    return cache.embeddings_key(subject.weights_key, probe.fingerprint)


def map_rows(probe: ProbeSet, settings: MapSettings) -> range:
    """The probe images that get maps: the first ones."""
    return range(len(probe) if settings.images is None else min(settings.images, len(probe)))


def probe_maps(
    subject: Subject, probe: ProbeSet, settings: MapSettings, progress: ImagesOf = _untold
) -> Path:
    """Make the maps of a network unless they are there.

    Returns:
        The safetensors file that holds `maps` [N, H, W], float16.
    """
    key = maps_key(subject, probe, settings)
    path = cache_file(subject.cache, "maps", key)
    if not path.is_file():
        load_or_compute(
            subject.cache, "maps", key, lambda: {"maps": _maps(subject, probe, settings, progress)}
        )
    return path


def probe_embeddings(subject: Subject, probe: ProbeSet, progress: ImagesOf = _untold) -> Tensor:
    """Load or compute the embeddings of a network, [N, D] float32, not normalized."""
    key = embeddings_key(subject, probe)
    result = load_or_compute(
        subject.cache,
        "embeddings",
        key,
        lambda: {"embeddings": _embeddings(subject, probe, key, progress)},
    )
    return result["embeddings"]


def kept_for_another_set(subject: Subject, probe: ProbeSet) -> bool:
    """Say whether embeddings of this network are kept, but none of this probe set.

    The probe set then changed since the network was trained or compared last.
    """
    kept = {path.name for path in subject.cache.glob("embeddings-*.safetensors")}
    expected = cache_file(subject.cache, "embeddings", embeddings_key(subject, probe)).name
    return bool(kept) and expected not in kept


def read_maps(path: Path, rows: list[int]) -> Tensor:
    """Read the maps of some images, [len(rows), H, W] float32."""
    with safe_open(path, framework="pt") as file:
        stored = file.get_slice("maps")
        return torch.stack([stored[row] for row in rows]).float()


def _maps(subject: Subject, probe: ProbeSet, settings: MapSettings, progress: ImagesOf) -> Tensor:
    model, preprocessing = subject.load()
    device = _device()
    model = model.to(device).eval()
    black = torch.zeros(1, 3, probe.size, probe.size, dtype=torch.uint8, device=device)
    baseline = preprocessing(black)[0]
    found = []
    rows = map_rows(probe, settings)
    for start in range(0, len(rows), MAP_BATCH):
        chosen = rows[start : start + MAP_BATCH]
        maps = saliency_maps(
            model,
            preprocessing(probe.pixels(chosen).to(device)),
            distance=subject.distance,
            baseline=baseline,
            noise_level=settings.noise_level,
            samples=settings.samples,
            percentile=settings.percentile,
            seed=settings.seed,
            image_ids=[probe.files[row] for row in chosen],
            precision=settings.precision,
        )
        found.append(maps.to("cpu", torch.float16))
        progress("maps", start + len(chosen), len(rows))
    return torch.cat(found)


def _embeddings(subject: Subject, probe: ProbeSet, key: str, progress: ImagesOf) -> Tensor:
    model, preprocessing = subject.load()
    device = _device()
    parts = subject.cache / f"embeddings-{key}.parts"
    embeddings = embed_in_parts(
        model.to(device),
        lambda rows: preprocessing(probe.pixels(rows).to(device)),
        len(probe),
        parts,
        batch_size=EMBEDDING_BATCH,
        progress=lambda done: progress("embeddings", done, len(probe)),
    )
    shutil.rmtree(parts)
    return embeddings


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
