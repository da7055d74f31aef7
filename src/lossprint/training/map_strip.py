"""Saliency maps as a picture: image, map and the map over the image, one column an image."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

CELL = 128
"""Pixels an image is enlarged to at least, by a whole factor."""

GAP = 4


def map_strip(pixels: Tensor, maps: Tensor) -> Image.Image:
    """Draw images uint8 [N, 3, H, W] and their maps [N, H, W] in [0, 1] as three rows.

    The second row goes from black over red and yellow to white. In the third the image is grey
    and dim where the map is 0, and shows its colours where the map is 1.

    Raises:
        ValueError: maps of another number or size than the images.
    """
    if maps.shape != (len(pixels), *pixels.shape[2:]) or not len(pixels):
        raise ValueError(
            f"images {list(pixels.shape)} need maps [{len(pixels)}, {pixels.shape[2]}, "
            f"{pixels.shape[3]}], not {list(maps.shape)}"
        )
    images = pixels.permute(0, 2, 3, 1).float().cpu() / 255
    strength = maps.float().cpu().unsqueeze(-1)
    heat = (strength * 3 - torch.tensor([0.0, 1.0, 2.0])).clamp(0, 1)
    grey = images.mean(-1, keepdim=True).expand_as(images) * 0.4
    overlay = grey + strength.sqrt() * (images - grey)
    rows = [_row(cells) for cells in (images, heat, overlay)]
    gap = np.full((GAP, rows[0].shape[1], 3), 255, dtype=np.uint8)
    return Image.fromarray(np.concatenate([rows[0], gap, rows[1], gap, rows[2]]))


def _row(cells: Tensor) -> NDArray[np.uint8]:
    """Cells [N, H, W, 3] in [0, 1] side by side, enlarged."""
    factor = max(1, CELL // cells.shape[1])
    large = (cells * 255).round().byte().numpy().repeat(factor, axis=1).repeat(factor, axis=2)
    padded = np.pad(large, ((0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=255)
    return np.concatenate(list(padded), axis=1)[:, :-GAP]
