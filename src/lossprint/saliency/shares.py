"""Where maps lie: the share of a map inside each region of its image, beside chance."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from lossprint.saliency.checks import Images, as_tensor

REGIONS: Mapping[str, int] = {"background": 0, "car": 1, "shadow": 2}
"""Labels in the masks of rendered images."""


@dataclass(frozen=True)
class RegionShares:
    """Of one region, for N images.

    Attributes:
        saliency: [N] float64, the share of each map's sum inside the region; NaN for a map that is
            zero everywhere.
        area: [N] float64, the share of pixels: what a map that knows nothing of the image has.
    """

    saliency: Tensor
    area: Tensor


def region_shares(
    maps: Images, masks: Images, *, regions: Mapping[str, int] = REGIONS
) -> dict[str, RegionShares]:
    """Measure how much of each map [N, H, W] lies in each region of masks [N, H, W].

    Args:
        maps: not negative, torch or numpy.
        masks: integer labels.
        regions: a label for each name.

    Raises:
        TypeError: neither tensors nor arrays.
        ValueError: maps and masks of different shapes, or negative or non-finite maps.

    Example:
        >>> import torch
        >>> maps = torch.tensor([[[3.0, 1.0]]])
        >>> car = region_shares(maps, torch.tensor([[[1, 0]]]))["car"]
        >>> car.saliency.item(), car.area.item()
        (0.75, 0.5)
    """
    maps, masks = as_tensor("maps", maps), as_tensor("masks", masks)
    if maps.ndim != 3 or maps.shape != masks.shape:
        raise ValueError(
            f"maps and masks must both be [N, H, W], not {list(maps.shape)} and {list(masks.shape)}"
        )
    maps = maps.double()
    if not (maps.isfinite() & (maps >= 0)).all():
        raise ValueError("maps must be finite and not negative")
    total = maps.sum((1, 2))
    shares = {}
    for name, label in regions.items():
        inside = masks.to(maps.device) == label
        saliency = (maps * inside).sum((1, 2)) / total
        shares[name] = RegionShares(saliency, inside.double().mean((1, 2)))
    return shares
