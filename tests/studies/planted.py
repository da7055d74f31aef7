"""Networks that are never run: their maps and embeddings are put where they would be kept."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from lossprint.apps.evidence import EVIDENCE
from lossprint.data.probe import ProbeSet
from lossprint.probing import MapSettings, embeddings_key, maps_key
from lossprint.runs.cache import load_or_compute
from lossprint.studies.networks import Network
from lossprint.studies.settings import StudySettings

SIZE, IMAGES, PROBE = 16, 6, 60
RANKING = ("triplet", "contrastive", "margin", "ntxent", "fastap")
CLASSIFICATION = ("arcface", "cosface", "proxy_nca", "soft_triple", "proxy_anchor")
SETTINGS = StudySettings(name="test", maps=MapSettings(images=IMAGES, samples=2), gallery=3)


def probe_set(fingerprint: str = "planted") -> ProbeSet:
    rng = np.random.default_rng(0)
    frames = pd.RangeIndex(PROBE, name="frame")
    properties = pd.DataFrame(
        {
            "model": rng.choice(["sedan", "van", "suv"], PROBE),
            "color_hue": rng.integers(0, 4, PROBE),
            "bg_color_hue": rng.integers(0, 4, PROBE),
        },
        index=frames,
    )
    masks = torch.zeros(PROBE, SIZE, SIZE, dtype=torch.uint8)
    masks[:, 4:12, 4:12] = 1
    masks[:, 12:14, 4:12] = 2
    pixels = torch.from_numpy(rng.integers(0, 256, (PROBE, SIZE, SIZE, 3), dtype=np.uint8))
    store = SimpleNamespace(
        images=lambda rows: [pixels[row] for row in rows.tolist()],
        sizes=torch.full((PROBE, 2), SIZE),
    )
    return ProbeSet(
        name="planted",
        files=tuple(f"images/{frame:06d}.png" for frame in frames),
        properties=properties,
        store=store,
        size=SIZE,
        masks=masks,
        interventions=None,
        fingerprint=fingerprint,
    )


PIECES = [piece.study for piece in EVIDENCE]
SECTIONS = [piece.section for piece in EVIDENCE]


@dataclass
class Loads:
    """Counts which networks were asked for."""

    names: list[str] = field(default_factory=list)


def networks(
    folder: Path,
    losses: tuple[str, ...] = (*RANKING, *CLASSIFICATION),
    *,
    seeds: tuple[int, ...] = (0, 1),
    loss_effect: float = 0.0,
    family_effect: float = 0.0,
    loads: Loads | None = None,
    keep: bool = True,
) -> list[Network]:
    """Networks whose maps and embeddings are a common part, a family's, a loss's and a run's own.

    The weights of the common part and the run's own are 1; the other two are the effects.
    """
    loads = loads or Loads()
    probe, made = probe_set(), []
    for loss in losses:
        family = "classification" if loss in CLASSIFICATION else "ranking"
        for seed in seeds:
            network = Network(
                name=f"{loss}/fold0-seed{seed}",
                loss=loss,
                family=family,
                distance="cosine",
                fold=0,
                seed=seed,
                weights_key=f"{loss}-{seed}-{loss_effect}-{family_effect}",
                cache=folder / loss / f"fold0-seed{seed}" / "analysis",
                load=_refuse(loads, f"{loss}-{seed}"),
                metrics={"test/map_at_r": _draw("map_at_r", f"{loss}{seed}", 1).item() / 100 + 0.3},
            )
            if keep:
                parts = (
                    (1.0, "common"),
                    (family_effect, family),
                    (loss_effect, loss),
                    (1.0, f"{loss}-{seed}"),
                )
                _keep(network, probe, parts)
            made.append(network)
    return made


def maps_of(parts: tuple[tuple[float, str], ...]) -> torch.Tensor:
    raw = sum(weight * _draw("maps", name, IMAGES * SIZE * SIZE) for weight, name in parts)
    maps = torch.from_numpy(raw).reshape(IMAGES, SIZE, SIZE).abs()
    return (maps / maps.amax((1, 2), keepdim=True)).to(torch.float16)


def _keep(network: Network, probe: ProbeSet, parts: tuple[tuple[float, str], ...]) -> None:
    raw = sum(weight * _draw("embeddings", name, PROBE * 8) for weight, name in parts)
    embeddings = torch.from_numpy(raw).reshape(PROBE, 8).float()
    if any(name == "ranking" and weight for weight, name in parts):
        # Ranking losses, where families differ, cluster by paint.
        hue = torch.tensor(probe.properties["color_hue"].to_numpy())
        embeddings = embeddings + 6 * torch.nn.functional.one_hot(hue, 8)
    load_or_compute(
        network.cache,
        "maps",
        maps_key(network, probe, SETTINGS.maps),
        lambda: {"maps": maps_of(parts)},
    )
    load_or_compute(
        network.cache,
        "embeddings",
        embeddings_key(network, probe),
        lambda: {"embeddings": embeddings},
    )


def _draw(kind: str, name: str, count: int) -> np.ndarray:
    seed = list(f"{kind}:{name}".encode())
    return np.random.default_rng(seed).normal(size=count)


def _refuse(loads: Loads, name: str):
    def load():
        loads.names.append(name)
        raise AssertionError(f"{name} was loaded although its results are kept")

    return load
