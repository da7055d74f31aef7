"""Models in the publication's folders and formats, with weights that nobody trained."""

import os
from pathlib import Path

import torch

from lossprint.models.bn_inception import BNInception

# One published folder of every loss.
PUBLISHED_FOLDERS = {
    "cars_contrastive46_reproduction0": "contrastive",
    "cars_triplet46_reproduction0": "triplet",
    "cars_ntxent49_reproduction0": "ntxent",
    "cars_proxy_nca5_reproduction0": "proxy_nca",
    "cars_margin_no_weight_decay_reproduction0": "margin",
    "cars_margin_param_per_class_no_weight_decay20_reproduction0": "margin_per_class",
    "cars_normalized_softmax45_reproduction0": "normalized_softmax",
    "cars_cosface15_reproduction0": "cosface",
    "cars_arcface49_reproduction0": "arcface",
    "cars_fastap27_reproduction0": "fastap",
    "cars_snr_contrastive33_reproduction0": "snr_contrastive",
    "cars_multi_similarity22_reproduction0": "multi_similarity",
    "cars_multi_similarity_with_ms_miner38_reproduction0": "multi_similarity_miner",
    "cars_soft_triple14_reproduction0": "soft_triple",
}


def save_trunk(path: Path) -> BNInception:
    """A trunk whose BatchNorm knows what it sees, as after training: signals pass all layers."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        trunk = BNInception(num_classes=None).train()
        for module in trunk.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            trunk(100 * torch.randn(8, 3, 96, 96))
    torch.save(trunk.state_dict(), path)
    return trunk.eval()


def place_model(root: Path, folder: str, fold: int, trunk: Path, *, seed: int) -> Path:
    """A model of a shared trunk file (linked, not copied) and a random embedder of its own."""
    target = root / folder / f"Test50_50_Partitions4_{fold}" / "saved_models"
    target.mkdir(parents=True)
    os.link(trunk, target / "trunk_best.pth")
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(128, 1024, generator=generator) / 32
    bias = torch.randn(128, generator=generator) / 32
    # The publication's class holds one layer under two names.
    state = {f"{name}.weight": weight for name in ("net.0", "last_linear")}
    state |= {f"{name}.bias": bias for name in ("net.0", "last_linear")}
    torch.save(state, target / "embedder_best.pth")
    return target
