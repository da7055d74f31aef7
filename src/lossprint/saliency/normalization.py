"""From summed gradients to maps in [0, 1]."""

import torch
from torch import Tensor

from lossprint.saliency.checks import check_number


def clip_to_percentile(maps: Tensor, percentile: float) -> Tensor:
    """Scale each map [N, H, W] so that its minimum is 0 and its `percentile` is 1; clip above.

    The percentile interpolates linearly between pixels. Where it equals the minimum, as in a
    constant map, pixels at the minimum are 0 and any above are 1: a constant map is all zeros.

    Raises:
        ValueError: `percentile` outside (0, 100].
    """
    check_percentile(percentile)
    pixels = maps.flatten(1)
    low = pixels.amin(1, keepdim=True)
    # One map at a time: torch.quantile refuses inputs of more than 16 million elements.
    high = torch.stack([torch.quantile(row, percentile / 100) for row in pixels]).unsqueeze(1)
    above = pixels - low
    scaled = torch.where(high > low, above / (high - low), (above > 0).to(above.dtype))
    return scaled.clamp(0, 1).view_as(maps)


def check_percentile(percentile: float) -> None:
    """Raises:
    TypeError: not a number.
    ValueError: outside (0, 100].
    """
    check_number("percentile", percentile)
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must lie in (0, 100], not {percentile}")
