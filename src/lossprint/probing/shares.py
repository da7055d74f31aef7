"""How much of a network's saliency lies in each region of the probe images."""

import torch
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.saliency import region_shares


def saliency_shares(maps: Tensor, probe: ProbeSet) -> dict[str, Tensor]:
    """Share of each region [N], float64; NaN for images whose maps are zero everywhere.

    Args:
        maps: [N, H, W] of the first N probe images.
        probe: without masks there are no regions.
    """
    if probe.masks is None:
        return {}
    shares = region_shares(maps, probe.masks[: len(maps)])
    return {name: share.saliency for name, share in shares.items()}


def area_shares(probe: ProbeSet, images: int) -> dict[str, float]:
    """Mean share of pixels of each region in the first images: what knows nothing has."""
    if probe.masks is None:
        return {}
    masks = probe.masks[:images]
    shares = region_shares(torch.ones(masks.shape), masks)
    return {name: float(share.area.mean()) for name, share in shares.items()}
